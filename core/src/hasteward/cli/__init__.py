"""The command line: one verb per module; only `render` prints."""
