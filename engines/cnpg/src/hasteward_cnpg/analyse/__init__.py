"""Judges the evidence: how every member is, and whether it is proven who holds the newest data. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hasteward.domain.report import Assessment, Authority
from hasteward_cnpg.analyse.authority import (
    Doubt,
    Question,
    Standing,
    accepting_writes,
    cluster_of,
    judge,
)
from hasteward_cnpg.analyse.members import assess
from hasteward_cnpg.analyse.remedy import PATIENCE_SECONDS
from hasteward_cnpg.evidence import Evidence

__all__ = ["LAG_BYTES", "Analysis", "Doubt", "Question", "Standing", "analyse"]

#: a standby that has this much still to replay is lagging
LAG_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Analysis:
    """The verdict, and what it rests on.

    `primary` is the member that accepts writes and is named by the Cluster; it may be empty. `questions` are
    what keeps the primary from being proven, and that two members accept writes, which needs no proof.
    """

    authority: Authority
    reason: str
    questions: tuple[Question, ...]
    assessments: tuple[Assessment, ...]
    primary: str
    standing: Mapping[str, Standing]
    newest: tuple[str, ...]

    def assessment(self, member: str) -> Assessment | None:
        """What was said of one member."""
        return next((found for found in self.assessments if found.member == member), None)


def analyse(
    evidence: Evidence, *, lag_bytes: int = LAG_BYTES, patience: float = PATIENCE_SECONDS
) -> Analysis:
    """Assess every member and give one verdict for the cluster."""
    cluster = cluster_of(evidence)
    named = "" if cluster is None else cluster.current_primary
    primary = next((member for member in accepting_writes(evidence) if member.name == named), None)
    verdict = judge(evidence)
    assessments = tuple(
        assess(evidence, member, primary, verdict, lag_bytes=lag_bytes, patience=patience)
        for member in evidence.members
    )
    return Analysis(
        authority=verdict.authority,
        reason=verdict.reason,
        questions=verdict.questions,
        assessments=assessments,
        primary=primary.name if primary is not None else "",
        standing=verdict.standing,
        newest=verdict.newest,
    )
