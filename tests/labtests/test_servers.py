"""Real PostgreSQL servers in real pods."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from hasteward_lab.lab import Lab
from hasteward_lab.state import LabError

pytestmark = pytest.mark.servers


def eventually(check: Callable[[], bool], limit: float = 20.0) -> None:
    """Wait till a check holds."""
    deadline = time.monotonic() + limit
    while not check():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.05)


def container(lab: Lab, pod: str) -> dict[str, Any]:
    return lab.pod(pod)["status"]["containerStatuses"][0]


def uids(lab: Lab, plural: str) -> dict[str, str]:
    return {row["metadata"]["name"]: row["metadata"]["uid"] for row in lab.get(plural)}


def test_replicas_stream_over_their_slots(lab: Lab) -> None:
    rows = lab.psql("pg-1", "SELECT application_name, state FROM pg_stat_replication ORDER BY 1")
    assert rows.splitlines() == ["pg-2|streaming", "pg-3|streaming"]
    slots = lab.psql("pg-1", "SELECT slot_name, active FROM pg_replication_slots ORDER BY 1")
    assert slots.splitlines() == ["_cnpg_pg_2|t", "_cnpg_pg_3|t"]
    lab.psql("pg-1", "CREATE TABLE streamed AS SELECT generate_series(1, 1000) AS n")
    for replica in ("pg-2", "pg-3"):
        eventually(lambda r=replica: lab.psql(r, "SELECT to_regclass('streamed') IS NOT NULL") == "t")
        assert lab.psql(replica, "SELECT pg_is_in_recovery(), sum(n) FROM streamed") == "t|500500"
    lab.psql("pg-1", "DROP TABLE streamed")
    with pytest.raises(LabError, match="read-only transaction"):
        lab.psql("pg-2", "CREATE TABLE no (n int)")


def test_the_settings_are_the_operators(lab: Lab) -> None:
    names = (
        "wal_level",
        "wal_log_hints",
        "restart_after_crash",
        "data_checksums",
        "server_encoding",
        "hot_standby",
    )
    values = [lab.psql("pg-2", f"SHOW {name}") for name in names]
    assert values == ["logical", "on", "off", "on", "UTF8", "on"]
    assert lab.psql("pg-1", "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname='app'") == "app"


def test_the_status_tells_what_is(lab: Lab) -> None:
    status = lab.cluster_object()["status"]
    assert status["phase"] == "Cluster in healthy state"
    assert (status["instances"], status["readyInstances"], status["timelineID"]) == (3, 3, 1)
    assert status["instanceNames"] == status["healthyPVC"] == ["pg-1", "pg-2", "pg-3"]
    assert status["currentPrimary"] == status["targetPrimary"] == lab.primary == "pg-1"
    assert status["systemID"] == lab.psql("pg-3", "SELECT system_identifier FROM pg_control_system()")
    states = status["instancesReportedState"]
    assert {name: row["isPrimary"] for name, row in states.items()} == {
        "pg-1": True,
        "pg-2": False,
        "pg-3": False,
    }
    assert states["pg-2"]["ip"] == lab.pod("pg-2")["status"]["podIP"]


def test_a_stopped_pod_stays_down_and_the_phase_does_not_care(lab: Lab) -> None:
    lab.stop("pg-3")
    try:
        assert container(lab, "pg-3")["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        assert container(lab, "pg-3")["lastState"]["terminated"]["exitCode"] == 137
        eventually(lambda: lab.cluster_object()["status"]["readyInstances"] == 2)
        status = lab.cluster_object()["status"]
        assert status["phase"] == "Cluster in healthy state"
        assert status["instancesStatus"] == {"healthy": ["pg-1", "pg-2"], "replicating": ["pg-3"]}
        assert lab.processes("pg-3") == []
        with pytest.raises(LabError, match='container not found \\("postgres"\\)'):
            lab.exec("pg-3", ["true"])
    finally:
        lab.start("pg-3")
    lab.wait_ready("pg-3")
    eventually(lambda: lab.cluster_object()["status"]["readyInstances"] == 3)


def test_a_killed_container_comes_back_by_itself(lab: Lab) -> None:
    before = container(lab, "pg-2")["restartCount"]
    address = lab.pod("pg-2")["status"]["podIP"]
    lab.kill("pg-2")
    eventually(lambda: container(lab, "pg-2")["restartCount"] == before + 1)
    lab.wait_ready("pg-2")
    assert container(lab, "pg-2")["lastState"]["terminated"]["exitCode"] == 137
    assert lab.pod("pg-2")["status"]["podIP"] == address
    eventually(lambda: "pg-2" in lab.psql("pg-1", "SELECT application_name FROM pg_stat_replication"))


def test_a_server_that_dies_takes_its_container_along(lab: Lab) -> None:
    before = container(lab, "pg-3")["restartCount"]
    lab.exec("pg-3", ["sh", "-c", "kill -9 $(head -1 $PGDATA/postmaster.pid)"])
    eventually(lambda: container(lab, "pg-3")["restartCount"] == before + 1, 20)
    assert container(lab, "pg-3")["lastState"]["terminated"]["exitCode"] == 1
    lab.wait_ready("pg-3")


def test_a_deleted_pod_comes_back_on_its_volume(lab: Lab) -> None:
    lab.exec("pg-3", ["touch", "/var/lib/postgresql/data/mark"])
    uid = lab.pod("pg-3")["metadata"]["uid"]
    lab.delete_pod("pg-3")
    eventually(lambda: uids(lab, "pods").get("pg-3", uid) != uid)
    lab.wait_ready("pg-3")
    assert lab.exec("pg-3", ["rm", "/var/lib/postgresql/data/mark"]).returncode == 0
    eventually(lambda: "pg-3" in lab.psql("pg-1", "SELECT application_name FROM pg_stat_replication"))


def test_a_deleted_claim_means_a_new_clone(lab: Lab) -> None:
    claims = "/api/v1/namespaces/db/persistentvolumeclaims"
    lab.exec("pg-3", ["touch", "/var/lib/postgresql/data/mark"])
    uid = lab.client.call("GET", f"{claims}/pg-3")["metadata"]["uid"]
    lab.client.call("DELETE", f"{claims}/pg-3")
    # The claim waits for its pod.
    assert "deletionTimestamp" in lab.client.call("GET", f"{claims}/pg-3")["metadata"]
    lab.delete_pod("pg-3", grace=1)

    def renewed() -> bool:
        return uids(lab, "persistentvolumeclaims").get("pg-3", uid) != uid and "pg-3" in lab.pods

    eventually(renewed)
    lab.wait_ready("pg-3")
    assert lab.exec("pg-3", ["test", "-e", "/var/lib/postgresql/data/mark"]).returncode == 1
    eventually(lambda: "pg-3" in lab.psql("pg-1", "SELECT application_name FROM pg_stat_replication"))


def test_a_full_volume_is_really_full(lab: Lab) -> None:
    write = ["dd", "if=/dev/zero", "of=/var/lib/postgresql/data/big", "bs=1M", "count=5"]
    try:
        assert lab.fill("pg-3", 1 << 20) <= 1 << 20
        done = lab.exec("pg-3", write)
        assert done.returncode == 1
        assert b"No space left on device" in done.stderr
    finally:
        lab.exec("pg-3", ["rm", "-f", "/var/lib/postgresql/data/big"])
        lab.fill("pg-3", -1)
    assert lab.exec("pg-3", write).returncode == 0
    lab.exec("pg-3", ["rm", "/var/lib/postgresql/data/big"])


def test_the_machine_is_not_in_the_pod(lab: Lab) -> None:
    script = (
        "ls /home /root /tmp /work 2>/dev/null | grep -v : ; wc -l < /etc/passwd; "
        "mount | grep -c ' /var/lib/postgresql/data '"
    )
    assert lab.exec("pg-1", ["sh", "-c", script]).stdout.split() == [b"2", b"1"]
    size = lab.exec("pg-1", ["df", "-B1", "--output=size", "/var/lib/postgresql/data"]).stdout.split()[1]
    assert int(size) == 512 << 20
