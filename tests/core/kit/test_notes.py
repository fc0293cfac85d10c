"""Notes that an engine adds to a plan of a shared part, and the small words around them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import RunFailed
from hasteward.domain.plan import Plan, Step
from hasteward.domain.reading import Absent, Forbidden, Known, Reading, Unread, why_not
from hasteward.domain.report import Authority, TriageReport
from hasteward.kit.notes import noted
from hasteward.ports.context import EngineContext, Run
from hasteward.testing import Approval, FakeKubernetes, RecordingReporter, Result, VirtualClock

PLAN = Plan("do it", (Step("so"),), notes=("its own",))


def test_a_plan_carries_the_notes_of_the_run_after_its_own() -> None:
    clock, approval = VirtualClock(), Approval(answer=False)
    context = EngineContext(
        kubernetes=FakeKubernetes(lambda *_: Result()),
        clock=clock,
        reporter=RecordingReporter(),
        run=Run("a" * 16, clock.now()),
        approve=approval,
    )

    assert not noted(context, ["from db-1", "not proven"]).approve(PLAN)

    assert approval.plans == [replace(PLAN, notes=("its own", "from db-1", "not proven"))]


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        (Known(0, "a file"), ""),
        (Absent("it was listed"), "it was listed"),
        (Unread("time-out"), "time-out"),
        (Forbidden("no right"), "no right"),
    ],
)
def test_why_there_is_no_value_is_said_in_the_words_of_whoever_looked(
    reading: Reading[int], words: str
) -> None:
    assert why_not(reading) == words


def test_a_report_gives_its_evidence_only_to_the_engine_whose_it_is() -> None:
    report = TriageReport(ClusterRef("toy", "db", "shop"), Authority.PROVABLE, "", (), (), evidence="mine")

    assert report.evidence_as(str) == "mine"
    with pytest.raises(RunFailed, match="not of this engine's triage") as caught:
        report.evidence_as(int)
    assert caught.value.code == "plan.evidence"
