"""Asks a server, through its own client programs."""
