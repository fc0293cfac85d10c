"""Values and rules: frozen dataclasses, enums, pure functions. No I/O, no clock."""
