"""What is said of a fact that is not known, and of evidence that is somebody else's."""

from __future__ import annotations

import pytest

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import ExitCode, RunFailed
from hasteward.domain.reading import Absent, Forbidden, Known, Reading, Unread, why_not
from hasteward.domain.report import Authority, TriageReport

CLUSTER = ClusterRef("toy", "db", "box")


@pytest.mark.parametrize(
    ("reading", "why"),
    [
        (Known(0, "asked"), ""),
        (Absent("the directory is empty"), "the directory is empty"),
        (Unread("it did not answer"), "it did not answer"),
        (Forbidden("may not exec"), "may not exec"),
    ],
)
def test_why_there_is_no_value_is_in_the_words_of_whoever_looked(reading: Reading[int], why: str) -> None:
    assert why_not(reading) == why


def test_an_engine_gets_its_own_evidence_back_and_refuses_that_of_another() -> None:
    mine = TriageReport(CLUSTER, Authority.PROVABLE, "why", (), (), evidence={"found": 1})

    assert mine.evidence_as(dict) == {"found": 1}
    with pytest.raises(RunFailed) as failed:
        mine.evidence_as(list)
    assert (failed.value.message, failed.value.code, failed.value.exit_code) == (
        "the report to plan by is not of this engine's triage",
        "plan.evidence",
        ExitCode.FAILED,
    )
