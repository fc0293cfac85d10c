"""Which snapshot is meant, and what its manifest must say before anybody believes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hasteward.domain.capability import Capability, EngineInfo, Supported
from hasteward.domain.errors import InvalidInput, Refused, Unproven
from hasteward.domain.report import Authority, TriageReport
from hasteward.domain.snapshot import SnapshotFilter
from hasteward.pipelines.backup import BackupOptions, backup
from hasteward.pipelines.catalog import find, manifest_of
from hasteward.pipelines.export import export
from hasteward.pipelines.restore import RestoreRequest, restore
from hasteward.pipelines.sections import StoredSections
from hasteward.pipelines.triage import triage
from hasteward.plugins import Engine

ANY = SnapshotFilter()


class Output:
    def __init__(self) -> None:
        self.data = b""

    def write(self, data: memoryview, /) -> None:
        self.data += data


@pytest.fixture
def saved(world: Any, cluster: Any) -> Any:
    backup(world.engine, world.context(), cluster, world.repository, BackupOptions())
    return world


def newest(world: Any) -> Any:
    return find(world.repository, "latest", ANY)


def change_manifest(world: Any, change: Callable[[dict[str, Any]], None]) -> None:
    entry = newest(world)
    document = json.loads(world.repository.files[entry.manifest_id])
    change(document)
    world.repository.files[entry.manifest_id] = json.dumps(document).encode()


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"run": "another"},
        {"path": "db/box/other.txt"},
        {"size": 1},
        {"sections": []},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_manifest_that_does_not_describe_its_snapshot_is_not_believed(
    saved: Any, change: dict[str, Any]
) -> None:
    change_manifest(saved, lambda document: document.update(change))

    with pytest.raises(Unproven, match="does not describe it"):
        manifest_of(saved.repository, newest(saved))


def test_a_manifest_that_cannot_be_read_is_not_believed(saved: Any) -> None:
    saved.repository.files[newest(saved).manifest_id] = b'{"run": 1'

    with pytest.raises(Unproven, match="cannot be read"):
        manifest_of(saved.repository, newest(saved))


def test_a_snapshot_whose_size_restic_did_not_record_is_held_to_its_sections(saved: Any) -> None:
    entry = newest(saved)
    without = replace(entry, snapshot=replace(entry.snapshot, size=None))

    assert manifest_of(saved.repository, without) == manifest_of(saved.repository, entry)


def test_an_id_that_fits_two_snapshots_is_refused(saved: Any) -> None:
    data = newest(saved).snapshot
    saved.repository.listed.append(replace(data, id=data.id[:20] + "0" * 44))

    with pytest.raises(InvalidInput, match="2 snapshot"):
        find(saved.repository, data.id[:8], ANY)


def test_a_dump_of_another_format_is_refused(saved: Any, cluster: Any) -> None:
    change_manifest(saved, lambda document: document.update(format="toy-2"))

    with pytest.raises(Refused, match="toy-2"):
        restore(saved.engine, saved.context(), cluster, saved.repository, RestoreRequest())


def test_a_section_that_is_not_stored_cannot_be_asked_for(saved: Any) -> None:
    entry = newest(saved)
    manifest = manifest_of(saved.repository, entry)
    source = StoredSections(saved.context(), saved.repository, entry.snapshot, lambda: manifest)

    assert source.snapshot_id == entry.snapshot.id
    with pytest.raises(InvalidInput, match="body:other"):
        next(source.read(["body:other"]))


def test_a_section_must_be_read_to_its_end(saved: Any) -> None:
    entry = newest(saved)
    manifest = manifest_of(saved.repository, entry)
    source = StoredSections(saved.context(), saved.repository, entry.snapshot, lambda: manifest)

    sections = source.read(["head", "body:box"])
    _, pieces = next(sections)
    next(pieces)
    next(sections)
    with pytest.raises(Unproven, match="not read to its end"):
        next(sections)


def test_what_is_fed_of_a_section_ends_before_its_closing_and_the_next_one_follows(saved: Any) -> None:
    entry = newest(saved)
    whole = manifest_of(saved.repository, entry)
    first, *others = whole.sections
    manifest = replace(whole, sections=(replace(first, closing=2, body_digest="x"), *others))
    source = StoredSections(saved.context(), saved.repository, entry.snapshot, lambda: manifest)
    stored = saved.repository.files[entry.snapshot.id]

    sections = source.read([section.key for section in whole.sections])
    read = {section.key: b"".join(bytes(piece) for piece in pieces.fed()) for section, pieces in sections}

    assert read[first.key] == stored[: first.length - 2]
    for section in others:
        assert read[section.key] == stored[section.offset : section.offset + section.length]


def test_a_stored_file_that_ends_too_soon_is_not_the_proven_one(saved: Any) -> None:
    data = newest(saved).snapshot
    saved.repository.files[data.id] = saved.repository.files[data.id][:-1]

    with pytest.raises(Unproven, match=f"ends at byte {data.size - 1}"):
        export(saved.context(), saved.repository, "latest", ANY, Output())


def test_an_unproven_snapshot_is_exported_with_a_warning(saved: Any) -> None:
    data = newest(saved).snapshot
    foreign = replace(data, id="ab" * 32, tags=replace(data.tags, proof="", run=""))
    saved.repository.listed.append(foreign)
    saved.repository.files[foreign.id] = b"whatever it holds"
    output = Output()

    result = export(saved.context(), saved.repository, "abababab", ANY, output)

    assert (output.data, result.proven, result.sections) == (b"whatever it holds", False, 0)
    assert saved.reporter.warnings() == ["snapshot.unproven"]


def test_an_export_reports_its_progress(saved: Any) -> None:
    class Slow(Output):
        def write(self, data: memoryview, /) -> None:
            super().write(data)
            saved.clock.sleep(1)

    before = len(saved.reporter.events)
    export(saved.context(), saved.repository, "latest", ANY, Slow())

    assert [event.done for event in saved.reporter.events[before:]] == sorted(
        event.done for event in saved.reporter.events[before:]
    )
    assert saved.reporter.events[-1].done == newest(saved).snapshot.size


def test_an_engine_that_acts_without_an_approved_plan_is_stopped(saved: Any, cluster: Any) -> None:
    spec = saved.engine._plugin

    def hasty(*, context: Any, **_rest: Any) -> Any:
        context.check_lease()

    spec.restore = hasty
    with pytest.raises(Refused, match="not approved"):
        restore(saved.engine, saved.context(), cluster, saved.repository, RestoreRequest())


def test_triage_is_the_engines_answer_and_writes_nothing(world: Any, cluster: Any) -> None:
    report = TriageReport(cluster, Authority.PROVABLE, "one member", (), ())
    info = EngineInfo("toy", "a toy", capabilities={Capability.TRIAGE: Supported()})
    spec = type("Spec", (), {"triage": lambda _self, **_given: report})()

    assert triage(Engine(info, spec, frozenset({"triage"})), world.context(), cluster) is report
    assert world.kubernetes.writes == []
