"""Restic behind `hasteward.ports.repository`: argv, descriptors, JSON lines and exit codes."""
