"""The vault engine."""
