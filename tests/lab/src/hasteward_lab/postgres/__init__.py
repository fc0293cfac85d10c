"""What stands in for the PostgreSQL operator: three members, their objects and their status."""
