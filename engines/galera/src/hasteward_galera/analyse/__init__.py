"""Judges the evidence: how every member is, and whether it is proven who holds the newest data. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from hasteward.domain.report import Assessment, Authority, Health
from hasteward_galera.analyse.bootstrap import Choice, NoChoice, choose
from hasteward_galera.analyse.components import Component, components, server_of
from hasteward_galera.analyse.members import LAG_SETS, assess
from hasteward_galera.analyse.standing import Standing
from hasteward_galera.analyse.verdict import Doubt, Question, Verdict, judge
from hasteward_galera.evidence import Evidence

__all__ = [
    "LAG_SETS",
    "Analysis",
    "Choice",
    "Component",
    "Doubt",
    "NoChoice",
    "Question",
    "Standing",
    "Verdict",
    "analyse",
    "choose",
    "components",
    "server_of",
]


@dataclass(frozen=True, slots=True)
class Analysis:
    """The verdict, and what is said of every member."""

    verdict: Verdict
    assessments: tuple[Assessment, ...]

    @property
    def authority(self) -> Authority:
        """The verdict in a word."""
        return self.verdict.authority

    @property
    def well(self) -> bool:
        """Whether nothing is to be done about the data: what the operator thinks is another matter."""
        healthy = all(one.health is Health.HEALTHY for one in self.assessments)
        return healthy and self.authority is Authority.PROVABLE

    def assessment(self, member: str) -> Assessment | None:
        """What was said of one member."""
        return next((found for found in self.assessments if found.member == member), None)


def analyse(evidence: Evidence) -> Analysis:
    """Assess every member and give one verdict for the cluster."""
    verdict = judge(evidence)
    return Analysis(verdict, tuple(assess(member, verdict) for member in evidence.members))
