# ruff: noqa: ARG002 - a toy engine has no use for everything a hook is given
"""A capture of a member's files: what is meant by a name, and the dump that is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from hasteward import EngineSpec, hookimpl
from hasteward.domain.capability import Capability, DumpLayout, EngineInfo, Supported
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError, InvalidInput, Refused, Unproven
from hasteward.domain.plan import Plan, Reversal, Step
from hasteward.domain.snapshot import SnapshotEntry, SnapshotFilter
from hasteward.kit.sections import SectionWriter
from hasteward.kit.streaming import upload
from hasteward.pipelines.backup import BackupOptions, backup
from hasteward.pipelines.catalog import backups, find
from hasteward.pipelines.escrow import Escrow
from hasteward.pipelines.export import export
from hasteward.pipelines.extract import choose, extract, is_capture, wanted_snapshot, wanted_snapshots
from hasteward.pipelines.restore import RestoreRequest, RestoreResult, restore
from hasteward.plugins import Engine
from hasteward.ports.context import (
    DumpOptions,
    DumpProof,
    DumpSink,
    EngineContext,
    RestoreOptions,
    RestoreOutcome,
    RestoreSource,
)
from hasteward.ports.kubernetes import PODS, PodRef
from hasteward.streams.proof import Algorithm
from hasteward.testing import FakeKubernetes, Result, World
from hasteward.testing.conformance.base import Attempt, everything
from hasteward.testing.faults import Killed
from hasteward.testing.reporter import Approval

CLUSTER = ClusterRef("crates", "db", "crate")
MEMBER = PodRef("db", "crate-2", "main")
FILES = b"files of crate-2\n" * 40 + b"# end"
LIVE = b"what crate-2 says\n# end"


class Crates(EngineSpec):
    """Its scratch server is a pod that gives back what it was given."""

    @hookimpl
    def info(self) -> EngineInfo:
        able = {one: Supported() for one in (Capability.DUMP, Capability.RESTORE, Capability.EXTRACT)}
        return EngineInfo(
            "crates", "crates", "crate.sql", "crate-1", able, capture=DumpLayout("crate.tar", "physical")
        )

    @hookimpl
    def dump(
        self, context: EngineContext, cluster: ClusterRef, sink: DumpSink, options: DumpOptions
    ) -> DumpProof:
        if not context.approve(Plan("dump", (Step("read it"),))):
            return DumpProof("crate-2", "1", (), planned_only=True)
        writer = SectionWriter(context, sink, Algorithm.SHA256)
        writer.stream("crate", "", MEMBER, ["say"], end_marker=b"# end")
        return DumpProof("crate-2", "1", writer.sections)

    @hookimpl
    def restore(
        self, context: EngineContext, cluster: ClusterRef, source: RestoreSource, options: RestoreOptions
    ) -> RestoreOutcome:
        if not context.approve(Plan("swap", (Step("swap it", Reversal.REVERSIBLE),))):
            return RestoreOutcome(planned_only=True)
        self.load(context, MEMBER, source)
        return RestoreOutcome(("crate",))

    @hookimpl
    def extract(
        self, context: EngineContext, cluster: ClusterRef, source: RestoreSource, sink: DumpSink
    ) -> DumpProof:
        if not context.approve(Plan("make a dump", (Step("in a scratch server"),))):
            return DumpProof("crate-2", "1", (), planned_only=True)
        scratch = PodRef("db", f"scratch-{context.run.id}", "main")
        body = {"metadata": {"name": scratch.name}, "spec": {"containers": [{"name": "main"}]}}
        try:
            context.kubernetes.create(PODS, "db", body)
            self.load(context, scratch, source)
            writer = SectionWriter(context, sink, Algorithm.SHA256)
            writer.stream("crate", "", scratch, ["say"], end_marker=b"# end")
        finally:
            self.remove(context, scratch)
        return DumpProof("crate-2", "1", writer.sections, {"of": source.snapshot_id})

    def load(self, context: EngineContext, pod: PodRef, source: RestoreSource) -> None:
        for section, pieces in source.read([section.key for section in source.manifest.sections]):
            kind = Algorithm(section.algorithm)
            proof = upload(context, pod, ["take"], pieces, what="the load", algorithm=kind)
            if proof.digest != section.digest:
                raise Unproven("what was loaded is not what was stored")

    def remove(self, context: EngineContext, pod: PodRef) -> None:
        try:
            context.kubernetes.delete(PODS, "db", pod.name)
        except HastewardError:
            context.kubernetes.delete(PODS, "db", pod.name)


ENGINE = Engine(Crates().info(), Crates(), frozenset({"dump", "restore", "extract"}))


@dataclass
class Crate:
    """What runs in the pods."""

    held: dict[str, bytes]

    def __call__(self, pod: PodRef, argv: Sequence[str], stdin: bytes) -> Result:
        if argv[0] == "take":
            self.held[pod.name] = stdin
        return Result(self.held.get(pod.name, b"")) if argv[0] == "say" else Result()


def empty_world() -> World:
    crate = Crate({"crate-2": LIVE})
    kubernetes = FakeKubernetes(crate)
    kubernetes.add(PODS, {"metadata": {"name": "crate-2", "namespace": "db"}})
    return World(CLUSTER, kubernetes, lambda: crate.held["crate-2"], damage=lambda: None)


def captured(world: World, files: bytes = FILES) -> str:
    """What a repair saves of crate-2."""

    def produce(sink: DumpSink) -> DumpProof:
        writer = SectionWriter(context, sink, Algorithm.SHA256)
        writer.text("files", "", files)
        return DumpProof("crate-2", "1", writer.sections)

    context = world.context()
    return Escrow(ENGINE, context, CLUSTER, world.repository).save(2, "crate.tar", "physical", produce)


def with_capture() -> World:
    world = empty_world()
    captured(world)
    return world


def meant(world: World, reference: str = "latest") -> SnapshotEntry:
    wanted = wanted_snapshots(ENGINE, ENGINE.layout({}), CLUSTER, 2)
    return find(world.repository, reference, *wanted)


def made(world: World) -> SnapshotEntry | None:
    return extract(ENGINE, world.context(), CLUSTER, world.repository, meant(world))


def content(world: World, entry: SnapshotEntry) -> bytes:
    output = bytearray()

    class Output:
        def write(self, data: memoryview, /) -> object:
            output.extend(data)
            return None

    export(world.context(), world.repository, entry.snapshot.id, SnapshotFilter(), Output())
    return bytes(output)


def pods(world: World) -> list[str]:
    return sorted(key[2] for key in world.kubernetes.objects if key[0] == PODS.title)


def restored(world: World, snapshot: str = "latest") -> RestoreResult:
    request = RestoreRequest(snapshot, RestoreOptions(instance=2))
    return restore(ENGINE, world.context(), CLUSTER, world.repository, request)


def test_the_dump_of_a_capture_has_its_job_and_its_time_and_leaves_no_pod() -> None:
    world = with_capture()
    capture = meant(world)

    found = made(world)

    assert found is not None
    assert is_capture(ENGINE, capture)
    assert not is_capture(ENGINE, found)
    tags = capture.snapshot.tags
    assert found.snapshot.tags == replace(
        tags, run=found.snapshot.tags.run, format="crate-1", reason="extract"
    )
    assert found.snapshot.tags.run != tags.run
    assert (found.snapshot.time, found.snapshot.path) == (capture.snapshot.time, "db/crate/2-crate.sql")
    assert [one.snapshot.id for one in world.proven()] == sorted(
        [found.snapshot.id, capture.snapshot.id], reverse=True
    )
    assert content(world, found) == FILES
    assert pods(world) == ["crate-2"]


def test_it_is_made_once() -> None:
    world = with_capture()
    capture = meant(world)
    first = made(world)
    writes = len(world.kubernetes.writes)

    again = extract(ENGINE, world.context(), CLUSTER, world.repository, capture)

    assert first is not None
    assert again is not None
    assert again.snapshot.id == first.snapshot.id
    assert len(world.kubernetes.writes) == writes


def test_an_engine_that_makes_no_dump_of_files_says_how_to_get_at_them() -> None:
    """Never the older dump in their place: it lacks what the files were captured for."""
    world = with_capture()
    files = meant(world)
    info = replace(ENGINE.info, capabilities={Capability.RESTORE: Supported()})
    unable = Engine(info, Crates(), frozenset({"restore"}))

    for reference in ("latest", files.snapshot.id):
        with pytest.raises(InvalidInput, match="crates makes no dump of them") as refused:
            restore(
                unable,
                world.context(),
                CLUSTER,
                world.repository,
                RestoreRequest(reference, RestoreOptions(instance=2)),
            )
        assert refused.value.code == "snapshot.files"
        assert refused.value.hint == (
            "the files: hasteward export -e crates -c crate -n db -i 2"
            f" --snapshot {files.snapshot.short_id} --raw -o crate.tar"
        )
    world.clock.sleep(1)
    backup(ENGINE, world.context(), CLUSTER, world.repository, BackupOptions("diverged", 2))  # type: ignore[arg-type]

    newer = choose(unable, world.repository, "latest", ENGINE.layout({}), cluster=CLUSTER, instance=2)

    assert not is_capture(ENGINE, newer)
    assert pods(world) == ["crate-2"]


def test_latest_prefers_files_to_the_dump_of_the_same_run_and_their_dump_to_both() -> None:
    world = empty_world()
    context = world.context()
    options = BackupOptions("diverged", 2, reason="escrow")  # type: ignore[arg-type]
    backup(ENGINE, context, CLUSTER, world.repository, options)
    dump = meant(world)
    escrow = Escrow(ENGINE, context, CLUSTER, world.repository)

    def produce(sink: DumpSink) -> DumpProof:
        writer = SectionWriter(context, sink, Algorithm.SHA256)
        writer.text("files", "", FILES)
        return DumpProof("crate-2", "1", writer.sections)

    files = escrow.save(2, "crate.tar", "physical", produce)

    assert not is_capture(ENGINE, dump)
    assert meant(world).snapshot.id == files
    found = made(world)
    assert found is not None
    assert meant(world).snapshot.id == found.snapshot.id
    assert meant(world, dump.snapshot.id) == dump
    assert meant(world, files).snapshot.id == files


def test_the_dump_of_an_old_capture_is_not_newer_than_a_younger_one() -> None:
    world = with_capture()
    old = meant(world)
    young = captured(world, b"younger # end")

    made_of_old = extract(ENGINE, world.context(), CLUSTER, world.repository, old)

    assert made_of_old is not None
    assert meant(world).snapshot.id == young


def test_only_the_files_are_meant_where_only_they_are_asked_for() -> None:
    world = with_capture()
    capture = meant(world)
    found = made(world)
    assert found is not None
    files = ENGINE.info.capture
    assert files is not None

    assert find(world.repository, "latest", wanted_snapshot(files, CLUSTER, 2)) == capture


def test_a_snapshot_of_another_kind_is_told_apart_by_what_could_be_meant() -> None:
    world = with_capture()
    normal = backup(ENGINE, world.context(), CLUSTER, world.repository, BackupOptions())

    with pytest.raises(InvalidInput, match=r"not of db/crate/2-crate.sql or db/crate/2-crate.tar"):
        meant(world, normal.snapshot)


def test_a_restore_of_a_capture_makes_its_dump_and_takes_that() -> None:
    world = with_capture()

    result = restored(world)

    assert world.content() == FILES
    assert result.snapshot == meant(world).snapshot.id
    assert [plan.title for plan in world.approval.plans] == ["make a dump", "swap"]
    assert pods(world) == ["crate-2"]


def test_a_dry_run_of_that_shows_the_first_plan_and_touches_nothing() -> None:
    world = with_capture()
    world.approval = Approval(answer=False)
    before = world.picture()

    result = restored(world)

    assert result.dry_run
    assert world.picture() == before
    assert [plan.title for plan in world.approval.plans] == ["make a dump"]


def test_an_unproven_capture_is_refused() -> None:
    world = with_capture()
    capture = meant(world).snapshot
    world.repository.listed = [one for one in world.repository.listed if one.tags.type != "manifest"]

    with pytest.raises(Refused, match="is unproven"):
        restored(world, capture.id)

    assert pods(world) == ["crate-2"]


def test_a_changed_byte_of_a_capture_becomes_no_dump() -> None:
    world = with_capture()
    capture = meant(world).snapshot.id
    stored = bytearray(world.repository.files[capture])
    stored[77] ^= 1
    world.repository.files[capture] = bytes(stored)

    with pytest.raises(Unproven):
        made(world)

    assert len(world.proven()) == 1
    assert pods(world) == ["crate-2"]


def test_an_engine_without_captures_means_dumps_alone() -> None:
    info = replace(ENGINE.info, capture=None)
    plain = Engine(info, Crates(), frozenset({"dump", "restore"}))
    layout = plain.layout({})

    assert wanted_snapshots(plain, layout, CLUSTER, 2) == (wanted_snapshot(layout, CLUSTER, 2),)
    assert wanted_snapshots(ENGINE, layout, CLUSTER, None) == (wanted_snapshot(layout, CLUSTER, None),)


def _judge(each: Attempt) -> list[str]:
    """What is wrong after an attempt to make the dump, and after the next one."""
    wrong = [each.wrong_end] if each.wrong_end else []
    world = each.world
    killed = isinstance(each.error, Killed)
    if len(pods(world)) > 1 and not killed:
        wrong.append(f"{each.fault}: the scratch server stays")
    world.next_run()
    dumps = [one for one in backups(world.repository, SnapshotFilter(reason="extract")) if one.proven]
    if len(dumps) not in ({0, 1} if killed else {0} if each.error else {1}):
        wrong.append(f"{each.fault}: {len(dumps)} dumps count, and it ended with {each.error}")
    found = made(world) if is_capture(ENGINE, meant(world)) else meant(world)
    if found is None or content(world, found) != FILES:
        wrong.append(f"{each.fault}: the next run did not make it")
    return wrong


def test_a_dump_of_a_capture_that_fails_or_is_killed_is_not_there() -> None:
    """Every call fails in every way, every stream is lost everywhere, and we die before every call."""
    attempts = list(everything(with_capture, made))

    assert [text for each in attempts for text in _judge(each)] == []
    assert len(attempts) > 100


def test_a_restore_of_a_capture_that_fails_or_is_killed_leaves_the_old_or_the_new() -> None:
    wrong: list[str] = []
    for each in everything(with_capture, restored):
        wrong += [each.wrong_end] if each.wrong_end else []
        world = each.world
        world.next_run()
        restored(world)
        if world.content() != FILES:
            wrong.append(f"{each.fault}: the next run did not bring it back")

    assert wrong == []
