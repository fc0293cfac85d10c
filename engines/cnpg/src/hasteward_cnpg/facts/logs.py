"""What a server's own log says of why it does not run. Pure.

Only PANIC and FATAL count, and only by their words: "invalid record length" and its kin are how every
ordinary recovery ends, and were once taken for damage (W4). PostgreSQL's lines come as JSON records whose
level is always info; the severity is inside.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from hasteward_cnpg.evidence import Trouble

#: words of a FATAL or PANIC line (or of its detail), as PostgreSQL 14 to 18 write them
_WORDS: tuple[tuple[str, Trouble], ...] = (
    ("could not locate a valid checkpoint record", Trouble.NO_CHECKPOINT),
    ("could not locate required checkpoint record", Trouble.NO_CHECKPOINT),
    ("is not a child of this server's history", Trouble.NOT_A_CHILD),
    ("is not in this server's history", Trouble.NOT_A_CHILD),
    ("has already been removed", Trouble.WAL_REMOVED),
    ("No space left on device", Trouble.DISK_FULL),
    ("certificate verify failed", Trouble.CERTIFICATE),
    ("alert unknown ca", Trouble.CERTIFICATE),
    ("certificate authentication failed", Trouble.CERTIFICATE),
    ("alert certificate expired", Trouble.CERTIFICATE),
)
#: words of the instance manager itself, in `msg`
_MANAGER: tuple[tuple[str, Trouble], ...] = (
    ("Not enough WAL disk space", Trouble.DISK_FULL),
    ("Detected low-disk space condition", Trouble.DISK_FULL),
)
_GRAVE = frozenset({"FATAL", "PANIC"})
_WELL = "database system is ready to accept"


def troubles(lines: Iterable[str]) -> frozenset[Trouble]:
    """What the log names since the server last came up; what it said before that is over."""
    found: set[Trouble] = set()
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if not isinstance(entry, Mapping):
            continue
        record = entry.get("record")
        if isinstance(record, Mapping):
            if _WELL in str(record.get("message", "")):
                found.clear()
            found |= _of_record(record)
        else:
            said = str(entry.get("msg", ""))
            found |= {trouble for words, trouble in _MANAGER if words in said}
    return frozenset(found)


def _of_record(record: Mapping[str, Any]) -> set[Trouble]:
    if record.get("error_severity") not in _GRAVE:
        return set()
    text = " ".join(str(record.get(part, "")) for part in ("message", "detail"))
    return {trouble for words, trouble in _WORDS if words in text}
