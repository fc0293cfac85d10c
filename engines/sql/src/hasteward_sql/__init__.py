"""Dump and restore of SQL servers, shared by engines. No engine: it knows servers, not who looks after them."""
