from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hasteward.domain.errors import InvalidInput
from hasteward.domain.report import Authority, Health, TriageReport
from hasteward.ports.kubernetes import ApiUnavailable
from hasteward_vault.facts.answers import host_of
from hasteward_vault.plugin import plugin

if TYPE_CHECKING:
    from vault_kit import Stage, World
else:
    from vault_kit import Stage, World

from vault_kit import CLUSTER, TOKEN


def triage(world: World) -> TriageReport:
    stage = Stage(world)
    report = plugin.triage(stage.context, CLUSTER)
    assert stage.api.writes == []
    assert TOKEN not in repr(report)
    return report


def health(report: TriageReport) -> dict[str, Health]:
    return {found.member: found.health for found in report.assessments}


def ids(report: TriageReport) -> list[str]:
    return [found.id for found in report.diagnoses]


WELL = dict.fromkeys(("bao-0", "bao-1", "bao-2"), Health.HEALTHY)


def test_a_leader_that_a_majority_follows_is_the_authority() -> None:
    report = triage(World())

    assert report.healthy
    assert (report.authority, ids(report), health(report)) == (Authority.PROVABLE, [], WELL)
    assert report.details == {
        "leader": "bao-0",
        "questions": [],
        "deadPeers": [],
        "peers": [
            {
                "id": f"bao-{number}",
                "address": f"bao-{number}.bao-internal:8201",
                "voter": True,
                "member": f"bao-{number}",
                "healthy": True,
                "lastContactSeconds": 0.02,
            }
            for number in range(3)
        ],
        "quorum": {"voters": 3, "reached": 3, "needed": 2, "mayLose": 1},
        "clusterId": "c-1",
        "seal": {"type": "shamir", "threshold": 3, "shares": 5},
        "keyTerm": 1,
    }


def test_a_leader_that_lost_its_majority_and_does_not_know_is_not_believed() -> None:
    world = World()
    world.servers["bao-0"].marks = ""
    for name in ("bao-1", "bao-2"):
        world.servers[name].running = False

    report = triage(world)

    assert report.authority is Authority.UNDETERMINABLE
    assert "it has lost its majority" in report.authority_reason
    assert health(report) == {
        "bao-0": Health.UNDETERMINABLE,
        "bao-1": Health.DOWN,
        "bao-2": Health.DOWN,
    }
    assert report.details["quorum"] == {"voters": 3, "reached": 1, "needed": 2, "mayLose": -1}
    assert ids(report)[:2] == ["vault-stale-leader", "vault-quorum-lost"]


def test_a_leader_mark_without_a_majority_that_is_seen_to_follow_is_no_proof() -> None:
    world = World(contact={"bao-1": "1m0s", "bao-2": "1m0s"})
    for name in ("bao-1", "bao-2"):
        world.servers[name].running = False

    report = triage(world)

    assert report.authority is Authority.UNDETERMINABLE
    assert "a majority is not seen to follow it" in report.authority_reason


def test_after_a_failover_the_old_leaders_claim_does_not_hide_the_new_one() -> None:
    world = World()
    for server in world.servers.values():
        server.follows = server.marks = "bao-1"
    world.servers["bao-0"].follows, world.servers["bao-0"].marks = "bao-0", ""
    world.servers["bao-1"].active = True

    report = triage(world)

    assert (report.authority, report.details["leader"]) == (Authority.PROVABLE, "bao-1")
    assert health(report)["bao-0"] is Health.NOT_STREAMING


def test_two_members_that_both_mark_themselves_prove_nothing() -> None:
    world = World()
    world.servers["bao-1"].active = True
    world.servers["bao-1"].marks = world.servers["bao-1"].follows = "bao-1"

    report = triage(world)

    assert report.authority is Authority.UNDETERMINABLE
    assert "vault-two-leaders" in ids(report)


def test_a_member_of_another_cluster_is_a_divergence() -> None:
    world = World()
    other = world.servers["bao-2"]
    other.cluster_id, other.active, other.follows, other.marks = "c-2", True, "bao-2", ""

    report = triage(world)

    assert report.authority is Authority.DIVERGED
    assert "bao-2: c-2" in report.authority_reason


@pytest.mark.parametrize("sealed", [["bao-2"], ["bao-1", "bao-2"]])
def test_a_sealed_member_is_down_and_the_command_unseals_it(sealed: list[str]) -> None:
    world = World(contact=dict.fromkeys(sealed, "1m0s"))
    for name in sealed:
        world.servers[name].sealed = True

    report = triage(world)

    assert [name for name, state in health(report).items() if state is Health.DOWN] == sealed
    found = [d for d in report.diagnoses if d.id == "vault-sealed"]
    assert [d.member for d in found] == sealed
    assert found[0].remedy == (f"kubectl exec -it {sealed[0]} -n vault -c openbao -- bao operator unseal")
    assert report.details["quorum"]["mayLose"] == 1 - len(sealed)


def test_a_peer_that_no_pod_can_be_is_dead_and_counts_against_the_majority() -> None:
    world = World(voters=["bao-0", "bao-1", "bao-2", "bao-7"], contact={"bao-7": "3h2m0s"})

    report = triage(world)

    assert report.authority is Authority.PROVABLE
    assert report.details["deadPeers"] == ["bao-7"]
    assert report.details["quorum"] == {"voters": 4, "reached": 3, "needed": 3, "mayLose": 0}
    assert ids(report) == ["vault-no-spare", "vault-dead-peer"]


def test_a_member_that_is_no_peer_does_not_follow() -> None:
    world = World(voters=["bao-0", "bao-1"])

    report = triage(world)

    assert health(report)["bao-2"] is Health.NOT_STREAMING
    assert "it is no peer of the cluster" in report.assessments[2].evidence


def test_a_peer_without_a_vote_is_said_to_have_none() -> None:
    report = triage(World(voters=["bao-0", "bao-1"], others=["bao-2"]))

    assert report.assessments[2].role == "non-voter"
    assert report.details["quorum"]["voters"] == 2


def test_a_standby_far_behind_is_lagging() -> None:
    world = World()
    world.servers["bao-0"].committed = 5000

    assert health(triage(world)) == {
        "bao-0": Health.HEALTHY,
        "bao-1": Health.LAGGING,
        "bao-2": Health.LAGGING,
    }


def test_versions_and_full_disks_are_told() -> None:
    world = World()
    world.servers["bao-1"].version = "2.6.0"
    world.servers["bao-2"].free = 20

    assert ids(triage(world)) == ["vault-version-skew", "vault-disk"]


def test_what_a_restore_kept_is_told_with_the_command_that_removes_it() -> None:
    world = World(kept={"/openbao/data/hasteward-kept-20261124T0.snap": b""})

    (found,) = {d.remedy: d for d in triage(world).diagnoses if d.member == "bao-0"}.values()

    assert (found.id, found.evidence) == (
        "vault-restore-kept",
        ("/openbao/data/hasteward-kept-20261124T0.snap (8192 bytes)",),
    )
    assert found.remedy == (
        "kubectl exec -it bao-0 -n vault -c openbao -- rm /openbao/data/hasteward-kept-20261124T0.snap"
    )


def test_without_a_token_that_may_read_the_leader_is_not_proven() -> None:
    report = triage(World(allowed=set()))

    assert report.authority is Authority.UNDETERMINABLE
    assert "permission denied" in report.authority_reason
    assert ids(report)[0] == "vault-token-refused"


def test_a_policy_without_autopilot_costs_detail_and_no_verdict() -> None:
    report = triage(World(allowed={"configuration"}))

    assert report.authority is Authority.PROVABLE
    assert "keyTerm" not in report.details


def test_an_address_that_leads_to_another_server_is_no_answer_about_this_one() -> None:
    world = World()
    world.servers["bao-1"].address = "https://bao-active:8200"

    report = triage(world)

    assert health(report)["bao-1"] is Health.UNDETERMINABLE
    assert "may be another server" in report.assessments[1].missing[0]


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://127.0.0.1:8200", "127.0.0.1"),
        ("http://bao-1.x:8200/v1", "bao-1.x"),
        ("https://[::1]:8200", "::1"),
        ("https://localhost", "localhost"),
        ("unix:/run/bao", ""),
        ("", ""),
    ],
)
def test_the_host_of_an_address(address: str, host: str) -> None:
    assert host_of(address) == host


def test_a_server_that_nobody_has_set_up_holds_nothing() -> None:
    world = World()
    for server in world.servers.values():
        server.initialized, server.sealed, server.active = False, True, False

    report = triage(world)

    assert report.authority is Authority.UNDETERMINABLE
    assert ids(report)[0] == "vault-not-initialized"


def test_another_storage_is_not_this_engines() -> None:
    world = World()
    for server in world.servers.values():
        server.storage = "file"

    assert "not in Raft" in triage(world).authority_reason


def test_a_cluster_that_is_not_there_is_the_users_error_and_names_those_that_are() -> None:
    stage = Stage()

    with pytest.raises(InvalidInput, match="there is no StatefulSet vault/other") as caught:
        plugin.triage(stage.context, type(CLUSTER)("vault", "vault", "other"))
    assert caught.value.hint == "give one that there is: bao"


def test_no_single_failing_call_makes_the_verdict_bolder() -> None:
    """Whatever one call cannot read, the cluster is not called healthy by it."""
    count = 0
    while True:
        stage = Stage()
        seen = 0

        def fail(call: str, at: int = count) -> None:
            nonlocal seen
            seen += 1
            if seen == at + 1:
                raise ApiUnavailable(f"{call} failed")

        stage.api.on_call = fail
        try:
            report = plugin.triage(stage.context, CLUSTER)
        except ApiUnavailable:
            assert count == 0, "only the StatefulSet itself has to be there"
        else:
            if seen <= count:
                break
            assert not report.healthy
        count += 1
    assert count > 5
