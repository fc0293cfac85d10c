"""The hasteward engine for keyval."""
