"""What people and programs see over HTTP: the call page and the REST API."""
