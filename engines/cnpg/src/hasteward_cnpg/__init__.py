"""The cnpg engine."""
