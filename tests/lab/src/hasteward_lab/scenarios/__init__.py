"""Broken clusters as data: how each comes about, and what is then true."""
