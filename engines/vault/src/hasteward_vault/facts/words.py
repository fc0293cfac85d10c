"""Numbers for people."""

from __future__ import annotations

MIB = 1024 * 1024


def counted(count: int, noun: str) -> str:
    """``1 voter``, ``2 voters``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def human(size: int) -> str:
    """Bytes for people, in binary units."""
    for unit, step in (("GiB", MIB * 1024), ("MiB", MIB), ("KiB", 1024)):
        if size >= step:
            return f"{size / step:.1f} {unit}"
    return f"{size} B"
