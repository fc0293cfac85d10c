"""Triage of a cluster in memory: what is seen, what is named, and which command is given."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from galera_kit import CLUSTER, OTHER, PASSWORD, ZERO, Server, Stage, U, found, grastate, gvwstate, ids, node

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import InvalidInput
from hasteward.domain.report import Authority, Health, Remediation, TriageReport
from hasteward.ports.context import Depth
from hasteward.testing.faults import away
from hasteward_galera.plugin import plugin


def healths(report: TriageReport) -> list[str]:
    return [one.health.value for one in report.assessments]


def test_three_synced_members_are_well(stage: Stage) -> None:
    report = stage.triage()

    assert report.healthy
    assert report.authority_reason == (
        "db-0, db-1, db-2 (3 in it, at 67a44ea9:100) is the only Primary component,"
        " and everybody else's data is in it"
    )
    assert (report.newest, report.primaries, report.donors) == (
        ("db-0", "db-1", "db-2"),
        ("db-0",),
        ("db-0", "db-1", "db-2"),
    )
    assert report.diagnoses == ()
    assert stage.api.writes == []


def test_one_exec_per_member_and_no_secret_in_its_words(stage: Stage) -> None:
    """W20: the password goes by standard input, and nothing of it is in arguments or in the report."""
    report = stage.triage()

    assert len(stage.world.argvs) == 3
    assert "pass" not in " ".join(" ".join(argv) for argv in stage.world.argvs).replace("password", "")
    assert all(b"[client]\npassword=" in fed for fed in stage.world.fed)
    assert PASSWORD not in repr(report)


def test_l55_statements_arrive_as_one_argument(stage: Stage) -> None:
    """Flattened into shell text, the quotes and parentheses of SQL broke."""
    stage.triage()

    argv = stage.world.argvs[0]
    assert argv[-1] == shlex.split(shlex.join(argv))[-1]
    assert "VARIABLE_NAME LIKE 'wsrep%'" in argv[-1]


@pytest.mark.parametrize("upper", [True, False])
def test_l54_names_are_read_in_capitals_or_not(stage: Stage, upper: bool) -> None:
    for server in stage.world.servers.values():
        server.upper = upper

    assert stage.triage().healthy


def test_l54_an_answer_that_is_there_and_not_understood_is_unread(stage: Stage) -> None:
    stage.world.servers["db-1"].seqno = "many"  # type: ignore[assignment]

    report = stage.triage()

    assert report.assessments[1].health is Health.UNDETERMINABLE
    assert "not understood" in report.assessments[1].missing[0]


def test_l56_the_server_is_found_by_name_although_the_agent_comes_first(stage: Stage) -> None:
    stage.world.among("db-0", "db-1")
    stage.world.stop("db-2", restarts=4)

    report = stage.triage()

    assert healths(report) == ["healthy", "healthy", "down"]
    assert report.assessments[2].evidence[0] == (
        "pod Running, its server does not run (CrashLoopBackOff), 4 restarts"
    )


def test_l57_a_synced_member_is_a_donor_whatever_kubernetes_says(stage: Stage) -> None:
    stage.world.latch = "False"

    assert stage.triage().donors == ("db-0", "db-1", "db-2")


def test_l58_a_member_that_is_not_read_but_counted_in_is_no_split(stage: Stage) -> None:
    """The component itself says that it is in it, and a component has all that its members have."""
    stage.world.servers["db-2"].answers = False

    report = stage.triage()

    assert report.authority is Authority.PROVABLE
    assert healths(report) == ["healthy", "healthy", "undeterminable"]
    assert report.assessments[2].remediation is Remediation.WAIT


def test_l58_a_member_that_crashed_out_of_the_component_holds_nothing_else(stage: Stage) -> None:
    """How far it is need not be known: whoever was in it with the others, and is still, has all of it."""
    world = stage.world
    world.among("db-0", "db-1")
    world.stop("db-2", gvwstate=gvwstate(*(node(n) for n in range(3))), recovered=None, restarts=9)

    plain, deep = stage.triage(), stage.triage(deep=True)

    assert plain.authority is Authority.UNDETERMINABLE
    assert "--deep reads them by a helper pod" in plain.authority_reason
    assert deep.authority is Authority.PROVABLE
    assert (deep.assessments[2].remediation, deep.assessments[2].branch) == (Remediation.RESEED, None)


def test_l59_a_member_that_was_asked_while_the_component_changed_is_asked_again(stage: Stage) -> None:
    """One blip of wsrep is no reason to make a member anew."""
    world = stage.world

    def blip(server: Server) -> None:
        server.primary = server.number != 2 or len(world.argvs) > 3

    world.on_ask = blip

    assert stage.triage().healthy
    assert len(world.argvs) == 6


def test_l60_a_cluster_that_reforms_is_no_split_brain(stage: Stage) -> None:
    """Two views that share a process are one component at two moments."""
    world = stage.world
    world.among("db-0", "db-1")
    nodes = tuple(node(n) for n in range(3))
    world.servers["db-2"].view, world.servers["db-2"].view_names = nodes, ("db-0", "db-1", "db-2")

    report = stage.triage()

    assert report.authority is Authority.UNDETERMINABLE
    assert "while their component was changing" in report.authority_reason


def test_a_split_with_one_uuid_and_the_same_seqno_is_seen(stage: Stage) -> None:
    world = stage.world
    world.among("db-0", "db-1")
    world.among("db-2")

    report = stage.triage()

    assert report.authority is Authority.DIVERGED
    assert report.authority_reason == (
        "2 Primary components take writes apart from each other: db-0, db-1 (2 in it, at 67a44ea9:100)"
        " and db-2 (1 in it, at 67a44ea9:100)"
    )
    assert ids(report) == ["galera-two-components", "galera-member-apart"]
    assert (report.primaries, report.donors) == (("db-0",), ("db-0", "db-1"))
    branch = report.assessments[2].branch
    assert branch is not None
    assert (branch.text, branch.empty) == ("its data at 67a44ea9:100, last in db-2", False)


def test_l47_another_history_is_one_by_what_servers_and_files_say(stage: Stage) -> None:
    world = stage.world
    world.among("db-0", "db-1")
    world.stop("db-2", view=(node(2),), view_names=("db-2",), recovered=(OTHER, 5), gvwstate="")

    report = stage.triage(deep=True)

    assert report.authority is Authority.DIVERGED
    assert ids(report)[0] == "galera-other-history"
    remedy = found(report, "galera-other-history").remedy
    assert remedy == "hasteward repair -e galera -c db -n db -i 2 --force --dry-run"


@pytest.mark.parametrize("key", ["state", "recovered"])
def test_l46_l47_what_the_operator_wrote_down_never_counts(stage: Stage, key: str) -> None:
    """Its galeraRecovery said 3292 where every member was at 552481, or named a UUID that nobody has."""
    stage.world.recovery = {key: {"db-1": {"uuid": OTHER, "seqno": 999999, "safeToBootstrap": True}}}

    report = stage.triage()

    assert report.healthy
    assert report.assessments[1].evidence[-2] == (
        f"hint, not counted: status.galeraRecovery.{key} says 99999999:999999"
    )


def down(stage: Stage, *seqnos: int) -> None:
    """Everybody stopped at once, as far as said; in one component before."""
    for server, seqno in zip(stage.world.servers.values(), seqnos, strict=True):
        stage.world.stop(server.name, recovered=(U, seqno))


def test_l51_a_dead_cluster_is_recovered_and_the_member_to_start_from_named(stage: Stage) -> None:
    down(stage, 350450, 350454, 350451)

    plain, deep = stage.triage(), stage.triage(deep=True)

    assert plain.authority is Authority.UNDETERMINABLE
    assert (deep.authority, deep.newest) == (Authority.PROVABLE, ("db-1",))
    assert deep.details["startFrom"] == "db-1"
    assert ids(deep)[0] == "galera-all-down"
    assert '{"forceClusterBootstrapInPod":"db-1"}' in found(deep, "galera-all-down").remedy
    assert sorted(write.split(" ")[0] for write in stage.api.writes) == ["create"] * 3 + ["delete"] * 3


def test_l49_l50_the_recovery_names_galera_and_row_and_never_writes_to_the_volume(stage: Stage) -> None:
    down(stage, 1, 2, 3)
    stage.triage(deep=True)

    script = next(argv[4] for argv in stage.world.argvs if "wsrep-recover" in argv[4])

    for word in ("--binlog-format=ROW", "--wsrep-on=ON", '--wsrep-provider="$l"', '--datadir="$w"'):
        assert word in script
    assert '--datadir="$1"' not in script


def test_l48_l52_p01_the_member_that_could_not_be_recovered_may_be_the_newest(stage: Stage) -> None:
    """54784 was lost for 50522 because the leader's recovery had failed."""
    down(stage, 50522, 50522, 54784)
    stage.world.servers["db-2"].recovered = None
    stage.world.recovery = {"recovered": {"db-2": {"uuid": U, "seqno": 3}}}

    report = stage.triage(deep=True)

    assert report.authority is Authority.UNDETERMINABLE
    assert "db-2 did not stop in order, and how far it is was not recovered" in report.authority_reason
    assert (report.newest, report.details["startFrom"]) == ((), None)


def test_op1701_an_empty_member_with_the_safe_flag_is_not_started_from(stage: Stage) -> None:
    down(stage, 100, 101, 0)
    stage.world.stop("db-2", recovered=(ZERO, -1), grastate=grastate(ZERO, -1, 1), gvwstate="", view=())

    report = stage.triage(deep=True)

    assert (report.newest, report.details["startFrom"]) == (("db-1",), None)
    assert (
        "db-1 reaches furthest (67a44ea9:101), but it is not proven to hold what db-2 hold"
        in (report.details["startReason"])
    )
    assert "galera-no-history" in ids(report)


def test_op1701_a_new_data_directory_without_a_schema_holds_nothing(stage: Stage) -> None:
    """A lost volume was made anew, and its pod has initialised a server in it: it says it is safe."""
    down(stage, 100, 101, 0)
    stage.world.stop(
        "db-2", recovered=(ZERO, -1), grastate=grastate(ZERO, -1, 1), gvwstate="", view=(), schemas=()
    )

    report = stage.triage(deep=True)

    assert (report.newest, report.details["startFrom"]) == (("db-1",), "db-1")
    assert report.assessments[2].branch is None


def test_a_damaged_state_file_does_not_hide_what_innodb_knows(stage: Stage) -> None:
    down(stage, 100, 101, 99)
    stage.world.servers["db-1"].grastate = "\0\0\0garbage"

    report = stage.triage(deep=True)

    assert (report.authority, report.newest) == (Authority.PROVABLE, ("db-1",))


def test_op1108_a_transfer_that_was_broken_off_is_no_data_set(stage: Stage) -> None:
    """W27: it looks like a new member, and was once started from."""
    stage.world.among("db-0", "db-1")
    stage.world.stop(
        "db-2", transfer=True, grastate=grastate(ZERO, -1), gvwstate="", recovered=(U, 999), restarts=7
    )

    report = stage.triage(deep=True)

    assert report.authority is Authority.PROVABLE
    assert report.assessments[2].remediation is Remediation.RESEED
    assert "galera-aborted-transfer" in ids(report)


def test_w8_every_member_has_its_number(stage: Stage) -> None:
    """Without it untargeted repairs were all about member 0, and every capture was called 0-FILE."""
    assert [one.ordinal for one in stage.triage().assessments] == [0, 1, 2]


def test_w10_files_are_not_read_while_a_recovery_job_has_them_open(stage: Stage) -> None:
    """The operator's Jobs carry none of its labels, so it is the volume that tells."""
    world = stage.world
    world.among("db-0", "db-1")
    world.stop("db-2")
    claim = {"persistentVolumeClaim": {"claimName": "storage-db-2"}}
    world.extra.append(
        {
            "metadata": {"name": "db-2-recovery-x7k2p", "namespace": "db", "labels": {"job-name": "x"}},
            "spec": {"containers": [{"name": "mariadb"}], "volumes": [{"name": "s", **claim}]},
            "status": {"phase": "Running"},
        }
    )

    report = stage.triage(deep=True)

    assert report.authority is Authority.UNDETERMINABLE
    assert "db-2-recovery-x7k2p has its volume open" in report.authority_reason
    assert "galera-volume-in-use" in ids(report)
    assert stage.api.writes == []


@pytest.mark.parametrize(
    ("config", "folder"), [({}, "/data"), ({"reuseStorageVolume": True}, "/data/storage")]
)
def test_w11_a_shared_volume_is_looked_at_where_the_data_is(
    stage: Stage, config: dict[str, Any], folder: str
) -> None:
    stage.world.galera = {"config": config}
    stage.world.among("db-0", "db-1")
    stage.world.stop("db-2")

    stage.triage(deep=True)

    assert set(stage.world.folders) == {folder}


def test_files_do_not_count_when_a_server_was_started_while_they_were_read(stage: Stage) -> None:
    world = stage.world
    world.among("db-0", "db-1")
    world.stop("db-2")
    context = stage.context(Depth.DEEP)
    api = stage.api

    def restarted(call: str) -> None:
        body = api.objects["pods", "db", "db-2"]
        if call == "create pods":
            body["status"]["containerStatuses"][1]["restartCount"] += 1

    api.on_call = restarted

    report = plugin.triage(context, CLUSTER)

    assert report.authority is Authority.UNDETERMINABLE
    assert "was started while its files were read" in report.authority_reason


def test_a_volume_past_the_end_of_the_set_is_a_member_too(stage: Stage) -> None:
    """A scale-down leaves its data, and the next scale-up brings it back."""
    stage.world.replicas = 2
    stage.world.among("db-0", "db-1")
    stage.world.stop("db-2", pod=False)

    assert [one.member for one in stage.triage().assessments] == ["db-0", "db-1", "db-2"]


def test_a_pod_of_an_application_with_the_same_label_is_no_member(stage: Stage) -> None:
    stage.world.extra.append(
        {
            "metadata": {"name": "db-7", "namespace": "db", "labels": {"app.kubernetes.io/instance": "db"}},
            "spec": {"containers": [{"name": "web"}]},
            "status": {"phase": "Running"},
        }
    )

    assert stage.triage().healthy


def test_a_mariadb_without_galera_is_bad_input(stage: Stage) -> None:
    stage.world.galera = {"enabled": False}

    with pytest.raises(InvalidInput, match=r"spec\.galera\.enabled is not set"):
        stage.triage()


def test_a_wrong_name_is_answered_with_those_that_there_are(stage: Stage) -> None:
    with pytest.raises(InvalidInput) as caught:
        plugin.triage(stage.context(), ClusterRef("galera", "db", "bd"))

    assert caught.value.hint == "give one that there is: db"


@pytest.mark.parametrize(
    "what", ["get statefulsets", "list pods", "list persistentvolumeclaims", "get secrets"]
)
def test_a_list_that_fails_is_never_a_fact(stage: Stage, what: str) -> None:
    context = stage.context()

    def fail(call: str) -> None:
        if call == what:
            raise away(call)

    stage.api.on_call = fail

    report = plugin.triage(context, CLUSTER)

    # who runs together is told by the servers; the StatefulSet is asked for what a scale-down would do
    assert report.healthy is (what == "get statefulsets")
