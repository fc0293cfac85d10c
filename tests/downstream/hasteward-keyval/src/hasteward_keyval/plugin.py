"""Registers the keyval engine. The work is imported inside the hooks: `--help` pays for none of it."""

from __future__ import annotations

from hasteward import EngineSpec, hookimpl
from hasteward.domain.capability import Capability, EngineInfo, Right, Supported, Unsupported
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.report import TriageReport
from hasteward.ports.context import (
    DumpOptions,
    DumpProof,
    DumpSink,
    EngineContext,
    RestoreOptions,
    RestoreOutcome,
    RestoreSource,
)

_DOES = (Capability.TRIAGE, Capability.DUMP, Capability.RESTORE)
_RIGHTS = (Right("list", "", "pods"), Right("get", "", "pods", "exec"), Right("create", "", "pods", "exec"))
_COPIES = Unsupported("a member copies the primary by itself; there is nothing to repair")


class KeyvalEngine(EngineSpec):
    @hookimpl
    def info(self) -> EngineInfo:
        return EngineInfo(
            name="keyval",
            title="keyval, a key-value store in one file",
            dump_file="store.txt",
            dump_format="keyval-1",
            capabilities=dict.fromkeys(_DOES, Supported())
            | {Capability.PLAN: _COPIES, Capability.HEAL: _COPIES},
            rights=dict.fromkeys(_DOES, _RIGHTS),
        )

    @hookimpl
    def triage(self, context: EngineContext, cluster: ClusterRef) -> TriageReport:
        from hasteward_keyval.triage import collect, judge

        return judge(cluster, collect(context, cluster))

    @hookimpl
    def dump(
        self, context: EngineContext, cluster: ClusterRef, sink: DumpSink, options: DumpOptions
    ) -> DumpProof:
        from hasteward_keyval.dump import dump

        return dump(context, cluster, sink, options)

    @hookimpl
    def restore(
        self, context: EngineContext, cluster: ClusterRef, source: RestoreSource, options: RestoreOptions
    ) -> RestoreOutcome:
        from hasteward_keyval.restore import restore

        return restore(context, cluster, source, options)


plugin = KeyvalEngine()
