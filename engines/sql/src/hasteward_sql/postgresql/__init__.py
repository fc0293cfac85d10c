"""PostgreSQL: roles and databases as proven sections, restored beside the live databases and swapped by name.

It knows servers, not who looks after them. What an operator declares, and which member to ask, is for the
engine to know.
"""
