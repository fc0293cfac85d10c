"""What triage answers: per member an assessment, for the cluster one verdict, findings with remedies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from hasteward.domain.cluster import ClusterRef


class Authority(StrEnum):
    """One verdict per cluster: whether we can prove who holds the newest data.

    `UNDETERMINABLE` is the answer whenever a reading that could change the verdict is missing.
    """

    PROVABLE = "provable"
    LEADER_NOT_PRIMARY = "leader_not_primary"
    DIVERGED = "diverged"
    UNDETERMINABLE = "undeterminable"


class Health(StrEnum):
    """The state of one member."""

    HEALTHY = "healthy"
    LAGGING = "lagging"
    NOT_STREAMING = "not_streaming"
    DOWN = "down"
    UNDETERMINABLE = "undeterminable"


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
    """One member: its `role`, its `health`, what that rests on (`evidence`) and lacks (`missing`)."""

    member: str
    role: str
    health: Health
    evidence: tuple[str, ...]
    missing: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TriageReport:
    """The whole answer. `details` is the engine's own JSON."""

    cluster: ClusterRef
    authority: Authority
    authority_reason: str
    assessments: tuple[Assessment, ...]
    diagnoses: tuple[Diagnosis, ...]
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def healthy(self) -> bool:
        """True only if every member is healthy and the authority is proven."""
        return self.authority is Authority.PROVABLE and all(
            assessment.health is Health.HEALTHY for assessment in self.assessments
        )
