"""Troubles that take minutes, on real servers: members lost for good, a majority lost, another cluster."""

from __future__ import annotations

import base64
import io
import tarfile
from collections.abc import Iterator

import pytest
from vault_real import Bao

from hasteward.domain.errors import Refused, RunFailed
from hasteward.domain.report import Authority, Health, Remediation
from hasteward.testing.repository import FakeRepository
from hasteward_lab.lab import Lab

pytestmark = [pytest.mark.servers, pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture
def bao() -> Iterator[Bao]:
    """A cluster of its own for every trouble."""
    with Lab.up(part="openbao", cluster="bao", namespace="vault", volume_size="256Mi") as lab:
        yield Bao(lab)


def scale(bao: Bao, replicas: int) -> None:
    path = "/apis/apps/v1/namespaces/vault/statefulsets/bao"
    bao.lab.client.call("PATCH", path, {"spec": {"replicas": replicas}})


def test_a_peer_whose_pod_is_gone_for_good_is_taken_out(bao: Bao) -> None:
    scale(bao, 4)
    bao.until(lambda found: found.details.get("quorum", {}).get("voters") == 4)
    scale(bao, 3)
    report = bao.until(lambda found: found.details["deadPeers"] == ["bao-3"], seconds=120)
    assert report.details["quorum"] == {"voters": 4, "reached": 3, "needed": 3, "mayLose": 0}

    result = bao.repair(FakeRepository())

    assert [target.member for target in result.treated] == ["bao-3"]
    assert result.after is not None
    assert (result.after.healthy, result.after.details["quorum"]["mayLose"]) == (True, 1)


def test_a_member_that_was_taken_out_is_captured_made_anew_and_follows_again(bao: Bao) -> None:
    leader = bao.leader()
    stray = next(f"bao-{number}" for number in range(3) if f"bao-{number}" != leader)
    bao.put("before", "yes", leader)
    bao.call("POST", "sys/storage/raft/remove-peer", {"server_id": stray}, leader)
    bao.until(lambda found: any(d.member == stray for d in found.diagnoses))
    report = bao.triage()
    assert report.authority is Authority.PROVABLE
    store = FakeRepository()

    result = bao.repair(store)

    assert [(t.member, t.capture) for t in result.treated] == [(stray, True)]
    assert any(s.path.endswith("-raft-data.tar") for s in store.listed)
    report = bao.until(lambda found: found.healthy)
    assert report.details["quorum"]["reached"] == 3
    assert bao.get("before", leader) == "yes"


def test_two_of_three_down_is_told_and_what_is_left_can_be_saved(bao: Bao) -> None:
    leader = bao.leader()
    others = [f"bao-{number}" for number in range(3) if f"bao-{number}" != leader]
    bao.put("committed", "yes", leader)
    for name in others:
        bao.lab.stop(name)
    report = bao.until(lambda found: found.authority is not Authority.PROVABLE)

    assert report.authority is Authority.UNDETERMINABLE
    assert {a.member for a in report.assessments if a.health is Health.DOWN} == set(others)
    with pytest.raises(Refused, match="no member of vault/bao is proven to lead"):
        bao.backup(FakeRepository())
    for instance in range(3):
        with pytest.raises(Refused, match="cannot be determined"):
            bao.repair(FakeRepository(), instance=instance, force=True)
    for name in others:
        bao.lab.start(name)
    bao.until(lambda found: found.healthy)
    assert bao.get("committed", bao.leader()) == "yes"


def test_with_the_majority_lost_for_good_a_survivor_goes_on_by_force_and_the_others_join_it(bao: Bao) -> None:
    """Two of three are gone: down first, which decides nothing; then their claims are deleted."""
    leader = bao.leader()
    others = [f"bao-{number}" for number in range(3) if f"bao-{number}" != leader]
    ordinal = int(leader[-1])
    bao.put("committed", "yes", leader)
    bao.lab.stop(others[0])
    lose(bao, others[1])
    report = bao.until(lambda found: any(d.id == "vault-may-return" for d in found.diagnoses))
    assert report.authority is Authority.UNDETERMINABLE
    with pytest.raises(Refused, match="cannot be determined"):
        bao.repair(FakeRepository(), instance=ordinal, force=True)
    bao.lab.start(others[0])
    lose(bao, others[0])
    report = bao.until(lambda found: found.authority is Authority.MAJORITY_LOST)
    assert [(d.id, d.severity) for d in report.diagnoses if d.id == "vault-majority-lost"]
    with pytest.raises(Refused, match="is for a person to say"):
        bao.repair(FakeRepository(), instance=ordinal)
    store = FakeRepository()

    result = bao.repair(store, instance=ordinal, force=True)

    assert [(t.member, t.remediation) for t in result.treated] == [(leader, Remediation.BOOTSTRAP)]
    (kept,) = (s for s in store.listed if s.path == f"vault/bao/{ordinal}-raft-data.tar")
    with tarfile.open(fileobj=io.BytesIO(store.files[kept.id])) as tar:
        assert {"vault.db", "raft/raft.db"} <= set(tar.getnames())
    report = bao.until(lambda found: found.healthy, seconds=120)
    assert report.details["quorum"]["reached"] == 3
    assert bao.get("committed", leader) == "yes"


def lose(bao: Bao, name: str) -> None:
    """Its claim is deleted with all that it held; it comes back empty."""
    bao.lab.client.call("DELETE", f"/api/v1/namespaces/vault/persistentvolumeclaims/data-{name}")
    bao.lab.delete_pod(name)


def test_a_full_disk_is_told_before_it_stops_the_server(bao: Bao) -> None:
    leader = bao.leader()
    victim = next(f"bao-{number}" for number in range(3) if f"bao-{number}" != leader)
    bao.lab.fill(victim, 64 * 1024)

    # on a busy machine the servers may hold an election meanwhile
    report = bao.until(
        lambda found: bool(found.details["leader"]) and any(d.id == "vault-disk" for d in found.diagnoses)
    )

    assert [d.member for d in report.diagnoses if d.id == "vault-disk"] == [victim]
    store = FakeRepository()
    bao.backup(store)
    leader = bao.leader()
    bao.lab.fill(leader, 64 * 1024)
    with pytest.raises(Refused, match="free on its volume"):
        bao.restore(store)
    bao.lab.fill(leader, -1)
    bao.lab.fill(victim, -1)
    bao.until(lambda found: found.healthy)


def test_another_clusters_snapshot_needs_force_and_its_own_keys(bao: Bao) -> None:
    store = FakeRepository()
    bao.put("whose", "the first one's", bao.leader())
    bao.backup(store)
    data = bao.lab.client.call("GET", "/api/v1/namespaces/vault/secrets/bao-unseal")["data"]
    key = base64.b64decode(data["unseal-key"]).decode()
    root = base64.b64decode(data["root-token"]).decode()
    bao.lab.down()
    with Lab.up(part="openbao", cluster="bao", namespace="vault", volume_size="256Mi") as lab:
        other = Bao(lab)
        leader = other.leader()
        other.put("whose", "the second one's", leader)
        with pytest.raises(Refused, match="its cluster id is") as caught:
            other.restore(store)
        assert caught.value.code == "restore.other_cluster"
        assert other.get("whose", leader) == "the second one's"
        lab.operator_down()
        other.heal_seconds = 10

        with pytest.raises(RunFailed, match="is installed, but the cluster does not stand") as failed:
            other.restore(store, force=True)

        assert "keys of the snapshot's time" in failed.value.hint
        script = (
            f"bao operator unseal {key} >/dev/null; export BAO_TOKEN={root}; bao read -field=value kv/whose"
        )
        for _ in range(60):
            answers = [lab.exec(pod, ["sh", "-c", script]).stdout for pod in lab.pods]
            if b"the first one's" in answers:
                break
            lab.exec(leader, ["sleep", "0.5"])
        assert b"the first one's" in answers
