"""Settings: one table of what can be set, and where each value came from."""
