"""Triage: a table of evidence without any server, then real ones; a read that fails is never a fact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from cnpg_kit import CLUSTER, LocalKubernetes, Server, context_for, objects_for
from evidence_kit import UP, cluster_of, primary_at

from hasteward.domain.errors import InvalidInput
from hasteward.domain.reading import Absent, Forbidden, Known, Reading, Unread
from hasteward.domain.report import Authority, Health, TriageReport
from hasteward.ports.kubernetes import ApiUnavailable, PodRef, StreamStalled
from hasteward_cnpg.analyse import LAG_BYTES, analyse
from hasteward_cnpg.diagnose import report
from hasteward_cnpg.evidence import (
    ClusterFacts,
    ContainerState,
    Evidence,
    Fork,
    Lsn,
    MemberEvidence,
    PodFacts,
    Receiver,
    ServerFacts,
)
from hasteward_cnpg.plugin import plugin

PRIMARY = primary_at(Lsn(1000 * LAG_BYTES), Fork(1, Lsn(100)))
#: its checkpoint is still of the old timeline, as it is after every failover (W2)
STANDBY = replace(
    PRIMARY,
    in_recovery=True,
    checkpoint_timeline=1,
    current=None,
    received=PRIMARY.current,
    replayed=PRIMARY.current,
    receiver=Receiver("streaming", 2, "pg-rw:5432"),
)
FACTS = cluster_of("pg-1", "pg-2", "pg-3")


def member(name: str, server: ServerFacts | str, pod: Reading[PodFacts] | None = None) -> MemberEvidence:
    reading: Reading[ServerFacts] = Unread(server) if isinstance(server, str) else Known(server, "psql")
    return MemberEvidence(name, named=True, pod=pod or Known(UP, "pods"), server=reading)


def evidence(
    *third: ServerFacts | str | Reading[PodFacts], cluster: Reading[ClusterFacts] | None = None
) -> Evidence:
    """pg-1 is the primary, pg-2 streams; the third is what the test is about."""
    server = next((t for t in third if isinstance(t, ServerFacts | str)), "no answer")
    pod = next((t for t in third if isinstance(t, Known | Absent | Unread)), None)
    members = (member("pg-1", PRIMARY), member("pg-2", STANDBY), member("pg-3", server, pod))
    return Evidence(cluster or Known(FACTS, "api"), Known(3, "api"), members)


def down(state: ContainerState, reason: str, *, ready: bool = False) -> Known[PodFacts]:
    return Known(replace(UP, container=state, reason=reason, ready=ready), "pods")


BACK = Lsn(PRIMARY.current.position - LAG_BYTES) if PRIMARY.current else Lsn(0)
BEHIND = Lsn(BACK.position - 1)
AHEAD = Lsn(1000 * LAG_BYTES + 8)

TABLE: list[tuple[str, Evidence, Health, str | None, str]] = [
    ("streams", evidence(STANDBY), Health.HEALTHY, None, ""),
    ("just not lagging", evidence(replace(STANDBY, replayed=BACK)), Health.HEALTHY, None, ""),
    ("lags", evidence(replace(STANDBY, replayed=BEHIND)), Health.LAGGING, "cnpg-replica-lagging", ""),
    (
        "no receiver",
        evidence(replace(STANDBY, receiver=None)),
        Health.NOT_STREAMING,
        "cnpg-replica-not-streaming",
        "not known of pg-3: its log was not held against that of pg-1",
    ),
    (
        "receiver waits",
        evidence(replace(STANDBY, receiver=Receiver("waiting", 2, ""))),
        Health.NOT_STREAMING,
        "cnpg-replica-not-streaming",
        "not known of pg-3: its log was not held against that of pg-1",
    ),
    (
        "old timeline",
        evidence(replace(STANDBY, receiver=Receiver("streaming", 1, ""))),
        Health.NOT_STREAMING,
        "cnpg-replica-not-streaming",
        "not known of pg-3: its log was not held against that of pg-1",
    ),
    (
        "later timeline",
        evidence(replace(STANDBY, receiver=Receiver("streaming", 3, ""))),
        Health.UNDETERMINABLE,
        "cnpg-member-unread",
        "not known of pg-3: its log was not held against that of pg-1",
    ),
    (
        "ahead",
        evidence(replace(STANDBY, received=AHEAD)),
        Health.UNDETERMINABLE,
        "cnpg-member-unread",
        "not known of pg-3: its log was not held against that of pg-1",
    ),
    (
        "other system",
        evidence(replace(STANDBY, system_id="8")),
        Health.UNDETERMINABLE,
        "cnpg-member-unread",
        "another database system",
    ),
    (
        "second primary",
        evidence(PRIMARY),
        Health.UNDETERMINABLE,
        "cnpg-two-primaries",
        "two members accept writes: pg-1, pg-3",
    ),
    (
        "not answering",
        evidence("psql timed out"),
        Health.UNDETERMINABLE,
        "cnpg-member-unread",
        "pg-3 could not be read (psql timed out; the files were not looked at); it may hold commits",
    ),
    (
        "no pod",
        evidence("no pod", Absent("the list of pods has no pod pg-3")),
        Health.DOWN,
        "cnpg-member-down",
        "pg-3 could not be read (no pod; the files were not looked at); it may hold commits",
    ),
    (
        "crash loop",
        evidence("waiting", down(ContainerState.WAITING, "CrashLoopBackOff")),
        Health.DOWN,
        "cnpg-member-down",
        "pg-3 could not be read",
    ),
    (
        "not ready, but answers",
        evidence(STANDBY, down(ContainerState.RUNNING, "")),
        Health.DOWN,
        "cnpg-member-down",
        "",
    ),
    (
        "pods unread",
        evidence(STANDBY, Unread("the list of pods: 503")),
        Health.UNDETERMINABLE,
        "cnpg-member-unread",
        "",
    ),
]


@pytest.mark.parametrize(
    ("found", "health", "diagnosis", "doubt"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE]
)
def test_the_third_member(found: Evidence, health: Health, diagnosis: str | None, doubt: str) -> None:
    answer = report(CLUSTER, found)

    assert [a.health for a in answer.assessments] == [Health.HEALTHY, Health.HEALTHY, health]
    assert answer.authority is (Authority.UNDETERMINABLE if doubt else Authority.PROVABLE)
    assert doubt in answer.authority_reason
    ids = [d.id for d in answer.diagnoses]
    assert diagnosis in ids if diagnosis else ids == []
    if health is Health.UNDETERMINABLE:
        assert answer.assessments[2].missing, "it says what it lacks"
    for finding in answer.diagnoses:
        assert finding.evidence
        assert finding.remedy.startswith(("kubectl describe ", "kubectl logs ", "hasteward triage "))


def test_a_crash_loop_is_named() -> None:
    answer = report(CLUSTER, evidence("waiting", down(ContainerState.WAITING, "CrashLoopBackOff")))

    assert "container postgres waiting (CrashLoopBackOff), not ready" in answer.assessments[2].evidence[0]


def test_a_down_member_says_each_thing_once() -> None:
    pod = Known(replace(UP, container=ContainerState.WAITING, reason="CrashLoopBackOff", restarts=1), "pods")
    answer = report(CLUSTER, evidence("container postgres of pg-3 is waiting", pod))

    words = "pod Running, container postgres waiting (CrashLoopBackOff), ready, 1 restart"
    assert answer.assessments[2].evidence == (words,)


def test_a_member_that_may_not_be_asked_has_a_remedy_of_its_own() -> None:
    third = MemberEvidence("pg-3", named=True, pod=Known(UP, "pods"), server=Forbidden("psql on pg-3: no"))
    found = evidence(STANDBY)
    answer = report(CLUSTER, replace(found, members=(*found.members[:2], third)))

    (finding,) = answer.diagnoses
    assert (finding.id, finding.remedy) == ("cnpg-member-unread", "kubectl auth can-i create pods/exec -n db")
    assert "not known: psql on pg-3: no" in finding.evidence


def test_the_details_are_named_as_in_the_envelope() -> None:
    answer = report(CLUSTER, evidence(STANDBY))

    keys = {*answer.details, *(key for one in answer.assessments for key in one.details)}
    assert {"currentPrimary", "lagBytes", "detachedVolumes"} <= keys
    assert not [key for key in keys if "_" in key]


def test_a_fenced_member_is_fenced_and_not_crashed() -> None:
    facts = Known(replace(FACTS, fenced=frozenset({"*"})), "api")
    answer = report(CLUSTER, evidence("refused", down(ContainerState.RUNNING, ""), cluster=facts))

    assert [d.id for d in answer.diagnoses] == ["cnpg-member-fenced"]


@pytest.mark.parametrize(
    ("cluster", "doubt"),
    [
        (Unread("503"), "the Cluster could not be read (503)"),
        (Known(replace(FACTS, instance_names=()), "api"), "names no instance"),
        (Known(replace(FACTS, target_primary="pg-2"), "api"), "a change of primary is under way"),
        (Known(replace(FACTS, current_primary="pg-2"), "api"), "a change of primary is under way"),
        (Known(replace(FACTS, current_primary="", target_primary=""), "api"), "names nobody as its primary"),
    ],
)
def test_doubts_about_the_cluster(cluster: Reading[ClusterFacts], doubt: str) -> None:
    answer = analyse(evidence(STANDBY, cluster=cluster))

    assert answer.authority is Authority.UNDETERMINABLE
    assert doubt in answer.reason


def test_without_the_lists_nobody_is_proven() -> None:
    found = replace(evidence(STANDBY), inventory=Unread("the list of volume claims: 503"))

    assert "it is not known which members there are" in analyse(found).reason


def test_a_cluster_without_a_primary() -> None:
    members = (member("pg-1", "gone"), member("pg-2", STANDBY))
    found = Evidence(Known(FACTS, "api"), Known(2, "api"), members)

    answer = analyse(found)

    assert "the data of pg-1, which the Cluster names as its primary, could not be read" in answer.reason
    assert answer.assessments[1].missing == ("the position and timeline of the primary",)


# --- real servers -----------------------------------------------------------------------------------------


def triage(api: LocalKubernetes) -> TriageReport:
    return plugin.triage(context_for(api), CLUSTER)


@pytest.mark.servers
def test_a_healthy_pair(api: LocalKubernetes) -> None:
    answer = triage(api)

    assert answer.healthy, answer
    assert [(a.member, a.role) for a in answer.assessments] == [("pg-1", "primary"), ("pg-2", "replica")]
    assert answer.details["standbys"][0]["name"] == "pg-2"
    assert {"name", "bytes"} == set(answer.details["databases"][0])
    assert [member for member, _ in api.execs] == ["pg-2", "pg-1"], "the primary is asked last"


@pytest.mark.servers
def test_the_standbys_are_asked_at_once_and_the_primary_when_they_have_answered(
    pair: dict[str, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    api = LocalKubernetes(pair | {"pg-3": pair["pg-2"]}, objects_for(["pg-1", "pg-2", "pg-3"], "pg-1"))
    seen, plain = list[str](), api.exec

    @contextmanager
    def watched(pod: PodRef, argv: Sequence[str], **more: Any) -> Iterator[Any]:
        seen.append(f"ask {pod.name}")
        with plain(pod, argv, **more) as stream:
            yield stream
        seen.append(f"heard {pod.name}")

    monkeypatch.setattr(api, "exec", watched)

    triage(api)

    assert seen[:2] == ["ask pg-2", "ask pg-3"]
    assert set(seen[2:4]) == {"heard pg-2", "heard pg-3"}
    assert seen[4:] == ["ask pg-1", "heard pg-1"]


@pytest.mark.servers
def test_each_read_that_fails_makes_it_undeterminable(api: LocalKubernetes) -> None:
    reads: list[tuple[str, str]] = []
    api.faults.append(lambda verb, what, _: reads.append((verb, what)))
    triage(api)
    assert len(reads) == 5
    for error in (ApiUnavailable("503"), StreamStalled("nothing moved"), ValueError("not JSON")):
        for failing in reads:

            def fail(
                verb: str, what: str, argv: Sequence[str], failing: Any = failing, error: Any = error
            ) -> None:
                if (verb, what) == failing and not isinstance(error, ValueError):
                    raise error

            api.faults[:] = [fail]
            api.rewrites[:] = [garble(failing)] if isinstance(error, ValueError) else []
            if isinstance(error, ValueError) and failing[0] != "exec":
                continue
            answer = triage(api)
            assert answer.authority is Authority.UNDETERMINABLE, failing
            assert not answer.healthy


def garble(failing: tuple[str, str]) -> Any:
    """The server answers, but not what it was asked."""

    def rewrite(pod: Any, argv: Sequence[str]) -> list[str]:
        return ["SELECT '{}'" if pod.name == failing[1] and "SELECT" in word else word for word in argv]

    return rewrite


@pytest.mark.servers
def test_a_stopped_server_is_not_proof_of_anything(api: LocalKubernetes) -> None:
    api.servers["pg-2"] = Server("nobody")
    try:
        answer = triage(api)
    finally:
        api.servers["pg-2"].remove()

    assert answer.assessments[1].health is Health.UNDETERMINABLE
    assert "No such file or directory" in answer.assessments[1].missing[0]


@pytest.mark.servers
def test_a_cluster_that_is_not_there(api: LocalKubernetes) -> None:
    api.objects["clusters", "other"] = api.objects.pop(("clusters", "pg"))

    with pytest.raises(InvalidInput, match="no CloudNativePG cluster db/pg") as caught:
        triage(api)

    assert caught.value.hint


@pytest.mark.servers
def test_two_primaries(api: LocalKubernetes, fresh: Server) -> None:
    api.servers["pg-2"] = fresh

    answer = triage(api)

    assert "two members accept writes: pg-1, pg-2" in answer.authority_reason
    assert "cnpg-two-primaries" in [d.id for d in answer.diagnoses]


@pytest.mark.servers
def test_a_volume_without_a_pod_is_a_member_that_is_down(api: LocalKubernetes) -> None:
    labels = {"cnpg.io/cluster": "pg", "cnpg.io/instanceName": "pg-7", "cnpg.io/pvcRole": "PG_DATA"}
    api.objects["persistentvolumeclaims", "pg-7"] = {"metadata": {"name": "pg-7", "labels": labels}}

    answer = triage(api)

    assert [(a.member, a.health) for a in answer.assessments][2] == ("pg-7", Health.DOWN)
    assert answer.authority is Authority.UNDETERMINABLE
    assert "the Cluster's status does not name it" in answer.assessments[2].evidence


@pytest.mark.servers
def test_a_replica_that_lost_its_way(api: LocalKubernetes) -> None:
    replica = api.servers["pg-2"]
    replica.psql("ALTER SYSTEM SET primary_conninfo = 'host=/nowhere'; SELECT pg_reload_conf()")
    try:
        wait_for(replica, "SELECT count(*) = 0 FROM pg_stat_wal_receiver")
        answer = triage(api)
    finally:
        replica.psql("ALTER SYSTEM RESET primary_conninfo")
        primary = api.servers["pg-1"]
        conninfo = f"host={primary.folder} port={primary.port} user=postgres application_name=pg-2"
        replica.psql(f"ALTER SYSTEM SET primary_conninfo = '{conninfo}'; SELECT pg_reload_conf()")
        wait_for(replica, "SELECT count(*) = 1 FROM pg_stat_wal_receiver WHERE status = 'streaming'")

    assert answer.assessments[1].health is Health.NOT_STREAMING
    (finding,) = answer.diagnoses
    assert finding.id == "cnpg-replica-not-streaming"
    assert finding.remedy == "kubectl logs pg-2 -n db -c postgres --tail=200"


def wait_for(server: Server, sql: str) -> None:
    import time

    for _ in range(300):
        if server.psql(sql) == "t":
            return
        time.sleep(0.05)
    raise AssertionError(sql)
