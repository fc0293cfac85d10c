"""Triage: ask the engine how the cluster is. Nothing is created or changed."""

from __future__ import annotations

from hasteward.domain.capability import Capability
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.events import PhaseStarted
from hasteward.domain.report import TriageReport
from hasteward.plugins import Engine
from hasteward.ports.context import EngineContext


def triage(engine: Engine, context: EngineContext, cluster: ClusterRef) -> TriageReport:
    """The engine's report on `cluster`."""
    spec = engine.require(Capability.TRIAGE)
    context.reporter.emit(PhaseStarted("triage", f"reading {cluster}"))
    return spec.triage(context=context, cluster=cluster)
