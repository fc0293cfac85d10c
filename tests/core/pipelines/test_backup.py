"""No lie in the repository: what the backup pipeline leaves behind when anything fails anywhere."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from hasteward.domain.capability import Capability
from hasteward.domain.errors import DependencyError, HastewardError, InvalidInput, RunFailed, Unproven
from hasteward.domain.snapshot import SnapshotFilter, SnapshotTags, SnapshotType
from hasteward.pipelines.backup import BackupOptions, backup, save
from hasteward.pipelines.catalog import backups, find, manifest_of
from hasteward.pipelines.export import export
from hasteward.ports.context import DumpProof
from hasteward.streams.proof import TRAILER_LENGTH
from hasteward.testing.kubernetes import Loss, StreamFault

ANY = SnapshotFilter()


def run_backup(world: Any, cluster: Any, **options: Any) -> Any:
    return backup(world.engine, world.context(), cluster, world.repository, BackupOptions(**options))


class Collect:
    def __init__(self) -> None:
        self.data = b""

    def write(self, data: memoryview, /) -> None:
        self.data += data


def assert_every_counted_backup_restores(world: Any) -> int:
    counted = [entry for entry in backups(world.repository, ANY) if entry.proven]
    for entry in counted:
        output = Collect()
        export(world.context(), world.repository, entry.snapshot.id, ANY, output)
        assert output.data.endswith(b"-- the end\n")
    return len(counted)


def test_a_backup_is_saved_with_the_tags_and_path_of_the_readme(world: Any, cluster: Any) -> None:
    result = run_backup(world, cluster)

    entry = find(world.repository, "latest", SnapshotFilter(cluster="box"))
    assert entry.snapshot.id == result.snapshot
    assert entry.snapshot.path == "db/box/toy.txt"
    assert entry.snapshot.tags.pairs() == [
        "engine=toy",
        "cluster=box",
        "namespace=db",
        "type=backup",
        "job=20260102T030401Z",
        f"run={1:016x}",
        "format=toy-1",
        "proof=commit-1",
    ]
    manifest = manifest_of(world.repository, entry)
    assert [section.key for section in manifest.sections] == ["head", "body:box"]
    assert manifest.size == result.size == entry.snapshot.size


def test_a_diverged_capture_carries_the_ordinal_in_its_path(world: Any, cluster: Any) -> None:
    run_backup(world, cluster, type=SnapshotType.DIVERGED, instance=2)

    assert [entry.snapshot.path for entry in backups(world.repository, SnapshotFilter(type="diverged"))] == [
        "db/box/2-toy.txt"
    ]


def test_w16_latest_never_resolves_to_a_diverged_capture_of_the_same_second(world: Any, cluster: Any) -> None:
    normal = run_backup(world, cluster)
    world.runs = 0
    run_backup(world, cluster, type=SnapshotType.DIVERGED, instance=2)

    assert find(world.repository, "latest", SnapshotFilter(type="backup")).snapshot.id == normal.snapshot


def test_the_manifest_is_written_before_the_word(world: Any, cluster: Any) -> None:
    run_backup(world, cluster)

    assert [snapshot.tags.type for snapshot in world.repository.listed] == ["manifest", "backup"]


def test_a_dry_run_shows_the_plan_and_touches_nothing(world: Any, cluster: Any) -> None:
    world.approval.answer = False

    result = run_backup(world, cluster)

    assert result.dry_run
    assert len(world.approval.plans) == 1
    assert world.repository.listed == []
    assert world.kubernetes.writes == []


def test_a_missing_repository_is_reported_before_the_cluster_is_touched(world: Any, cluster: Any) -> None:
    world.repository.exists = False

    with pytest.raises(HastewardError) as caught:
        run_backup(world, cluster)

    assert caught.value.exit_code == 10
    assert world.kubernetes.writes == []


@pytest.mark.parametrize("loss", list(Loss))
def test_w13_no_fault_of_the_stream_at_any_byte_makes_a_backup(
    fresh_world: Any, cluster: Any, body: bytes, loss: Loss
) -> None:
    end = len(body) + TRAILER_LENGTH
    last = end - 1 if loss in {Loss.FLIP, Loss.DUPLICATE} else end
    points = sorted(
        {0, 1, 999, 1000, 1001, len(body) - 1, len(body), len(body) + 1, end - 1, *range(0, last, 97)}
    )
    for at in [point for point in points if point <= last]:
        world = fresh_world()
        world.kubernetes.faults.append(StreamFault(loss, at, match="toydump"))
        if loss is Loss.FALSE_SUCCESS and at == end:
            continue  # everything arrived and Success is true: no fault at all
        with pytest.raises(HastewardError) as caught:
            run_backup(world, cluster)
        assert caught.value.exit_code in {1, 22}, (loss, at, caught.value)
        assert assert_every_counted_backup_restores(world) == 0
        assert [s for s in world.repository.listed if s.tags.type == "backup"] == []


def test_every_call_failing_once_leaves_no_lie_and_no_lock(fresh_world: Any, cluster: Any) -> None:
    for k in itertools.count():
        world = fresh_world()
        calls = itertools.count()

        def fail(name: str, calls: Any = calls, k: int = k) -> None:
            if next(calls) == k:
                raise DependencyError(f"injected at {name}")

        world.repository.on_call = fail
        world.kubernetes.on_call = fail
        try:
            run_backup(world, cluster)
        except DependencyError:
            world.repository.on_call = world.kubernetes.on_call = lambda _name: None
            assert assert_every_counted_backup_restores(world) == 0
            world.clock.sleep(600)
            run_backup(world, cluster)
            assert assert_every_counted_backup_restores(world) == 1
        else:
            done = next(calls) <= k
            world.repository.on_call = world.kubernetes.on_call = lambda _name: None
            assert assert_every_counted_backup_restores(world) == 1
            if done:
                break
    assert k > 10


def test_a_manifest_without_its_data_is_not_a_backup(world: Any, cluster: Any) -> None:
    def killed(name: str) -> None:
        if name == "save.commit" and len(world.repository.listed) == 1:
            raise KeyboardInterrupt

    world.repository.on_call = killed
    with pytest.raises(KeyboardInterrupt):
        run_backup(world, cluster)

    assert [snapshot.tags.type for snapshot in world.repository.listed] == ["manifest"]
    world.repository.on_call = lambda _name: None
    assert backups(world.repository, ANY) == []
    with pytest.raises(InvalidInput):
        find(world.repository, "latest", ANY)


def test_a_store_that_loses_the_manifest_in_mid_dump_ends_the_dump(
    world: Any, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, produced = world.repository.save, 0

    @contextlib.contextmanager
    def mortal(path: str, *argv: Any, **options: Any) -> Iterator[Any]:
        def write(data: bytes) -> None:
            if produced >= 3:
                raise RunFailed(f"restic was killed with {len(data)} bytes of it", code="restic.killed")

        with begin(path, *argv, **options) as stream:
            if path.endswith(".manifest.json"):
                stream.write = write
            yield stream

    def produce(sink: Any) -> DumpProof:
        nonlocal produced
        for produced in range(1, 11):  # noqa: B007 - `mortal` looks at it
            world.clock.sleep(1)
            sink.write(b"a row\n")
        pytest.fail("the dump was finished in vain")

    monkeypatch.setattr(
        type(world.repository), "save", lambda _self, *argv, **options: mortal(*argv, **options)
    )
    tags = SnapshotTags(engine="toy", cluster="box", namespace="db", type="backup")
    with pytest.raises(RunFailed, match="killed with 0 bytes"):
        save(world.context(), world.repository, "db/box/toy.txt", tags, produce)

    assert produced == 3
    assert world.repository.listed == []


def test_sections_that_do_not_cover_the_file_are_not_a_backup(world: Any, cluster: Any) -> None:
    plugin = world.engine.require(Capability.DUMP)
    original = plugin.dump

    def gap(*, sink: Any, **rest: Any) -> Any:
        sink.write(b"unaccounted")
        return original(sink=sink, **rest)

    plugin.dump = gap
    with pytest.raises(Unproven):
        run_backup(world, cluster)

    assert world.repository.listed == []


def test_two_runs_on_one_cluster_exclude_each_other(world: Any, cluster: Any) -> None:
    refused: list[str] = []

    def second(name: str) -> None:
        if name == "save.end" and not refused:
            refused.append("")
            with pytest.raises(HastewardError) as caught:
                run_backup(world, cluster)
            refused[0] = caught.value.code

    world.repository.on_call = second
    run_backup(world, cluster)

    assert refused == ["lease.held"]


def test_an_engine_that_does_not_dump_says_so(world: Any, cluster: Any) -> None:
    world.engine._implemented = frozenset()

    with pytest.raises(InvalidInput, match="dump"):
        run_backup(world, cluster)


def test_a_dump_far_smaller_than_its_predecessors_is_kept_and_flagged(world: Any, cluster: Any) -> None:
    whole = world.server.live
    for _ in range(3):
        assert run_backup(world, cluster).shrunk_from is None
    world.server.live = whole[: len(whole) * 2 // 3] + b"-- the end\n"
    assert run_backup(world, cluster).shrunk_from is None
    world.server.live = b"row\n" * 400 + b"-- the end\n"

    result = run_backup(world, cluster)

    usual = len(whole) + len(b"-- head\n")
    assert (result.shrunk_from, result.size) == (usual, 1619)
    assert find(world.repository, "latest", ANY).snapshot.id == result.snapshot
    said = [event for event in world.reporter.events if getattr(event, "code", "") == "backup.shrunk"]
    assert f"the dump has 1619 bytes, and {usual} are usual for db/box/toy.txt" in said[0].text


def test_what_is_usual_is_asked_of_the_same_path_only_and_its_absence_is_said(
    world: Any, cluster: Any
) -> None:
    run_backup(world, cluster)
    world.server.live = b"-- the end\n"
    capture = run_backup(world, cluster, type=SnapshotType.DIVERGED, instance=2)
    assert capture.shrunk_from is None

    def fail(name: str) -> None:
        if name == "snapshots":
            raise DependencyError("the store went away")

    world.repository.on_call = fail
    assert run_backup(world, cluster).shrunk_from is None
    assert "backup.not_compared" in world.reporter.warnings()
