"""A restart is proposed where it can help, and not once more where it has not. No server."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from cnpg_kit import CLUSTER
from evidence_kit import UP, cluster_of, primary_at

from hasteward.domain.reading import Known
from hasteward.domain.report import Diagnosis, Remediation
from hasteward_cnpg.analyse import analyse
from hasteward_cnpg.diagnose import report
from hasteward_cnpg.evidence import (
    ClaimState,
    Comparison,
    Evidence,
    Lsn,
    MemberEvidence,
    Receiver,
    ServerFacts,
    Tally,
    Trouble,
)
from hasteward_cnpg.facts.logs import troubles

FACTS = cluster_of("pg-1", "pg-2")
PRIMARY = primary_at(Lsn(0x100))
#: it runs, holds less than the primary, and does not stream
BEHIND = replace(PRIMARY, in_recovery=True, current=None, received=Lsn(0x80), replayed=Lsn(0x80))
SAME = Comparison(
    "pg-1", Lsn(0x80), Known(Tally(0, ""), "log"), Known(Tally(4, ""), "log"), Known(value=True, source="log")
)


def evidence(server: ServerFacts = BEHIND, *found: Trouble) -> Evidence:
    first = MemberEvidence("pg-1", named=True, pod=Known(UP, "pods"), server=Known(PRIMARY, "psql"))
    second = MemberEvidence(
        "pg-2",
        named=True,
        pod=Known(UP, "pods"),
        server=Known(server, "psql"),
        claim=Known(ClaimState.BOUND, "claims"),
        comparisons=(SAME,),
        troubles=frozenset(found),
    )
    return Evidence(Known(FACTS, "api"), Known(2, "api"), (first, second))


def remedy(server: ServerFacts = BEHIND, *found: Trouble) -> tuple[Remediation, str]:
    assessed = analyse(evidence(server, *found)).assessments[1]
    return assessed.remediation, assessed.reason


def line(second: int, message: str, severity: str = "LOG") -> str:
    record = {"error_severity": severity, "message": message}
    stamp = f"2026-01-02T03:{second // 60:02}:{second % 60:02}.123456789Z"
    return json.dumps({"level": "info", "ts": stamp, "msg": "record", "record": record})


UP_AT_0 = line(0, "database system is ready to accept read-only connections")
REFUSED = 'could not connect to the primary server: connection to server at "pg-rw" failed'


def test_a_replica_that_does_not_stream_is_restarted() -> None:
    assert remedy() == (Remediation.RESTART, "it does not stream, and the log it lacks can still be had")


def test_one_that_has_not_streamed_since_it_was_started_is_rewound_instead_of_restarted_again() -> None:
    said = [UP_AT_0, *(line(second, REFUSED, "FATAL") for second in range(5, 80, 5))]

    assert remedy(BEHIND, *troubles(said)) == (
        Remediation.REWIND,
        "it has not streamed since its server was started, so one more restart would not help",
    )


@pytest.mark.parametrize(
    "said",
    [
        [line(5, REFUSED, "FATAL"), line(90, REFUSED, "FATAL")],
        [UP_AT_0, line(59, REFUSED, "FATAL")],
        [UP_AT_0, line(2, "started streaming WAL from primary at 0/5000000"), line(90, REFUSED, "FATAL")],
        [UP_AT_0, line(90, REFUSED, "FATAL"), line(95, "started streaming WAL from primary at 0/5000000")],
        [UP_AT_0, json.dumps({"ts": "yesterday", "msg": "x"}), json.dumps({"ts": "2026-01-02", "msg": "x"})],
    ],
    ids=["started before the log begins", "just started", "it streamed", "it streams now", "no time is told"],
)
def test_what_is_not_seen_to_have_been_tried_is_tried(said: list[str]) -> None:
    assert remedy(BEHIND, *troubles(said))[0] is Remediation.RESTART


def test_l12_what_an_earlier_tool_left_in_auto_conf_is_taken_out() -> None:
    assert remedy(replace(BEHIND, shadowed=True)) == (
        Remediation.REWIND,
        "a primary_conninfo in its postgresql.auto.conf wins over the operator's, and is taken out",
    )
    named = findings(replace(BEHIND, shadowed=True))["cnpg-conninfo-shadowed"]
    assert named.remedy == "hasteward repair -e cnpg -c pg -n db   (takes the line out)"


def test_l14_a_replica_that_was_told_not_to_replay_is_named_and_left_alone() -> None:
    receiver = Receiver("streaming", 1, "pg-rw:5432")
    server = replace(BEHIND, received=Lsn(0x100), receiver=receiver, replay_paused=True)

    assert remedy(server)[0] is Remediation.NONE
    assert "cnpg-replay-paused" not in findings(replace(server, replay_paused=False))
    named = findings(server)["cnpg-replay-paused"]
    assert (named.member, named.evidence, named.remedy) == (
        "pg-2",
        ("pg_is_wal_replay_paused: received to 0/100, replayed to 0/80",),
        "kubectl exec -n db pg-2 -c postgres -- psql -U postgres -c 'SELECT pg_wal_replay_resume()'",
    )


def test_l20_a_full_volume_is_nothing_that_a_treatment_helps_against() -> None:
    assert remedy(BEHIND, Trouble.DISK_FULL) == (
        Remediation.NONE,
        "its volume is full, and only room helps: enlarge spec.storage.size of the Cluster",
    )
    assert findings(BEHIND, Trouble.DISK_FULL)["cnpg-disk-full"].remedy == (
        "kubectl describe pvc pg-2 -n db   (then enlarge spec.storage.size)"
    )


def test_l23_a_data_directory_that_is_open_to_others_is_set_right() -> None:
    said = line(1, 'data directory "/var/lib/postgresql/data/pgdata" has invalid permissions', "FATAL")

    assert remedy(BEHIND, *troubles([said])) == (
        Remediation.REWIND,
        "its data directory has a mode that its server refuses, which is set right on the way",
    )


def findings(server: ServerFacts = BEHIND, *found: Trouble) -> dict[str, Diagnosis]:
    return {one.id: one for one in report(CLUSTER, evidence(server, *found)).diagnoses}
