"""The live data changes only by the swap, and the swap only after the digest was compared in the pod."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from hasteward.domain.errors import DependencyError, HastewardError, InvalidInput, Refused, Unproven
from hasteward.pipelines.backup import BackupOptions, backup
from hasteward.pipelines.catalog import Begun
from hasteward.pipelines.restore import RestoreRequest, restore
from hasteward.testing.kubernetes import Loss, StreamFault
from hasteward.testing.repository import FakeRepository

OLD = b"damaged\n-- the end\n"


@pytest.fixture
def damaged(world: Any, cluster: Any) -> Any:
    backup(world.engine, world.context(), cluster, world.repository, BackupOptions())
    world.server.live = OLD
    return world


def run_restore(world: Any, cluster: Any, **request: Any) -> Any:
    return restore(world.engine, world.context(), cluster, world.repository, RestoreRequest(**request))


def test_the_newest_proven_backup_becomes_live(damaged: Any, cluster: Any, body: bytes) -> None:
    result = run_restore(damaged, cluster)

    assert damaged.server.live == body
    assert result.outcome.restored == ("box",)


def test_a_dry_run_changes_nothing(damaged: Any, cluster: Any) -> None:
    damaged.approval.answer = False
    before = list(damaged.kubernetes.writes)

    assert run_restore(damaged, cluster).dry_run

    assert damaged.server.live == OLD
    assert damaged.kubernetes.writes == before


class Reading(FakeRepository):
    """Notes when data begin to come, and when they are let go of."""

    @contextlib.contextmanager
    def read(self, snapshot_id: str, path: str, *, stall_seconds: float) -> Iterator[Iterator[memoryview]]:
        with super().read(snapshot_id, path, stall_seconds=stall_seconds) as chunks:
            self.on_call("read.begun")
            try:
                yield chunks
            finally:
                self.on_call("read.ended")


@pytest.fixture
def told(damaged: Any) -> list[str]:
    """The calls of the store from now on, and when the plan is shown."""
    calls: list[str] = []
    saved = damaged.repository
    damaged.repository = Reading(files=saved.files, listed=saved.listed, on_call=calls.append)
    asked = damaged.approval

    def approve(plan: Any) -> bool:
        calls.append("approve")
        return bool(asked(plan))

    damaged.approval = approve
    return calls


def test_where_nobody_is_waited_for_the_data_begin_to_come_before_the_gates_were_passed(
    damaged: Any, cluster: Any, body: bytes, told: list[str]
) -> None:
    request = RestoreRequest(agreed=True)
    with damaged.repository.listing() as found:
        context, repository = damaged.context(), damaged.repository
        restore(damaged.engine, context, cluster, repository, request, catalog=Begun(found))

    assert [call for call in told if call != "read.chunk"] == [
        *("open", "snapshots", "read", "read.begun", "read_small", "approve", "read.ended")
    ]
    assert damaged.server.live == body


@pytest.mark.parametrize("agreed", [False, True])
def test_of_a_run_that_is_refused_no_byte_was_read_and_the_store_is_let_go_of(
    damaged: Any, cluster: Any, told: list[str], agreed: bool
) -> None:
    def refuse(plan: Any) -> bool:
        raise Refused("no")

    damaged.approval = refuse
    with pytest.raises(Refused):
        run_restore(damaged, cluster, agreed=agreed)

    begun = ["read", "read.begun", "read_small", "read.ended"] if agreed else ["read_small"]
    assert told == ["open", "snapshots", *begun]
    assert damaged.server.live == OLD


@pytest.mark.parametrize("loss", list(Loss))
def test_no_fault_of_the_upload_at_any_byte_changes_the_live_data(
    fresh_world: Any, cluster: Any, body: bytes, loss: Loss
) -> None:
    for at in [0, 1, 2999, 3000, 3001, len(body) - 1]:
        world = fresh_world()
        backup(world.engine, world.context(), cluster, world.repository, BackupOptions())
        world.server.live = OLD
        world.kubernetes.faults.append(StreamFault(loss, at, match="toyload"))
        error: HastewardError | None = None
        try:
            run_restore(world, cluster)
        except HastewardError as caught:
            error = caught
        if error is not None:
            assert error.exit_code in {1, 22}, (loss, at)
            assert world.server.live == OLD
        else:
            # the trailer of an upload is short: a fault past its end strikes nothing
            assert loss in {Loss.CUT, Loss.STALL, Loss.NO_STATUS, Loss.KILLED}
            assert world.server.live == body


@pytest.mark.parametrize("agreed", [False, True])
def test_every_call_failing_once_leaves_old_or_new(
    fresh_world: Any, cluster: Any, body: bytes, agreed: bool
) -> None:
    for k in itertools.count():
        world = fresh_world()
        backup(world.engine, world.context(), cluster, world.repository, BackupOptions())
        world.server.live = OLD
        calls = itertools.count()

        def fail(name: str, calls: Any = calls, k: int = k) -> None:
            if next(calls) == k:
                raise DependencyError(f"injected at {name}")

        world.repository.on_call = world.kubernetes.on_call = fail
        failed = False
        try:
            run_restore(world, cluster, agreed=agreed)
        except DependencyError:
            failed = True
        world.repository.on_call = world.kubernetes.on_call = lambda _name: None
        assert world.server.live in {OLD, body}
        world.clock.sleep(600)
        run_restore(world, cluster, agreed=agreed)
        assert world.server.live == body
        if not failed and next(calls) <= k:
            break
    assert k > 8


def test_a_changed_byte_in_the_repository_is_never_restored(damaged: Any, cluster: Any) -> None:
    data = next(s for s in damaged.repository.listed if s.tags.type == "backup")
    stored = bytearray(damaged.repository.files[data.id])
    stored[500] ^= 1
    damaged.repository.files[data.id] = bytes(stored)

    with pytest.raises(Unproven, match="body:box"):
        run_restore(damaged, cluster)

    assert damaged.server.live == OLD


def test_an_unproven_snapshot_is_listed_and_refused(damaged: Any, cluster: Any) -> None:
    data = next(s for s in damaged.repository.listed if s.tags.type == "backup")
    foreign = replace(data, id="ab" * 32, tags=replace(data.tags, proof="", run=""))
    damaged.repository.listed.append(foreign)
    damaged.repository.files[foreign.id] = b"whatever"

    with pytest.raises(Refused, match="unproven"):
        run_restore(damaged, cluster, snapshot="abababab")

    assert damaged.server.live == OLD


@pytest.mark.parametrize(
    ("reference", "code"),
    [("zzzz", "snapshot.invalid"), ("12", "snapshot.invalid"), ("dead", "snapshot.unknown")],
)
def test_a_snapshot_that_does_not_exist_is_bad_input(
    damaged: Any, cluster: Any, reference: str, code: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        run_restore(damaged, cluster, snapshot=reference)

    assert caught.value.code == code


def test_a_snapshot_of_another_cluster_is_not_restored_here(damaged: Any, cluster: Any) -> None:
    data = next(s for s in damaged.repository.listed if s.tags.type == "backup")

    with pytest.raises(InvalidInput, match="not of"):
        run_restore(damaged, replace(cluster, name="other"), snapshot=data.id[:8])
