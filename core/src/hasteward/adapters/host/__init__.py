"""Processes on this machine and behind prefixes such as ``docker exec -i NAME`` and ``ssh HOST``."""
