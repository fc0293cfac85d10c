"""Numbers as people read them. Pure."""

from __future__ import annotations

_STEP = 1024


def human(size: float) -> str:
    """``1.5 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < _STEP:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= _STEP
    return f"{size:.1f} TiB"


def counted(number: int, noun: str) -> str:
    """``1 schema``, ``2 schemas``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
