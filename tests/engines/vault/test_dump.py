"""What is saved is a whole snapshot of a member that led from beginning to end, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from vault_kit import CLUSTER, ENGINE, TOKEN, Stage, World, archive

from hasteward.domain.errors import HastewardError, InvalidInput, Refused, RunFailed, Unproven
from hasteward.domain.snapshot import SnapshotType, entries
from hasteward.pipelines.backup import BackupOptions, BackupResult, backup
from hasteward.pipelines.catalog import manifest_of
from hasteward.testing.kubernetes import Loss, StreamFault
from hasteward.testing.repository import FakeRepository

HEAD = "operator raft snapshot save /dev/stdout"


def run(stage: Stage, store: FakeRepository, instance: int | None = None) -> BackupResult:
    kind = SnapshotType.BACKUP if instance is None else SnapshotType.DIVERGED
    return backup(ENGINE, stage.context, CLUSTER, store, BackupOptions(kind, instance=instance))


def test_the_leaders_snapshot_is_saved_unpacked_with_whose_it_is(stage: Stage) -> None:
    store = FakeRepository()

    result = run(stage, store)

    assert store.files[result.snapshot] == stage.world.snapshot
    assert (result.path, result.member) == ("vault/bao/raft.snap", "bao-0")
    manifest = manifest_of(store, entries(store.listed)[0])
    assert manifest.catalog == {
        "identity": {
            "cluster_id": "c-1",
            "seal_type": "shamir",
            "threshold": 3,
            "shares": 5,
            "key_term": 1,
        },
        "index": 50,
        "term": 3,
        "peers": ["bao-0"],
        "leader": "bao-0",
        "stateful_set": "bao",
    }
    assert TOKEN.encode() not in b"".join(store.files.values())
    assert stage.api.writes == ["create leases hasteward-vault-bao", "replace leases hasteward-vault-bao"]


def test_a_dry_run_takes_nothing(stage: Stage) -> None:
    stage.approval.answer = False
    store = FakeRepository()

    assert run(stage, store).dry_run
    assert (store.listed, stage.api.writes, "_save" in stage.world.calls) == ([], [], False)


def _stale(world: World) -> None:
    world.snapshot = archive(index=49)


def _failover(world: World) -> None:
    def happen() -> None:
        for server in world.servers.values():
            server.follows = server.marks = "bao-1"
            server.active = server.name == "bao-1"

    world.after_save = happen


def _lost_and_regained(world: World) -> None:
    def happen() -> None:
        world.servers["bao-0"].active_since = "2026-11-25T02:59:59Z"

    world.after_save = happen


def _majority_lost(world: World) -> None:
    def happen() -> None:
        world.servers["bao-0"].marks = ""

    world.after_save = happen


UNPROVEN: dict[str, tuple[Callable[[World], None], str]] = {
    "empty": (lambda w: setattr(w, "snapshot", b""), "proof.empty"),
    "truncated": (lambda w: setattr(w, "snapshot", w.snapshot[:3000]), "proof.end_marker"),
    "truncated_in_the_sums": (lambda w: setattr(w, "snapshot", w.snapshot[:-1800]), "proof.end_marker"),
    "truncated_at_zeros": (lambda w: setattr(w, "snapshot", w.snapshot[:5000] + bytes(512)), "proof.archive"),
    "zeros": (lambda w: setattr(w, "snapshot", bytes(4096)), "proof.archive"),
    "no_archive": (lambda w: setattr(w, "snapshot", b"{}" * 600), "proof.archive"),
    "older_than_the_leader": (_stale, "proof.stale"),
    "failover_meanwhile": (_failover, "proof.leader_lost"),
    "lost_and_regained": (_lost_and_regained, "proof.leader_lost"),
    "majority_lost_meanwhile": (_majority_lost, "proof.leader_lost"),
}


@pytest.mark.parametrize("name", UNPROVEN)
def test_what_is_not_a_whole_snapshot_of_a_lasting_leader_is_not_saved(stage: Stage, name: str) -> None:
    """planton#475, vault#12168, vault#15258: empty, truncated, and another member's answer."""
    change, code = UNPROVEN[name]
    change(stage.world)
    store = FakeRepository()

    with pytest.raises(Unproven) as caught:
        run(stage, store)
    assert (caught.value.code, store.listed) == (code, [])


def refused(stage: Stage, change: Callable[[World], None]) -> str:
    """The code of the error with which nothing was saved."""
    change(stage.world)
    store = FakeRepository()
    with pytest.raises(HastewardError) as caught:
        run(stage, store)
    assert store.listed == []
    return caught.value.code


def test_vault_12168_a_snapshot_that_was_cut_off_while_its_command_ended_well(stage: Stage) -> None:
    """Exit status 0 and a part of the archive: the client's own check came late."""
    assert refused(stage, lambda w: setattr(w, "snapshot", w.snapshot[:3000])) == "proof.end_marker"


def test_vault_15258_a_standby_that_passes_the_request_on_is_never_asked(stage: Stage) -> None:
    """What comes back through it may be incomplete: only the proven leader is asked, in its own pod."""
    stage.world.servers["bao-0"].active = False
    stage.world.servers["bao-0"].follows = ""
    assert refused(stage, lambda _w: None) == "dump.no_leader"
    assert "_save" not in stage.world.calls


def test_planton_475_an_empty_answer_that_calls_itself_a_success(stage: Stage) -> None:
    """A standby answers 200 with nothing in it."""
    assert refused(stage, lambda w: setattr(w, "snapshot", b"")) == "proof.empty"


def test_l8labs_an_archive_of_nothing_is_no_backup(stage: Stage) -> None:
    """`tar` ends well with an archive that holds no file: a whole tar, and no snapshot."""
    assert refused(stage, lambda w: setattr(w, "snapshot", bytes(10240))) == "proof.archive"


def test_a_producer_that_fails_is_not_saved_even_if_all_of_it_came(stage: Stage) -> None:
    stage.world.save_status = 2
    store = FakeRepository()

    with pytest.raises(RunFailed):
        run(stage, store)
    assert store.listed == []


@pytest.mark.parametrize("loss", list(Loss))
@pytest.mark.parametrize("at", [0, 700, 3000, 7000])
def test_a_damaged_stream_is_never_saved(stage: Stage, loss: Loss, at: int) -> None:
    stage.api.faults.append(StreamFault(loss, at, HEAD))
    store = FakeRepository()

    with pytest.raises(HastewardError):
        run(stage, store)
    assert store.listed == []


def test_a_token_that_may_not_is_refused_with_the_policy_that_would(stage: Stage) -> None:
    stage.world.allowed -= {"save"}

    with pytest.raises(RunFailed, match="permission denied") as caught:
        run(stage, FakeRepository())
    assert (caught.value.code, "deploy/vault/backup.hcl" in caught.value.hint) == ("token.refused", True)


def test_without_a_proven_leader_nothing_is_dumped_unasked(stage: Stage) -> None:
    stage.world.servers["bao-0"].marks = ""
    store = FakeRepository()

    with pytest.raises(Refused, match="has lost its majority") as caught:
        run(stage, store)
    assert (caught.value.code, store.listed, stage.api.writes) == ("dump.no_leader", [], [])


def test_what_a_leader_without_its_majority_has_is_saved_when_it_is_asked_for(stage: Stage) -> None:
    stage.world.servers["bao-0"].marks = ""
    store = FakeRepository()

    result = run(stage, store, instance=0)

    assert result.path == "vault/bao/0-raft.snap"
    assert stage.reporter.warnings() == ["dump.not_proven_newest"]
    assert "it is not proven that bao-0 holds the newest data" in " ".join(stage.approval.plans[0].notes)


def test_a_standby_is_never_dumped_for_its_answer_would_be_the_leaders(stage: Stage) -> None:
    with pytest.raises(Refused, match="it is a standby") as caught:
        run(stage, FakeRepository(), instance=1)
    assert caught.value.code == "dump.not_active"
    with pytest.raises(InvalidInput, match="has no member 9"):
        run(stage.fresh(), FakeRepository(), instance=9)


def test_the_release_names_the_set_too(stage: Stage) -> None:
    """`-c` is the StatefulSet or the Helm release."""
    stage = Stage()
    key = next(key for key in stage.api.objects if key[0] == "statefulsets.apps")
    body = stage.api.objects.pop(key)
    body["metadata"]["name"] = "bao"
    stage.api.objects[key] = body
    assert run(stage, FakeRepository()).member == "bao-0"
    with pytest.raises(InvalidInput):
        backup(ENGINE, stage.context, replace(CLUSTER, name="nobody"), FakeRepository(), BackupOptions())
