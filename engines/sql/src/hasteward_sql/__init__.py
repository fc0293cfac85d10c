"""Dump and restore of SQL servers, shared by engines. It knows servers, not who looks after them."""
