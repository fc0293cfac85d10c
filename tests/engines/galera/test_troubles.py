"""What the operator is about to do, and what a member suffers from: named, with a command."""

from __future__ import annotations

from typing import Any

import pytest
from galera_kit import OTHER, ZERO, Stage, U, found, ids

from hasteward.domain.report import Authority, Remediation


def test_op1626_a_bootstrap_file_that_stayed_is_named_before_it_makes_a_second_cluster(stage: Stage) -> None:
    stage.world.servers["db-2"].stale = True

    finding = found(stage.triage(), "galera-stale-bootstrap")

    assert finding.member == "db-2"
    assert finding.remedy == (
        "kubectl exec db-2 -n db -c mariadb -- rm /etc/mysql/mariadb.conf.d/1-bootstrap.cnf"
    )


def test_op1905_the_cluster_uuid_of_all_members_must_be_one(stage: Stage) -> None:
    stage.world.servers["db-1"].uuid = OTHER

    report = stage.triage()

    assert not report.healthy
    assert report.authority is not Authority.PROVABLE


def test_op1863_resuming_a_healthy_cluster_that_is_latched_is_a_hazard(stage: Stage) -> None:
    stage.world.latch, stage.world.spec = "False", {"suspend": True}

    finding = found(stage.triage(), "galera-latch-hazard")

    assert finding.remedy == (
        "kubectl patch mariadb db -n db --subresource=status --type=json -p"
        ' \'[{"op": "test", "path": "/status/conditions/2/type", "value": "GaleraReady"},'
        ' {"op": "replace", "path": "/status/conditions/2/status", "value": "True"}]\''
    )


def test_l43_an_operator_that_is_caught_in_recovery_is_named_although_the_data_is_well(
    stage: Stage,
) -> None:
    stage.world.latch = "False"
    state = {f"db-{n}": {"uuid": U, "seqno": -1} for n in range(3)}
    stage.world.recovery = {"state": state}

    report = stage.triage()

    assert report.authority is Authority.PROVABLE
    assert found(report, "galera-operator-deadlock").evidence[-1] == (
        "status.galeraRecovery names 3 members and 0 of their positions"
    )


def test_an_operator_that_waits_for_a_member_without_a_node_is_stuck(stage: Stage) -> None:
    stage.world.latch = "False"
    stage.world.ready_message = "Error reconciling Galera: recovery status not completed"
    stage.world.stop("db-2", scheduled=False)

    report = stage.triage()

    assert {"galera-operator-stuck", "galera-unscheduled"} <= set(ids(report))


def test_a_policy_that_would_delete_the_data_is_named(stage: Stage) -> None:
    stage.world.retention = "Delete"

    finding = found(stage.triage(), "galera-scale-down-deletes")

    assert '{"whenScaled":"Retain"}' in finding.remedy


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"desync": 1, "state": "Donor/Desynced"}, "galera-desynced"),
        ({"state": "Donor/Desynced"}, "galera-transfer"),
        ({"paused": 0.9}, "galera-flow-control"),
        ({"queue": 5000}, "galera-flow-control"),
        ({"version": "12.0.1-MariaDB"}, "galera-mixed-versions"),
        ({"free": 3}, "galera-disk"),
    ],
)
def test_a_member_with_a_trouble_is_named(stage: Stage, changes: dict[str, Any], name: str) -> None:
    for what, value in changes.items():
        setattr(stage.world.servers["db-1"], what, value)

    assert name in ids(stage.triage())


def test_what_a_member_has_not_applied_yet_it_does_not_hold(stage: Stage) -> None:
    stage.world.servers["db-0"].seqno = 200
    stage.world.servers["db-1"].queue = 100

    report = stage.triage()

    assert report.newest == ("db-0", "db-2")
    assert report.donors == ("db-0", "db-1", "db-2")


def test_a_disk_that_is_full_is_read_from_the_log(stage: Stage) -> None:
    stage.world.among("db-0", "db-1")
    stage.world.stop("db-2", log="[ERROR] mariadbd: Disk is full writing './x' (Errcode: 28)\n", restarts=9)

    report = stage.triage()

    assert "galera-disk-full" in ids(report)
    assert report.assessments[2].remediation is Remediation.WAIT


def test_servers_that_serve_under_the_zero_uuid_have_proven_nothing(stage: Stage) -> None:
    """Killed all at once and started without positions, they are Primary together and take writes."""
    for server in stage.world.servers.values():
        server.uuid, server.seqno = ZERO, 7

    report = stage.triage()

    assert report.authority is Authority.UNDETERMINABLE
    assert "galera-zero-history" in ids(report)
    assert report.newest == ()
