"""The operator's recovery on real servers: what it brings back, and what it loses.

Sources: mariadb-operator, pkg/controller/galera, internal/controller/statefulset_galera_controller.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hasteward_lab.lab import Lab
from hasteward_lab.mariadb import hand
from hasteward_lab.scenarios import galera, load, run
from hasteward_lab.scenarios.model import Write

pytestmark = [pytest.mark.servers, pytest.mark.long, pytest.mark.timeout(300)]

PODS = ["db-0", "db-1", "db-2"]


@pytest.fixture
def lab() -> Iterator[Lab]:
    with hand.well() as running:
        galera.write(running, Write(pod="db-0", mark="before"))
        yield running


def marks(lab: Lab) -> list[str]:
    found = [galera.member(lab, pod).marks for pod in PODS]
    assert found[0] is not None
    assert found == [found[0]] * 3
    return sorted(found[0])


def recovery(lab: Lab) -> dict[str, Any]:
    found: dict[str, Any] = lab.cluster_object()["status"].get("galeraRecovery") or {}
    return found


def latched(lab: Lab, within: float = 30.0) -> None:
    lab.wait(lambda: hand.condition(lab, "GaleraReady") == "False", within)


def test_row_06_after_a_kill_of_all_jobs_open_the_data_and_the_newest_begins(lab: Lab) -> None:
    """Rank 6; pkg/controller/galera/recovery.go, pkg/builder/batch_builder.go."""
    for pod in PODS:
        lab.stop(pod)
    told = {pod: dict(zip(("uuid", "seqno"), hand.position(lab, pod), strict=True)) for pod in PODS}
    latched(lab)
    hand.healthy(lab, 120)
    found = recovery(lab)
    assert found["recovered"] == told
    assert [found["state"][pod]["seqno"] for pod in PODS] == [-1, -1, -1]
    seqnos = {row["seqno"] for row in found["recovered"].values()}
    assert (len(found["recovered"]), len(seqnos), found["bootstrap"]["pod"]) == (3, 1, "db-2")
    assert marks(lab) == ["before"]
    assert [hand.state(lab, pod)["bootstrap"] for pod in PODS] == [False] * 3
    jobs = lab.client.call("GET", "/apis/batch/v1/namespaces/db/jobs")["items"]
    assert [job["metadata"]["name"] for job in jobs] == []


def test_row_01_the_latch_falls_while_suspended_and_only_a_whole_cluster_opens_it(
    lab: Lab, site_of: Callable[[Lab], Any]
) -> None:
    """Rank 1; internal/controller/statefulset_galera_controller.go: the monitor asks for no suspension."""
    hand.suspend(lab)
    lab.wait(lambda: hand.condition(lab, "Ready", "reason") == "Suspended", 10)
    hand.scale(lab, 0)
    latched(lab)
    assert "GaleraClusterNotHealthy" in site_of(lab).events()
    assert (lab.pods, recovery(lab)) == ([], {})
    hand.suspend(lab, on=False)
    hand.healthy(lab, 120)
    assert marks(lab) == ["before"]


def test_row_01_a_healthy_cluster_that_is_latched_is_torn_down_on_resume(lab: Lab) -> None:
    """Rank 1; mariadb-operator 1863: state, sources and a scale to nothing, whatever the members say."""
    before = {pod: lab.pod(pod)["metadata"]["uid"] for pod in PODS}
    hand.suspend(lab)
    lab.wait(lambda: hand.condition(lab, "Ready", "reason") == "Suspended", 10)
    hand.latch(lab)
    hand.suspend(lab, on=False)
    lab.wait(lambda: not [pod for pod in lab.pods if pod in PODS], 60)
    hand.healthy(lab, 120)
    after = {pod: lab.pod(pod)["metadata"]["uid"] for pod in PODS}
    assert (marks(lab), [pod for pod in PODS if before[pod] == after[pod]]) == (["before"], [])


LOSSES = [
    # The flag of a clean stop is believed whatever the others hold.
    ("galera-stale-safe-flag", "26.6", ["before"]),
    ("galera-stale-safe-flag", "26.10", ["before"]),
    # That of an empty volume only before 26.10.
    ("galera-empty-volume-with-flag", "26.6", []),
    ("galera-empty-volume-with-flag", "26.10", ["before"]),
]


@pytest.mark.parametrize(("name", "level", "left"), LOSSES)
def test_row_02_what_the_choice_of_the_source_costs(name: str, level: str, left: list[str]) -> None:
    """Rank 2; pkg/controller/galera/recovery_status.go, mariadb-operator 1701 and 1816."""
    scenario = load.scenario(name).model_copy(update={"level": level})
    with run.start(scenario, None, keep=False, say=lambda _message: None) as lab:
        run.reach(lab, scenario)
        lab.operator_up()
        latched(lab)
        hand.healthy(lab, 150)
        assert marks(lab) == left


def test_row_09_a_member_without_a_node_holds_the_recovery_up_for_ever() -> None:
    """Rank 9; mariadb-operator 1082: every replica's name counts, scheduled or not."""
    scenario = load.scenario("galera-recovery-deadlock")
    with run.start(scenario, None, keep=False, say=lambda _message: None) as lab:
        run.reach(lab, scenario)
        found = recovery(lab)
        assert set(found["recovered"]) == {"db-0", "db-1"}
        assert "bootstrap" not in found


def test_row_04_a_lost_volume_is_filled_by_mariabackup_and_by_rsync(lab: Lab) -> None:
    """Rank 4; a claim of its name is made again, and the image's entry point makes a server on it."""
    for method, script in (("rsync", "rsync SST"), ("mariabackup", "mariabackup SST")):
        if method != "rsync":
            lab.client.call("PATCH", lab.cluster_path, {"spec": {"galera": {"sst": method}}})
            lab.wait(lambda: hand.condition(lab, "Updated") == "False", 20)
            lab.wait(lambda: hand.condition(lab, "Updated") == "True", 120)
            hand.healthy(lab, 120)
        lab.chaos.lose_pvc("db-2")
        hand.healthy(lab, 120)
        assert script in lab.chaos.log("db-2")
        assert marks(lab) == ["before"]


def test_row_04_one_volume_for_all_and_a_policy_that_gives_it_back() -> None:
    """Rank 4; pkg/builder/statefulset_builder.go: reuseStorageVolume and the retention policy."""
    spec = {
        "galera": {"config": {"reuseStorageVolume": True}},
        "storage": {"pvcRetentionPolicy": {"whenScaled": "Delete", "whenDeleted": "Retain"}},
    }
    with Lab.up(part="mariadb", spec=spec) as lab:
        galera.write(lab, Write(pod="db-0", mark="before"))
        claims = [row["metadata"]["name"] for row in lab.get("persistentvolumeclaims")]
        assert claims == ["storage-db-0", "storage-db-1", "storage-db-2"]
        assert hand.state(lab, "db-1")["there"] is True
        lab.operator_down()
        hand.scale(lab, 1)
        lab.wait(lambda: len(lab.get("persistentvolumeclaims")) == 1, 20)


def test_row_09_a_forced_bootstrap_asks_nobody_and_needs_a_state_file() -> None:
    """Rank 9; pkg/controller/galera/recovery.go, mariadb-operator 1841: no file, and even force gives up."""
    scenario = load.scenario("galera-all-killed-one-behind")
    with run.start(scenario, None, keep=False, say=lambda _message: None) as lab:
        run.reach(lab, scenario)
        force: dict[str, Any] = {"galera": {"recovery": {"forceClusterBootstrapInPod": "db-0"}}}
        lab.client.call("PATCH", lab.cluster_path, {"spec": force})
        lab.chaos.lose("db-0", "grastate.dat")
        lab.operator_up()
        told = "error enabling bootstrap in Pod 'db-0': galera state does not exist"
        lab.wait(lambda: told in hand.condition(lab, "Ready", "message"), 60)
        lab.chaos.mend("db-0")
        hand.healthy(lab, 150)
        assert (marks(lab), set(recovery(lab))) == (["after", "before"], {"bootstrap", "podsRestarted"})


def test_row_04_the_scale_of_the_object_adds_members_and_updates_the_others(lab: Lab) -> None:
    """Rank 4; internal/controller/mariadb_controller_update.go: more hosts are another configuration."""
    scale = f"{lab.cluster_path}/scale"
    assert lab.client.call("GET", scale)["spec"] == {"replicas": 3}
    uids = {lab.pod(pod)["metadata"]["uid"] for pod in PODS}
    lab.client.call("PATCH", scale, {"spec": {"replicas": 5}})
    lab.wait(lambda: len(lab.pods) == 5, 20)
    lab.wait(lambda: not uids & {pod["metadata"]["uid"] for pod in lab.get("pods")}, 150)
    hand.healthy(lab, 60)
    found = [galera.member(lab, f"db-{number}").marks for number in range(5)]
    assert found == [frozenset({"before"})] * 5
