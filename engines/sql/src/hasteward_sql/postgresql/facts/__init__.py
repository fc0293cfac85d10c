"""Names, values, owners and rights of PostgreSQL as text. Pure."""
