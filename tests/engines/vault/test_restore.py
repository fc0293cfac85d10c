from __future__ import annotations

from typing import Any

import pytest
from vault_kit import CLUSTER, ENGINE, TOKEN, Stage, World

from hasteward.domain.errors import HastewardError, Refused, RunFailed
from hasteward.domain.events import Warned
from hasteward.pipelines.backup import BackupOptions, backup
from hasteward.pipelines.restore import RestoreRequest, RestoreResult, restore
from hasteward.ports.context import RestoreOptions
from hasteward.testing.kubernetes import Loss, StreamFault
from hasteward.testing.repository import FakeRepository


@pytest.fixture
def store(stage: Stage) -> FakeRepository:
    """A repository that holds a backup of the stage."""
    found = FakeRepository()
    backup(ENGINE, stage.context, CLUSTER, found, BackupOptions())
    return found


def run(stage: Stage, store: FakeRepository, **options: Any) -> RestoreResult:
    request = RestoreRequest(options=RestoreOptions(**options))
    return restore(ENGINE, stage.context, CLUSTER, store, request)


def test_the_snapshot_is_installed_as_it_was_and_what_was_live_is_kept(
    stage: Stage, store: FakeRepository
) -> None:
    stage = stage.fresh()
    before = stage.world.snapshot

    result = run(stage, store)

    assert stage.world.installed == [(before, False)]
    assert result.outcome.restored == ("Raft entry 50",)
    assert result.outcome.kept == ("bao-0:/openbao/data/hasteward-kept-20261125T030000Z.snap",)
    assert list(stage.world.kept) == ["/openbao/data/hasteward-kept-20261125T030000Z.snap"]
    assert result.outcome.checks[-1] == "bao-0 leads and every member that was well before follows it"


def test_without_keeping_nothing_is_kept_and_the_plan_says_so(stage: Stage, store: FakeRepository) -> None:
    stage = stage.fresh()

    assert run(stage, store, keep_old=False).outcome.kept == ()
    assert stage.world.kept == {}
    assert stage.approval.plans[0].gives_up == ("everything that bao-0 holds now, up to entry 50; NOT kept",)


def test_a_dry_run_shows_the_plan_and_touches_nothing(stage: Stage, store: FakeRepository) -> None:
    stage = stage.fresh()
    stage.approval.answer = False

    assert run(stage, store).dry_run
    assert (stage.world.installed, stage.world.kept, stage.api.writes) == ([], {}, [])


def test_another_clusters_snapshot_is_refused_with_the_difference_named(
    stage: Stage, store: FakeRepository
) -> None:
    for server in stage.world.servers.values():
        server.cluster_id = "c-2"
    stage = stage.fresh()

    with pytest.raises(Refused, match="its cluster id is c-1, the live one's is c-2") as caught:
        run(stage, store)
    assert caught.value.code == "restore.other_cluster"
    assert (stage.world.installed, stage.world.kept, stage.api.writes) == ([], {}, [])

    run(stage.fresh(), store, force=True)
    assert [forced for _, forced in stage.world.installed] == [True]


def test_a_rotated_keyring_is_told_and_no_obstacle(stage: Stage, store: FakeRepository) -> None:
    stage.world.key_term = 4
    stage = stage.fresh()

    run(stage, store)

    assert "the keyring was rotated since: term 1 in the snapshot, 4 now" in stage.approval.plans[0].notes


@pytest.mark.parametrize(
    ("change", "options", "code"),
    [
        (lambda w: setattr(w.servers["bao-0"], "marks", ""), {}, "restore.no_leader"),
        (lambda w: setattr(w, "allowed", set()), {}, "restore.leader_unread"),
        (lambda w: setattr(w.servers["bao-0"], "free", 3), {}, "restore.space"),
        (lambda w: setattr(w, "temporary", 3), {}, "restore.temporary"),
        (lambda _: None, {"databases": ("kv",)}, "restore.databases"),
    ],
)
def test_every_gate_refuses_before_anything_is_touched(
    stage: Stage, store: FakeRepository, change: Any, options: dict[str, Any], code: str
) -> None:
    change(stage.world)
    stage = stage.fresh()

    with pytest.raises(Refused) as caught:
        run(stage, store, **options)
    assert (caught.value.code, bool(caught.value.hint)) == (code, True)
    assert (stage.world.installed, stage.world.kept, stage.api.writes) == ([], {}, [])


@pytest.mark.parametrize("loss", list(Loss))
@pytest.mark.parametrize("at", [0, 2000, 5500])
def test_a_broken_upload_leaves_the_old_data_or_the_new(
    stage: Stage, store: FakeRepository, loss: Loss, at: int
) -> None:
    stage = stage.fresh()
    stage.api.faults.append(StreamFault(loss, at, "operator raft snapshot restore"))

    with pytest.raises(HastewardError):
        run(stage, store)
    assert "_keep" in stage.world.calls, "every gate was passed"
    assert all(installed == stage.world.snapshot for installed, _ in stage.world.installed)
    assert stage.world.kept or not stage.world.installed, "what was replaced is never lost"


def test_bytes_that_are_not_the_proven_ones_are_never_installed(stage: Stage, store: FakeRepository) -> None:
    """The archive's end is held back until the repository has delivered every byte and it was compared."""
    data_id = next(s.id for s in store.listed if s.tags.type == "backup")
    for at in (600, 4000, len(store.files[data_id]) - 1500):
        damaged = bytearray(store.files[data_id])
        damaged[at] ^= 1
        broken = FakeRepository(listed=store.listed, files={**store.files, data_id: bytes(damaged)})
        with pytest.raises(HastewardError):
            run(stage.fresh(), broken)
        assert "_keep" in stage.world.calls, "every gate was passed"
    assert stage.world.installed == []


def test_a_server_that_refuses_leaves_the_live_data_and_the_message_says_why(
    stage: Stage, store: FakeRepository
) -> None:
    stage.world.refuses = "could not verify hash file, possibly the snapshot is using a different set of keys"
    stage = stage.fresh()

    with pytest.raises(RunFailed, match="what was live before is live still") as caught:
        run(stage, store)
    assert "--force" in caught.value.hint
    assert TOKEN not in str(caught.value)
    assert stage.world.kept == {}


def test_members_that_stay_sealed_are_told_with_what_opens_them(stage: Stage, store: FakeRepository) -> None:
    stage = stage.fresh()
    world = stage.world

    def seal(_call: str) -> None:
        if world.installed:
            for server in world.servers.values():
                server.sealed, server.active = True, False

    stage.api.on_call = seal

    with pytest.raises(RunFailed, match="is installed, but the cluster does not stand") as caught:
        run(stage, store)
    assert caught.value.code == "restore.not_standing"
    assert "unseal sealed members with the keys of the snapshot's time" in caught.value.hint


def test_a_restored_cluster_that_does_not_know_our_token_is_told(stage: Stage, store: FakeRepository) -> None:
    stage = stage.fresh()
    world: World = stage.world

    def forget(_call: str) -> None:
        if world.installed:
            world.allowed = set()

    stage.api.on_call = forget

    outcome = run(stage, store).outcome

    assert "does not know our token" in outcome.checks[-1]
    assert [event.code for event in stage.reporter.events if isinstance(event, Warned)] == ["restore.token"]
