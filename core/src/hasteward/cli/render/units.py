"""Sizes, times and tables for people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

_SGR = re.compile(r"\x1b\[[0-9;]*m")
_RFC_3339 = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)\b")
_STEP = 1024
_SIXTY = 60


def size(count: int | None) -> str:
    """``1.4 GiB``; ``?`` when it is not known."""
    if count is None:
        return "?"
    if count < _STEP:
        return f"{count} B"
    amount = float(count)
    for unit in ("KiB", "MiB", "GiB"):
        amount /= _STEP
        if amount < _STEP:
            return f"{amount:.1f} {unit}"
    return f"{amount / _STEP:.1f} TiB"


def seconds(count: float) -> str:
    """``1.3 s``, ``4 min 05 s``, ``2 h 04 min``."""
    if count < _SIXTY:
        return f"{count:.1f} s"
    minutes, rest = divmod(round(count), _SIXTY)
    if minutes < _SIXTY:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // _SIXTY} h {minutes % _SIXTY:02d} min"


def moment(when: datetime) -> str:
    """``2026-11-21 11:39:15 UTC``: the same for every reader, and in every log."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def readable(text: str) -> str:
    """The same text with every RFC 3339 time in it as `moment` writes it."""
    return _RFC_3339.sub(lambda found: _moment(found[0]), text)


def _moment(stamp: str) -> str:
    try:
        return moment(datetime.fromisoformat(stamp))
    except (ValueError, OverflowError):
        return stamp  # looks like a time, and is none


def width(text: str) -> int:
    """How wide it is on a screen."""
    return len(_SGR.sub("", text))


def table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> list[str]:
    """Aligned columns, two spaces apart; the columns named in `right` end at the same place."""
    lines = [header, *rows]
    widths = [max(width(line[column]) for line in lines) for column in range(len(header))]
    text = []
    for line in lines:
        cells = []
        for column, cell in enumerate(line):
            padding = " " * (widths[column] - width(cell))
            cells.append(padding + cell if header[column] in right else cell + padding)
        text.append("  ".join(cells).rstrip())
    return text
