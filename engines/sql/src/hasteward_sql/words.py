"""Numbers as people read them. Pure."""

from __future__ import annotations

_STEP = 1024
_WHOLE_FROM = 10


def human(size: float) -> str:
    """Bytes in binary units: ``1.5 MiB``, ``12 GiB``."""
    for unit in ("B", "KiB", "MiB"):
        if size < _STEP:
            return _sized(size, unit)
        size /= _STEP
    return _sized(size, "GiB")


def _sized(size: float, unit: str) -> str:
    return f"{size:.0f} {unit}" if unit == "B" or size >= _WHOLE_FROM else f"{size:.1f} {unit}"


def counted(number: int, noun: str) -> str:
    """``1 schema``, ``2 schemas``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
