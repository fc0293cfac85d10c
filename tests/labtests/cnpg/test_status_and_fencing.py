"""What the Cluster's status tells and does not tell, and what a fence does.

`row_NN` in the tests' names are the rows of the ranking in `reference/cnpg-operator.md`, section 8; the
sources named are files of CloudNativePG 1.30 (IC = internal/controller, IMC = internal/management/controller,
PMP = pkg/management/postgres).
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from hasteward_lab.state import LabError

pytestmark = pytest.mark.servers

HEALTHY = "Cluster in healthy state"


def test_row_01_phase_and_ready_are_sticky(site: Any) -> None:
    """IC/cluster_controller.go reconcilePods, pkg/resources/status/transactions.go: surprise 1."""
    site.lab.stop("pg-3")
    try:
        site.until(lambda: site.status["readyInstances"] == 2)
        assert site.status["instancesStatus"] == {"healthy": ["pg-1", "pg-2"], "replicating": ["pg-3"]}
        site.stays(lambda: site.status["phase"] == HEALTHY and site.condition("Ready") == "True", 1.0)
        assert site.status["instances"] == 3
        assert site.status["healthyPVC"] == ["pg-1", "pg-2", "pg-3"]
    finally:
        site.lab.start("pg-3")


@pytest.mark.long
def test_row_02_a_replica_that_lost_its_wal_looks_ready(site: Any) -> None:
    """PMP/webserver/probes: readiness is pg_isready. Surprises 2 and 4: nothing re-clones it by itself."""
    site.lab.fence("pg-3")
    site.until(lambda: not site.server_runs("pg-3"))
    # The primary's manager makes the slot again at its next reconcile, but an empty one holds nothing.
    site.lab.psql("pg-1", "SELECT pg_drop_replication_slot('_cnpg_pg_3')")
    site.churn()
    site.lab.unfence("pg-3")
    site.lab.wait_ready("pg-3")
    site.until(lambda: site.said("pg-3", "has already been removed"))
    site.until(lambda: site.status["readyInstances"] == 3)
    assert site.status["phase"] == HEALTHY
    assert site.lab.psql("pg-3", "SELECT count(*) FROM pg_stat_wal_receiver") == "0"
    uid = site.claim("pg-3")["metadata"]["uid"]
    site.stays(lambda: site.claim("pg-3")["metadata"]["uid"] == uid, 1.0)

    # What a person does about it (IC/cluster_unrecoverable.go); the same name comes back (row 5, 1.30).
    site.mark_unrecoverable("pg-3")
    site.until(lambda: (site.claim("pg-3") or {"metadata": {"uid": uid}})["metadata"]["uid"] != uid)
    site.healthy()
    assert site.status["instanceNames"] == ["pg-1", "pg-2", "pg-3"]
    assert "latestGeneratedNode" not in site.status


def test_row_03_a_fence_stops_the_server_and_nothing_else(site: Any) -> None:
    """IMC/instance_controller.go, docs/src/fencing.md: surprise 5."""
    events = len(site.events())
    site.lab.fence("pg-2")
    site.until(lambda: not site.server_runs("pg-2"))
    # The pod goes on being ready till the probe has failed often enough.
    assert site.container("pg-2")["ready"]
    site.until(lambda: site.status["readyInstances"] == 2)
    assert site.running("pg-2")
    assert site.status["instancesStatus"]["replicating"] == ["pg-2"]
    assert (site.status["phase"], site.condition("Ready")) == (HEALTHY, "True")
    assert "in production" not in site.shell("pg-2", "pg_controldata $PGDATA")
    with pytest.raises(LabError, match="No such file"):
        site.lab.psql("pg-2", "SELECT 1")
    told = site.lab.exec("pg-2", ["sh", "-c", "grep -c . /proc/1/cmdline"])
    assert told.returncode == 0
    site.until(lambda: "timeLineID" not in site.status["instancesReportedState"]["pg-2"])
    assert len(site.events()) == events
    site.lab.unfence("pg-2")
    site.lab.wait_ready("pg-2")
    assert site.container("pg-2")["restartCount"] == 0


def test_row_03_a_fenced_primary_freezes_the_loop(site: Any) -> None:
    """IC/cluster_controller.go, the readiness guard: surprise 6. No failover, and replicas are not healed."""
    lease = site.objects("coordination.k8s.io/v1", "leases")
    assert [row["spec"]["holderIdentity"] for row in lease if row["metadata"]["name"] == "pg"] == ["pg-1"]
    site.lab.fence("pg-1")
    site.until(lambda: site.status["readyInstances"] == 2)
    site.lab.delete_pod("pg-3")
    site.until(lambda: "pg-3" not in site.lab.pods)
    site.stays(lambda: "pg-3" not in site.lab.pods, 2.0)
    assert (site.status["currentPrimary"], site.status["targetPrimary"]) == ("pg-1", "pg-1")
    assert site.status["phase"] == HEALTHY
    site.lab.unfence("pg-1")
    site.until(lambda: "pg-3" in site.lab.pods)


def test_row_03_all_fenced_and_annotations_that_cannot_be_read(site: Any) -> None:
    """pkg/utils/fencing.go: `*` is everyone, one name cannot leave it, and what is no JSON fences nobody."""
    site.lab.fence("*")
    site.until(lambda: not any(map(site.server_runs, ("pg-1", "pg-2", "pg-3"))))
    with pytest.raises(LabError, match="all instances are fenced"):
        site.lab.unfence("pg-1")
    site.lab.fence("pg-1")
    assert site.lab.cluster_object()["metadata"]["annotations"]["cnpg.io/fencedInstances"] == '["*"]'
    site.lab.annotate(fencedInstances="[pg-1")
    site.until(lambda: all(map(site.server_runs, ("pg-1", "pg-2", "pg-3"))))
    site.lab.annotate(fencedInstances=None)
    site.lab.wait_ready()


@pytest.mark.long
def test_row_04_and_row_08_a_crash_loop_blocks_the_others_and_sees_a_fence_late(site: Any) -> None:
    """IC/cluster_create.go: all must report before one is made. CMD/instance/run: surprise 5, second half.

    In the pauses of the back-off there is no container to enter; the crash is in the log of the one before.
    """
    control = "/var/lib/postgresql/data/pgdata/global/pg_control"
    site.shell("pg-3", f"mv {control} {control}.away && kill -9 $(head -1 $PGDATA/postmaster.pid)")
    site.until(lambda: site.container("pg-3")["restartCount"] >= 3)
    site.lab.delete_pod("pg-2")
    site.until(lambda: "pg-2" not in site.lab.pods)

    site.until(lambda: "waiting" in site.container("pg-3")["state"])
    assert site.container("pg-3")["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert site.container("pg-3")["lastState"]["terminated"]["exitCode"] == 1
    with pytest.raises(LabError, match="container not found"):
        site.lab.exec("pg-3", ["true"])
    assert site.said("pg-3", "could not open file", "previous=true")
    site.lab.fence("pg-3")
    assert not site.running("pg-3")
    assert "pg-2" not in site.lab.pods

    site.until(lambda: site.running("pg-3") and site.said("pg-3", "Instance is fenced"), 40)
    restarts = site.container("pg-3")["restartCount"]
    site.shell("pg-3", f"mv {control}.away {control}")
    # A fenced instance does not report as ready either: the other one still waits.
    assert "pg-2" not in site.lab.pods
    site.lab.unfence("pg-3")
    site.lab.wait_ready("pg-3")
    assert site.container("pg-3")["restartCount"] == restarts
    site.until(lambda: "pg-2" in site.lab.pods)


def test_row_11_who_writes_with_an_old_version_is_refused(site: Any) -> None:
    """pkg/utils/fencing.go sends no version: two writers overwrite each other; with one, one loses."""
    path = "/apis/postgresql.cnpg.io/v1/namespaces/db/clusters/pg"
    before = site.lab.cluster_object()
    version = before["metadata"]["resourceVersion"]
    site.lab.delete_pod("pg-3")
    site.until(lambda: site.lab.cluster_object()["metadata"]["resourceVersion"] != version)
    body = {"metadata": {"resourceVersion": version, "annotations": {"a": "b"}}}
    with pytest.raises(LabError, match="has been modified"):
        site.lab.client.call("PATCH", path, body)
    # Metadata and status do not mix.
    site.lab.client.call(
        "PATCH", path, {"status": {"phase": "mine"}, "metadata": {"annotations": {"a": "b"}}}
    )
    assert site.status["phase"] != "mine"
    site.lab.client.call("PATCH", f"{path}/status", {"metadata": {"annotations": {"a": None}}, "status": {}})
    assert site.lab.cluster_object()["metadata"]["annotations"]["a"] == "b"


def test_row_14_the_level_of_a_line_says_nothing(site: Any) -> None:
    """PMP/logpipe: PANIC and FATAL come as level info; what is written before the collector starts is raw."""
    with pytest.raises(LabError):
        site.lab.psql("pg-1", "SELECT 1", database="nowhere")
    site.until(lambda: site.said("pg-1", "nowhere"))
    (line,) = [row for row in site.logs("pg-1") if "nowhere" in json.dumps(row)][:1]
    assert (line["level"], line["logger"], line["msg"]) == ("info", "postgres", "record")
    assert line["logging_pod"] == "pg-1"
    assert line["record"]["error_severity"] == "FATAL"
    assert line["record"]["sql_state_code"] == "3D000"
    assert all(isinstance(value, str) and value for value in line["record"].values())
    raw = [row for row in site.logs("pg-1") if row.get("source") == "/controller/log/postgres"]
    assert any("redirecting log output" in row["msg"] for row in raw)
    assert "fenc" not in " ".join(site.events()).lower()


def test_row_15_the_image_is_a_poor_place_to_work(site: Any) -> None:
    """pkg/specs/containers.go: uid 26, read-only root; the tools of a standard image and no others."""
    assert site.shell("pg-1", "id -u; id -g").split() == ["26", "26"]
    for folder in ("/", "/tmp", "/var/lib/postgresql", "/etc", "/usr"):
        assert site.lab.exec("pg-1", ["touch", f"{folder}/x"]).returncode != 0, folder
    site.shell("pg-1", "touch /controller/tmp/x $PGDATA/../x && rm /controller/tmp/x $PGDATA/../x")
    for tool in ("psql", "pg_dump", "pg_basebackup", "pg_rewind", "pg_controldata", "pg_resetwal", "tar"):
        assert site.shell("pg-1", f"command -v {tool}")
    for tool in ("rsync", "zstd", "jq"):
        assert site.lab.exec("pg-1", ["sh", "-c", f"command -v {tool}"]).returncode == 127, tool
        with pytest.raises(LabError, match="executable file not found"):
            site.lab.exec("pg-1", [tool])
    assert site.shell("pg-1", "echo $PGDATA $PGHOST").split()[1] == "/controller/run"
