"""What is usual for a dump, and which one is suspiciously small."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hasteward.domain.shrink import has_shrunk, usual_size
from hasteward.domain.snapshot import PROOF, Snapshot, SnapshotEntry, SnapshotFilter, SnapshotTags

WANTED = SnapshotFilter(type="backup", path="ns/pg/dump.sql")


def entry(
    number: int, size: int | None, *, proven: bool = True, path: str = WANTED.path, kind: str = "backup"
) -> SnapshotEntry:
    """The newest has number 0."""
    time = datetime(2026, 1, 9, tzinfo=UTC) - timedelta(days=number)
    tags = SnapshotTags("toy", "pg", "ns", kind, run="r", proof=PROOF)
    return SnapshotEntry(Snapshot(str(number), time, path, tags, "t", size), proven=proven)


@pytest.mark.parametrize(
    ("found", "usual"),
    [
        ([], None),
        ([entry(1, 70)], 70),
        ([entry(1, 70), entry(2, 10), entry(3, 30)], 30),
        # of two in the middle the smaller: never a size that no dump had
        ([entry(1, 70), entry(2, 10)], 10),
        # the five newest count: what it was long ago is not what it is
        (
            [
                entry(1, 10),
                entry(2, 10),
                entry(3, 30),
                entry(4, 40),
                entry(5, 40),
                entry(6, 10),
                entry(7, 10),
            ],
            30,
        ),
        ([entry(0, 1), entry(1, 70)], 70),
        ([entry(1, 1, proven=False), entry(2, 70)], 70),
        ([entry(1, 1, path="ns/pg/2-dump.sql"), entry(2, 70)], 70),
        ([entry(1, 1, kind="diverged"), entry(2, 70)], 70),
        ([entry(1, None), entry(2, 70)], 70),
    ],
)
def test_the_middle_of_the_newest_proven_ones_of_its_kind_is_usual(
    found: list[SnapshotEntry], usual: int | None
) -> None:
    assert usual_size(found, WANTED, "0") == usual


@pytest.mark.parametrize(
    ("size", "usual", "shrunk"), [(49, 100, True), (50, 100, False), (100, 100, False), (0, None, False)]
)
def test_less_than_a_half_of_what_is_usual_has_shrunk(size: int, usual: int | None, shrunk: bool) -> None:
    assert has_shrunk(size, usual) is shrunk
