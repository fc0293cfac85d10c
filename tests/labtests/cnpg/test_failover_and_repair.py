"""Who becomes primary, how the old one comes back, what volumes and jobs do, and what a full disk stops.

Numbers and sources as in test_status_and_fencing.py (API = api/v1, CMD = internal/cmd/manager).
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from hasteward_lab.state import LabError

pytestmark = pytest.mark.servers

HEALTHY = "Cluster in healthy state"
MOVE = "ALTER SYSTEM SET work_mem = '8MB'"


def others(site: Any) -> list[str]:
    return [name for name in site.status["instanceNames"] if name != site.lab.primary]


def test_row_07_the_most_advanced_replica_wins(site: Any) -> None:
    """IC/replicas.go, pkg/postgres/status.go: by received WAL, asked live; label, Lease and `pending`."""
    old = site.lab.primary
    behind, ahead = others(site)
    site.lab.chaos.partition(behind, old)
    receiver = "SELECT count(*) FROM pg_stat_wal_receiver"
    site.until(lambda: site.lab.psql(behind, receiver) == "0")
    site.lab.psql(old, "CREATE TABLE won AS SELECT generate_series(1, 1000) AS n")
    site.until(lambda: site.lab.psql(ahead, "SELECT to_regclass('won') IS NOT NULL") == "t")
    began = time.monotonic()
    site.lab.stop(old)
    site.until(lambda: site.status["targetPrimary"] == "pending" or site.lab.primary != old)
    assert site.status["phase"] == "Failing over"
    site.until(lambda: site.lab.primary != old)
    # A Lease of 15 s, a tenth of it here, is waited out when its holder could not give it back.
    assert time.monotonic() - began >= 1.5
    assert site.lab.primary == ahead
    assert site.status["currentPrimary"] == site.status["targetPrimary"] == ahead
    site.lab.chaos.heal()
    assert {"FailingOver", "FailoverTarget"} <= set(site.events())
    site.until(lambda: site.lab.pod(old)["metadata"]["labels"]["role"] in {"unhealthy", "replica"})
    # The phase lingers till the old primary is back (row 1 again), the services do not wait for that.
    assert site.status["phase"] != HEALTHY
    endpoints = f"/api/v1/namespaces/{site.lab.namespace}/endpoints/pg-rw"
    site.until(lambda: ahead in str(site.lab.client.call("GET", endpoints)))
    assert old not in str(site.lab.client.call("GET", endpoints))
    assert site.lab.psql(ahead, "SELECT count(*) FROM won") == "1000"
    site.lab.start(old)
    site.healthy()
    assert site.status["timelineID"] == 2


def test_row_06_an_old_primary_is_rewound_before_its_fence_is_seen(site: Any) -> None:
    """IMC/instance_startup.go: coherence first, then the fence. No standby.signal: a primary's data."""
    old = site.lab.primary
    site.shell(old, "! test -e $PGDATA/standby.signal")
    site.lab.delete_pod(old, grace=0)
    site.until(lambda: site.lab.primary != old)
    site.lab.fence(old)
    site.until(lambda: old in site.lab.pods and site.running(old))
    site.until(lambda: site.said(old, "Instance is fenced, won't start PostgreSQL"))
    assert site.said(old, "pg_rewind")
    site.shell(old, "test -e $PGDATA/standby.signal")
    assert not site.server_runs(old)
    site.lab.unfence(old)


@pytest.mark.long
def test_row_06_a_rewind_that_fails_is_tried_again_and_nothing_else_is(site: Any) -> None:
    """IMC/instance_startup.go: no base backup instead; Running and never ready, with no event: surprise 4.

    PostgreSQL's own part: a pg_rewind that failed half-way has damaged its target, so that no later try can
    succeed, even when what stopped the first one is long mended.
    """
    old = site.lab.primary
    function = "FUNCTION pg_read_binary_file(text, bigint, bigint, boolean)"
    site.lab.psql(old, f"REVOKE EXECUTE ON {function} FROM streaming_replica")
    events = set(site.events())
    # Killed, for after a clean switchover there is nothing to rewind.
    site.lab.delete_pod(old, grace=0)
    site.until(lambda: site.lab.primary != old)
    site.until(lambda: site.running(old) and site.said(old, "Failed to execute pg_rewind"))
    site.lab.psql(site.lab.primary, f"GRANT EXECUTE ON {function} TO streaming_replica")
    failures = sum(row["msg"] == "Failed to execute pg_rewind" for row in site.logs(old))
    site.stays(lambda: site.running(old) and not site.container(old)["ready"], 1.5)
    assert sum(row["msg"] == "Failed to execute pg_rewind" for row in site.logs(old)) > failures
    assert site.shell(old, "echo in") == "in"
    assert (site.container(old)["restartCount"], site.status["readyInstances"]) == (0, 2)
    assert set(site.events()) <= events | {"FailingOver", "FailoverTarget"}
    uid = site.claim(old)["metadata"]["uid"]
    site.mark_unrecoverable(old)
    site.until(lambda: (site.claim(old) or {"metadata": {"uid": uid}})["metadata"]["uid"] != uid)
    site.healthy()


def test_row_09_a_promotion_does_not_look_at_any_lag(site: Any) -> None:
    """PLG/promote, IMC/instance_controller.go: surprise 9. A stale replica is promoted, and data is lost."""
    old, (stale, _) = site.lab.primary, others(site)
    site.lab.psql(stale, "SELECT pg_wal_replay_pause()")
    site.lab.psql(old, "CREATE TABLE IF NOT EXISTS kept AS SELECT 1 AS n")
    timeline = site.status["timelineID"]
    site.lab.promote(stale)
    assert site.status["phaseReason"] == f"Switching over to {stale}"
    site.until(lambda: site.lab.primary == stale)
    site.healthy()
    assert site.status["timelineID"] == timeline + 1
    assert site.container(old)["lastState"]["terminated"]["exitCode"] == 0


def test_row_05_and_row_12_a_deleted_claim_waits_for_its_pod_and_the_name_is_used_again(site: Any) -> None:
    """pkg/reconciler/persistentvolumeclaim, pkg/specs/jobs.go: pvc-protection; pods that look alike."""
    victim = others(site)[-1]
    uid = site.claim(victim)["metadata"]["uid"]
    site.delete_claim(victim)
    site.until(lambda: victim not in site.status["instanceNames"])
    claim = site.claim(victim)
    assert "deletionTimestamp" in claim["metadata"]
    assert claim["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    # Nothing happens until the pod goes: the name is not free.
    site.stays(lambda: site.running(victim) and not site.jobs(), 1.0)
    site.lab.delete_pod(victim)
    site.until(lambda: [job["metadata"]["name"] for job in site.jobs()] == [f"{victim}-join"])
    assert site.status["phase"] == "Creating a new replica"
    assert site.claim(victim)["metadata"]["annotations"]["cnpg.io/pvcStatus"] == "initializing"

    def job_pods() -> list[Any]:
        return [
            pod
            for pod in site.lab.get("pods")
            if pod["metadata"]["labels"].get("cnpg.io/instanceName") == victim
            and "cnpg.io/podRole" not in pod["metadata"]["labels"]
        ]

    site.until(lambda: bool(job_pods()))
    (pod,) = job_pods()
    assert pod["metadata"]["labels"]["cnpg.io/cluster"] == "pg"
    assert pod["metadata"]["labels"]["cnpg.io/jobRole"] == "join"
    assert [row["kind"] for row in pod["metadata"]["ownerReferences"]] == ["Job"]
    site.healthy()
    # The finished job is deleted, and what belongs to it goes with it.
    site.until(lambda: not job_pods())
    assert site.claim(victim)["metadata"]["uid"] != uid
    assert site.status["instanceNames"] == ["pg-1", "pg-2", "pg-3"]
    assert "CreatingInstance" in site.events()


def test_row_10_files_are_rewritten_and_slots_are_kept(site: Any) -> None:
    """PMP/configuration.go, IMC/slots: surprise 10."""
    replica, other = others(site)
    for pod in (replica, site.lab.primary):
        site.shell(pod, "echo \"work_mem = '1GB'\" >> $PGDATA/override.conf")
        site.lab.annotate(touched=str(time.monotonic()))
        site.until(lambda pod=pod: "work_mem" not in site.shell(pod, "cat $PGDATA/override.conf"))
        keys = [line.split(" = ")[0] for line in site.shell(pod, "cat $PGDATA/override.conf").splitlines()]
        expected = ["restore_command", "recovery_target_timeline", "primary_conninfo", "primary_slot_name"]
        assert keys == expected
    if int(site.lab.psql(replica, "SHOW server_version_num")) < 170000:
        assert site.shell(replica, "stat -c %a $PGDATA/postgresql.auto.conf") == "400"
    with pytest.raises(LabError, match=r"auto\.conf|ALTER SYSTEM is not allowed"):
        site.lab.psql(site.lab.primary, MOVE)
    slots = "SELECT slot_name FROM pg_replication_slots ORDER BY 1"
    name = {pod: "_cnpg_" + pod.replace("-", "_") for pod in (replica, other)}
    site.until(lambda: site.lab.psql(replica, slots) == name[other])
    assert site.lab.psql(site.lab.primary, slots).split() == sorted(name.values())
    site.lab.psql(replica, f"SELECT pg_drop_replication_slot('{name[other]}')")
    site.until(lambda: site.lab.psql(replica, slots) == name[other])


@pytest.mark.long
def test_row_09_one_full_disk_stops_failover_for_all(site: Any) -> None:
    """CMD/instance/run/lifecycle/run.go, IC/cluster_status.go: surprise 7, on a replica, real ENOSPC."""
    primary, (victim, _) = site.lab.primary, others(site)
    site.lab.fill(victim, 20 << 20)
    site.lab.psql(primary, "CREATE TABLE big (t text)")
    fill = "INSERT INTO big SELECT repeat('x', 1000) FROM generate_series(1, 20000)"

    def out_of_space() -> bool:
        rows = site.container(victim)
        states = [rows["state"], rows.get("lastState", {})]
        return any(state.get("terminated", {}).get("exitCode") == 4 for state in states)

    # Twice what the victim has left, and little for the primary.
    for _ in range(2):
        site.lab.psql(primary, fill)
    site.until(out_of_space)
    site.until(lambda: site.status["phase"] == "Not enough disk space")
    assert site.said(victim, "No space left on device", "previous=true") or site.said(
        victim, "Not enough WAL disk space", "previous=true"
    )
    site.lab.stop(primary)
    site.until(lambda: site.status["readyInstances"] == 1)
    site.stays(lambda: site.status["targetPrimary"] == primary, 2.0)
    site.lab.start(primary)
    site.lab.wait_ready(primary)
    site.lab.fill(victim, -1)
    site.lab.psql(primary, "DROP TABLE big; CHECKPOINT")
    site.healthy()
    assert site.lab.primary == primary


@pytest.mark.long
def test_the_operator_switched_off_by_annotation_or_down(site: Any) -> None:
    """IC/cluster_controller.go: reconciliationLoop=disabled; managers still follow fences."""
    _, victim = others(site)
    for off, on in (
        (
            lambda: site.lab.annotate(reconciliationLoop="disabled"),
            lambda: site.lab.annotate(reconciliationLoop=None),
        ),
        (site.lab.operator_down, site.lab.operator_up),
    ):
        off()
        site.lab.delete_pod(victim)
        site.until(lambda: victim not in site.lab.pods)
        site.stays(lambda: victim not in site.lab.pods, 1.0)
        on()
        site.until(lambda: victim in site.lab.pods)
        site.healthy()
    site.lab.operator_down()
    site.lab.fence(victim)
    site.until(lambda: not site.server_runs(victim))
    site.lab.unfence(victim)
    site.lab.operator_up()
    site.lab.wait_ready(victim)


@pytest.mark.long
def test_hibernation_takes_the_pods_and_leaves_the_volumes(site: Any) -> None:
    """pkg/reconciler/hibernation: the primary first; back on, the same data."""
    site.lab.psql(site.lab.primary, "CREATE TABLE slept AS SELECT 42 AS n")
    primary = site.lab.primary
    site.lab.annotate(hibernation="on")
    site.until(lambda: not site.lab.pods)
    site.until(lambda: site.condition("cnpg.io/hibernation") == "True")
    assert len(site.lab.get("persistentvolumeclaims")) == 3
    assert site.status["danglingPVC"] == ["pg-1", "pg-2", "pg-3"]
    site.lab.annotate(hibernation="off")
    site.healthy()
    assert site.lab.primary == primary
    assert site.lab.psql(primary, "SELECT n FROM slept") == "42"
    assert site.condition("cnpg.io/hibernation") == ""
