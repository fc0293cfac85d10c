"""What starts again and again, or never becomes ready, for a reason that nobody knows. No server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from cnpg_kit import CLUSTER
from evidence_kit import UP, cluster_of, primary_at

from hasteward.domain.reading import Known, Unread
from hasteward.domain.report import Remediation
from hasteward_cnpg.analyse import analyse
from hasteward_cnpg.diagnose import report
from hasteward_cnpg.evidence import (
    ClaimState,
    Comparison,
    ControlFacts,
    Evidence,
    FileFacts,
    Lsn,
    MemberEvidence,
    PodFacts,
    Position,
    Tally,
    Trouble,
)
from hasteward_cnpg.facts.objects import parse_pod

#: it holds less than the primary, and all of that is the primary's
FILES = FileFacts(
    ControlFacts("7", "in archive recovery", 1, Lsn(0x20), Lsn(0x20), 0x1000), Position(1, Lsn(0x80), ())
)
SAME = Comparison(
    "pg-1", Lsn(0x80), Known(Tally(0, ""), "log"), Known(Tally(4, ""), "log"), Known(value=True, source="log")
)


def evidence(pod: PodFacts, *found: Trouble) -> Evidence:
    """pg-2 does not answer, and its files were read."""
    server = Known(primary_at(Lsn(0x100)), "psql")
    first = MemberEvidence("pg-1", named=True, pod=Known(UP, "pods"), server=server)
    second = MemberEvidence(
        "pg-2",
        named=True,
        pod=Known(pod, "pods"),
        server=Unread("connection refused"),
        claim=Known(ClaimState.BOUND, "claims"),
        files=Known(FILES, "files"),
        comparisons=(SAME,),
        troubles=frozenset(found),
    )
    return Evidence(Known(cluster_of("pg-1", "pg-2"), "api"), Known(2, "api"), (first, second))


NOW = datetime(2026, 1, 2, 3, 30, tzinfo=UTC)
LOOPS = {"waiting": {"reason": "CrashLoopBackOff"}}
RUNS = {"running": {"startedAt": "2026-01-02T03:10:02Z"}}
LAST = {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": "2026-01-02T03:29:50Z"}}


def pod_of(
    state: dict[str, Any], restarts: int, *, since: str = "03:10:01", last: dict[str, Any] | None = None
) -> PodFacts:
    """A pod that was made at 03:10 and is not ready `since` then; it is half past three."""
    row = {"name": "postgres", "ready": False, "restartCount": restarts, "state": state, "lastState": last}
    unready = {"type": "Ready", "status": "False", "lastTransitionTime": f"2026-01-02T{since}Z"}
    status = {"phase": "Running", "startTime": "2026-01-02T03:10:00Z", "conditions": [unready]}
    return parse_pod({"metadata": {"name": "pg-2"}, "status": status | {"containerStatuses": [row]}}, NOW)


def down(pod: PodFacts, patience: float = 600.0) -> tuple[Remediation, str, list[str]]:
    """What is done with a member whose pod is so, and the commands that are named beside it."""
    found = report(CLUSTER, evidence(pod), patience=patience)
    assessed = found.assessments[1]
    named = [one.remedy for one in found.diagnoses if one.id == "cnpg-restart-in-vain"]
    return assessed.remediation, assessed.reason, named


ANEW = (
    "hasteward repair -e cnpg -c pg -n db -i 2   (makes it anew; what it says:"
    " kubectl logs pg-2 -n db -c postgres --previous)"
)
ENDED = " (the last one ended with exit 1, Error)"
MORE = "one more restart would not help, and repair -i 2 makes it anew"
RESTARTED = (Remediation.RESTART, "it is down, and the log it lacks can still be had", [])


def test_what_crash_loops_in_a_pod_that_was_never_ready_is_not_restarted_once_more() -> None:
    """A restart makes such a pod: that it loops shows that the restart has just failed."""
    assert down(pod_of(LOOPS, 4, last=LAST)) == (
        Remediation.NONE,
        f"its pod has never been ready, and its container was started 5 times{ENDED}; {MORE}",
        [ANEW],
    )


def test_what_crash_loops_in_a_pod_that_was_ready_once_is_worth_a_new_pod() -> None:
    assert down(pod_of(LOOPS, 4, since="03:25:00", last=LAST)) == RESTARTED


def test_a_new_pod_that_crashed_twice_has_not_shown_yet_that_it_does_not_help() -> None:
    assert down(pod_of(LOOPS, 2, last=LAST), patience=1200.0) == RESTARTED


def test_a_reason_that_is_known_counts_more_than_how_often_it_started() -> None:
    found = evidence(pod_of(LOOPS, 9, last=LAST), Trouble.MODE)

    assert analyse(found).assessments[1].remediation is Remediation.REWIND


def test_a_container_that_never_becomes_ready_is_waited_for_as_long_as_heal_timeout_says() -> None:
    pod = pod_of(RUNS, 0)

    assert down(pod, patience=1200.0) == (Remediation.WAIT, "its server is starting", [])
    assert down(pod) == (
        Remediation.NONE,
        f"its pod has not become ready in 1199 s, and nothing that is known keeps it; {MORE}",
        [ANEW],
    )


def test_a_server_that_was_ready_and_hangs_is_restarted_when_it_has_been_waited_for() -> None:
    assert down(pod_of(RUNS, 0, since="03:25:00"))[0] is Remediation.WAIT
    assert down(pod_of(RUNS, 0, since="03:19:00")) == RESTARTED


@pytest.mark.parametrize("status", [{}, {"conditions": [{"type": "Ready"}]}, {"conditions": [None]}])
def test_a_pod_that_tells_nothing_of_when_it_was_ready_proves_nothing(status: dict[str, Any]) -> None:
    row = {"name": "postgres", "ready": False, "restartCount": 9, "state": LOOPS}
    found = parse_pod({"status": {"phase": "Running", "containerStatuses": [row], **status}}, NOW)

    assert (found.unready, found.fresh, found.last) == (None, None, "")
    assert down(found) == RESTARTED


def test_l66_a_pod_that_finds_no_node_waits_for_one_and_another_pod_would_too() -> None:
    words = "0/3 nodes are available: 3 node(s) had volume node affinity conflict."
    unplaced = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words}
    found = parse_pod({"status": {"phase": "Pending", "conditions": [unplaced]}}, NOW)

    assert down(found) == (Remediation.WAIT, f"no node takes its pod: {words}", [])
    silent = {**unplaced, "message": None}
    assert parse_pod({"status": {"conditions": [silent]}}).unplaced == "it is unschedulable"
    assert parse_pod({"status": {"conditions": [{**unplaced, "status": "True"}]}}).unplaced == ""
