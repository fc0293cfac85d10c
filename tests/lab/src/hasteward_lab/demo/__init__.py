"""The story a visitor sees: `hasteward lab demo`. CI runs the same one."""
