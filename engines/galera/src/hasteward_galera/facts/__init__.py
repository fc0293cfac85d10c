"""Reads what the API, the servers and their files answer. Pure."""
