"""The galera engine."""
