"""Pure readers: JSON and text in, evidence out. A shape that is not understood is a ValueError."""
