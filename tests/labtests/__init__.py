"""A package, so that its lab ends with it."""
