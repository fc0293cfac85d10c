"""Whether a dump is suspiciously small. A proven dump may still be of a database that somebody emptied."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median_low

from hasteward.domain.snapshot import SnapshotEntry, SnapshotFilter

#: how many predecessors say what is usual, and below which part of it a dump is flagged
COMPARED = 5
_PART = 0.5


def usual_size(found: Sequence[SnapshotEntry], wanted: SnapshotFilter, but: str) -> int | None:
    """What is usual for `wanted`, from its newest proven snapshots; `but` is the new one's id."""
    sizes = [
        entry.snapshot.size
        for entry in found
        if entry.proven
        and wanted.matches(entry.snapshot)
        and entry.snapshot.id != but
        and entry.snapshot.size is not None
    ]
    return median_low(sizes[:COMPARED]) if sizes else None


def has_shrunk(size: int, usual: int | None) -> bool:
    """Whether `size` is less than half of the usual one."""
    return usual is not None and size < usual * _PART
