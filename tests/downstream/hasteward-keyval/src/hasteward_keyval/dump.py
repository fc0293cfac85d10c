"""One section: the primary's store."""

from __future__ import annotations

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import InvalidInput
from hasteward.domain.plan import Plan, Step
from hasteward.kit.sections import SectionWriter
from hasteward.kit.streaming import capture
from hasteward.ports.context import DumpOptions, DumpProof, DumpSink, EngineContext
from hasteward_keyval.triage import END, STORE, primary


def dump(context: EngineContext, cluster: ClusterRef, sink: DumpSink, options: DumpOptions) -> DumpProof:
    if options.instance is not None:
        raise InvalidInput("keyval has no branches, so no single member is captured")
    pod = primary(context, cluster)
    if not context.approve(Plan(f"back up {cluster}", (Step(f"read {STORE} on {pod.name}"),))):
        return DumpProof(pod.name, "1", (), planned_only=True)
    writer = SectionWriter(context, sink, capture(context, pod, ["true"]).algorithm)
    writer.stream("store", "", pod, ["cat", STORE], end_marker=END)
    return DumpProof(pod.name, "1", writer.sections)
