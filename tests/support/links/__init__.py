"""Bad networks for tests: links between network namespaces that lose, delay and squeeze packets as a seed says."""
