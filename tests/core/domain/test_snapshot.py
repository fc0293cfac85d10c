"""Which snapshot counts, and which one `latest` means."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import InvalidInput
from hasteward.domain.manifest import Section, covers
from hasteward.domain.snapshot import (
    PROOF,
    Snapshot,
    SnapshotEntry,
    SnapshotFilter,
    SnapshotTags,
    data_path,
    entries,
    manifest_path,
    newest_proven,
)

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
PATH = "ns/pg/dump.sql"


def snap(
    number: int, kind: str = "backup", *, run: str = "", proof: str = PROOF, path: str = PATH
) -> Snapshot:
    tags = SnapshotTags("toy", "pg", "ns", kind, run=run, proof=proof)
    return Snapshot(f"{number:064x}", EPOCH + timedelta(hours=number), path, tags, "t", 1)


def test_w13_a_snapshot_without_its_manifest_is_unproven() -> None:
    found = entries(
        [snap(1, run="a"), snap(2, run="b"), snap(3, "manifest", run="a", path=manifest_path(PATH))]
    )

    assert [(entry.snapshot.tags.run, entry.proven) for entry in found] == [("b", False), ("a", True)]


def test_latest_is_the_newest_proven_one_even_if_newer_ones_are_not() -> None:
    found = entries(
        [
            snap(1, run="a"),
            snap(1, "manifest", run="a", path=manifest_path(PATH)),
            snap(9, run="z"),
            snap(8, proof="", run="a"),
        ]
    )

    newest = newest_proven(found, SnapshotFilter(type="backup"))
    assert newest is not None
    assert newest.snapshot.id == f"{1:064x}"


def test_w16_latest_of_one_kind_ignores_the_others() -> None:
    other = "ns/pg/2-dump.sql"
    found = entries(
        [
            snap(5, "diverged", run="a", path=other),
            snap(5, "manifest", run="a", path=manifest_path(other)),
        ]
    )

    assert newest_proven(found, SnapshotFilter(type="backup")) is None
    assert newest_proven(found, SnapshotFilter(type="diverged")) is not None


def test_of_the_snapshots_of_one_time_the_first_that_is_wanted_decides() -> None:
    """And a time decides before any wish does."""
    old, dump, files = snap(1), snap(2), snap(2, "physical", path="ns/pg/2-pgdata.tar")
    same = replace(dump, id="0" * 64)
    found = [SnapshotEntry(each, proven=True) for each in (dump, same, files, old)]
    first, second = SnapshotFilter(type="backup"), SnapshotFilter(type="physical")

    assert newest_proven(found, first, second) == found[0]
    assert newest_proven(found, second, first) == found[2]
    assert newest_proven([found[1], found[0]], first) == found[1]
    assert newest_proven([found[2], found[3]], first, second) == found[2]


def test_a_manifest_of_another_path_in_the_same_run_vouches_for_nothing() -> None:
    found = entries([snap(1, run="a"), snap(1, "manifest", run="a", path=manifest_path("ns/pg/2-dump.sql"))])

    assert [entry.proven for entry in found] == [False]


def test_a_verdict_names_the_manifest_it_rests_on_wherever_that_is_listed() -> None:
    vouched, alone = snap(1, run="a"), snap(2, run="b")
    manifest = snap(7, "manifest", run="a", path=manifest_path(PATH))

    expected = [
        SnapshotEntry(alone, proven=False),
        SnapshotEntry(vouched, proven=True, manifest_id=manifest.id),
    ]
    assert entries([manifest, vouched, alone]) == expected
    assert entries([vouched, alone, manifest]) == expected
    assert entries([vouched, manifest, alone]) == expected


@pytest.mark.parametrize(
    ("data", "impostor"),
    [
        (snap(1, run="a"), snap(2, "backup", run="a", path=manifest_path(PATH))),
        (snap(1, run=""), snap(2, "manifest", run="", path=manifest_path(PATH))),
        (snap(1, run="a"), snap(2, "manifest", run="a", proof="", path=manifest_path(PATH))),
        (snap(1, run="a", proof=""), snap(2, "manifest", run="a", path=manifest_path(PATH))),
    ],
    ids=["of another type", "of no run", "without proof", "for data without proof"],
)
def test_what_only_looks_like_a_manifest_vouches_for_nothing(data: Snapshot, impostor: Snapshot) -> None:
    assert not any(entry.proven or entry.manifest_id for entry in entries([data, impostor]))


def test_a_snapshot_of_no_engine_is_none_of_ours() -> None:
    foreign = replace(snap(1), tags=SnapshotTags("", "pg", "ns", "backup"))

    assert entries([foreign]) == []


def test_tags_are_read_back_as_they_were_written() -> None:
    tags = SnapshotTags("toy", "pg", "ns", "backup", "job", "run", "format", PROOF, "escrow=of=pg-2")

    assert SnapshotTags.parse([*tags.pairs(), "foreign", "other=1"]) == tags
    assert SnapshotTags.parse(["foreign"]) == SnapshotTags("", "", "", "")


def test_paths_are_those_of_the_readme() -> None:
    cluster = ClusterRef("toy", "zeldas-lullaby", "zitadel-postgres")

    assert data_path(cluster, "d.sql") == "zeldas-lullaby/zitadel-postgres/d.sql"
    assert data_path(cluster, "d.sql", 2) == "zeldas-lullaby/zitadel-postgres/2-d.sql"


@pytest.mark.parametrize(
    ("what", "names"),
    [("engine", ("X", "b", "c")), ("namespace", ("a", "X", "c")), ("cluster", ("a", "b", "X"))],
)
def test_a_refused_name_says_whose_it_is(what: str, names: tuple[str, str, str]) -> None:
    with pytest.raises(InvalidInput, match=f"^{what} 'X' is not a Kubernetes name$"):
        ClusterRef(*names)


@pytest.mark.parametrize("name", ["", "../x", "a/b", "A", "x" * 300, "a,b", "-a", "a\n"])
def test_a_name_that_kubernetes_could_not_have_given_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        ClusterRef("toy", "ns", name)


def sections(lengths: list[int]) -> tuple[Section, ...]:
    made, offset = [], 0
    for length in lengths:
        made.append(Section("k", str(offset), offset, length, "sha256", "0"))
        offset += length
    return tuple(made)


@given(st.lists(st.integers(0, 1000), max_size=8))
def test_contiguous_sections_cover_exactly_their_sum(lengths: list[int]) -> None:
    assert covers(sections(lengths), sum(lengths))
    assert not covers(sections(lengths), sum(lengths) + 1)


def test_sections_that_overlap_or_run_backwards_cover_nothing() -> None:
    def made(*places: tuple[int, int]) -> tuple[Section, ...]:
        return tuple(Section("k", str(at), at, length, "sha256", "0") for at, length in places)

    assert covers(made((0, 5), (5, 5)), 10)
    assert not covers(made((1, 5)), 5)
    assert not covers(made((0, 5), (4, 5)), 10)
    assert not covers(made((0, 6), (6, -1), (5, 5)), 10)


def test_what_closes_a_section_lies_in_it() -> None:
    def closed(closing: int) -> tuple[Section, ...]:
        return (Section("k", "n", 0, 5, "sha256", "whole", closing, "body"),)

    assert [covers(closed(closing), 5) for closing in (-1, 0, 3, 5, 6)] == [False, True, True, True, False]
    assert [closed(closing)[0].fed_digest for closing in (0, 1)] == ["whole", "body"]


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=8), st.data())
def test_a_missing_section_is_a_gap(lengths: list[int], data: st.DataObject) -> None:
    whole = sections(lengths)
    lost = data.draw(st.integers(0, len(whole) - 1))

    assert not covers(whole[:lost] + whole[lost + 1 :], sum(lengths))
