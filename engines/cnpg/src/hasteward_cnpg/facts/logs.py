"""What a server's own log says of why it does not run. Pure.

Only PANIC and FATAL count, and only by their words: "invalid record length" and its kin are how every
ordinary recovery ends, and were once taken for damage (W4). PostgreSQL's lines come as JSON records whose
level is always info; the severity is inside.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
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
    ("has invalid permissions", Trouble.MODE),
    ("certificate verify failed", Trouble.CERTIFICATE),
    ("alert unknown ca", Trouble.CERTIFICATE),
    ("certificate authentication failed", Trouble.CERTIFICATE),
    ("alert certificate expired", Trouble.CERTIFICATE),
)
#: words of the instance manager itself, in `msg`, and of a server whose log is not collected yet
_MANAGER: tuple[tuple[str, Trouble], ...] = (
    ("Not enough WAL disk space", Trouble.DISK_FULL),
    ("Detected low-disk space condition", Trouble.DISK_FULL),
    ("has invalid permissions", Trouble.MODE),
)
_GRAVE = frozenset({"FATAL", "PANIC"})
_WELL = "database system is ready to accept"
_STREAMS = "started streaming WAL from primary"
#: a server that has not streamed for so long after it came up will not either when it is started once more
_TRIED = timedelta(seconds=60)


def troubles(lines: Iterable[str]) -> frozenset[Trouble]:
    """What the log names since the server last came up; what it said before that is over."""
    found: set[Trouble] = set()
    up: datetime | None = None
    for entry in _entries(lines):
        record = entry.get("record")
        if isinstance(record, Mapping):
            message = str(record.get("message", ""))
            if _WELL in message:
                found.clear()
                up = _time(entry)
            if _STREAMS in message:
                up = None
            found |= _of_record(record)
        else:
            said = str(entry.get("msg", ""))
            found |= {trouble for words, trouble in _MANAGER if words in said}
        now = _time(entry)
        if up is not None and now is not None and now - up > _TRIED:
            found.add(Trouble.NEVER_STREAMED)
    return frozenset(found if up is not None else found - {Trouble.NEVER_STREAMED})


def _entries(lines: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, Mapping):
            yield entry


def _time(entry: Mapping[str, Any]) -> datetime | None:
    """When it was written; None where that is not told in a way that can be compared."""
    try:
        found = datetime.fromisoformat(str(entry.get("ts")))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _of_record(record: Mapping[str, Any]) -> set[Trouble]:
    if record.get("error_severity") not in _GRAVE:
        return set()
    text = " ".join(str(record.get(part, "")) for part in ("message", "detail"))
    return {trouble for words, trouble in _WORDS if words in text}
