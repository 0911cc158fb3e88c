"""Webhooks: what happens in rooms, told by signed HTTP requests to the addresses of the settings, as LiveKit does."""
