"""What triage answers: per member an assessment, for the cluster one verdict, findings with remedies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import RunFailed

EvidenceT = TypeVar("EvidenceT")


class Authority(StrEnum):
    """One verdict per cluster: whether we can prove who holds the newest data.

    `UNDETERMINABLE` is the answer whenever a reading that could change the verdict is missing.
    `MAJORITY_LOST` is no gap in what was read: so many are proven to hold nothing any more that nobody can
    prove again that the rest holds everything. Only a person can say that it goes on.
    """

    PROVABLE = "provable"
    LEADER_NOT_PRIMARY = "leader_not_primary"
    DIVERGED = "diverged"
    MAJORITY_LOST = "majority_lost"
    UNDETERMINABLE = "undeterminable"


class Health(StrEnum):
    """The state of one member."""

    HEALTHY = "healthy"
    LAGGING = "lagging"
    NOT_STREAMING = "not_streaming"
    DOWN = "down"
    UNDETERMINABLE = "undeterminable"


class Remediation(StrEnum):
    """How far a repair of one member goes, from nothing to its whole data. Always the least that works.

    `BOOTSTRAP` stands apart: the member begins the cluster anew, alone, with what it holds.
    """

    NONE = "none"
    RESTART = "restart"
    WAIT = "wait"
    REWIND = "rewind"
    RESEED = "reseed"
    BOOTSTRAP = "bootstrap"

    @property
    def overwrites(self) -> bool:
        """Whether data of the member is replaced."""
        match self:
            case Remediation.NONE | Remediation.RESTART | Remediation.WAIT | Remediation.BOOTSTRAP:
                return False
            case Remediation.REWIND | Remediation.RESEED:
                return True


@dataclass(frozen=True, slots=True)
class Branch:
    """What a member holds that the others do not: its own history past the fork.

    `commits` is their number, None where it could not be counted, which must be taken for some. `text` says
    it in words (``timeline 3: 41 commits after 0/5A0, the last at 03:12:07``).
    """

    text: str
    commits: int | None

    @property
    def empty(self) -> bool:
        """Whether it is proven that nothing would be lost with it."""
        return self.commits == 0


class Severity(StrEnum):
    """How much a diagnosis matters at three in the morning."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A named finding: stable `id`, `summary`, the `evidence` it rests on, the `remedy` (a command)."""

    id: str
    severity: Severity
    summary: str
    evidence: tuple[str, ...]
    remedy: str
    member: str = ""


@dataclass(frozen=True, slots=True)
class Assessment:
    """One member: its `role`, its `health`, what that rests on (`evidence`) and lacks (`missing`).

    `ordinal` is the number that ``-i`` names it by. `remediation` is the least that would make it healthy,
    for the `reason` given; `branch` is what only this member holds, None where it is proven to hold nothing
    of its own.
    """

    member: str
    role: str
    health: Health
    evidence: tuple[str, ...]
    missing: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    ordinal: int | None = None
    remediation: Remediation = Remediation.NONE
    reason: str = ""
    branch: Branch | None = None


@dataclass(frozen=True, slots=True)
class TriageReport:
    """The whole answer. `details` is the engine's own JSON.

    `newest` are the members that are proven to hold the newest data, `primaries` those that accept writes or
    are named or about to be, `donors` the healthy ones that another may be built from. `evidence` is the
    engine's own, handed back to its `plan`; nothing else looks into it.
    """

    cluster: ClusterRef
    authority: Authority
    authority_reason: str
    assessments: tuple[Assessment, ...]
    diagnoses: tuple[Diagnosis, ...]
    details: Mapping[str, Any] = field(default_factory=dict)
    newest: tuple[str, ...] = ()
    primaries: tuple[str, ...] = ()
    donors: tuple[str, ...] = ()
    evidence: object = None

    def evidence_as(self, kind: type[EvidenceT]) -> EvidenceT:
        """The engine's own evidence; RunFailed if it is not that of the engine that asks."""
        if not isinstance(self.evidence, kind):
            raise RunFailed("the report to plan by is not of this engine's triage", code="plan.evidence")
        return self.evidence

    @property
    def healthy(self) -> bool:
        """True only if every member is healthy and the authority is proven."""
        return self.authority is Authority.PROVABLE and all(
            assessment.health is Health.HEALTHY for assessment in self.assessments
        )
