"""Registers the standalone engine. Everything heavy is imported inside the hooks: `--help` pays for none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasteward import EngineSpec, hookimpl
from hasteward.domain.capability import Capability, EngineInfo, Right, Supported, Unsupported
from hasteward_standalone.resources import LAYOUTS, OPTIONS, db_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hasteward.domain.capability import DumpLayout
    from hasteward.domain.cluster import ClusterRef
    from hasteward.domain.option import OptionSpec, Value
    from hasteward.ports.context import (
        DumpOptions,
        DumpProof,
        DumpSink,
        EngineContext,
        PutBack,
        RestoreOptions,
        RestoreOutcome,
        RestoreSource,
    )

#: the pod is found by name or label, and its own client programs are run in it; a Secret is read by its name,
#: which the right below cannot say: a Role for one Secret is enough
_RIGHTS = (
    Right("list", "", "pods"),
    Right("get", "", "pods", "exec"),
    Right("create", "", "pods", "exec"),
)
_ALONE = "a bare container has no operator that could fence it and no second member to compare it with"


class StandaloneEngine(EngineSpec):
    """The engine for databases that nobody looks after."""

    @hookimpl
    def info(self) -> EngineInfo:
        """Introduce the engine."""
        return EngineInfo(
            name="standalone",
            title="bare database containers, servers and directories",
            capabilities={
                Capability.TRIAGE: Unsupported(_ALONE),
                Capability.DUMP: Supported(),
                Capability.RESTORE: Supported(),
                Capability.PLAN: Unsupported(_ALONE),
                Capability.HEAL: Unsupported(_ALONE),
            },
            rights=dict.fromkeys((Capability.DUMP, Capability.RESTORE), _RIGHTS),
            via=True,
        )

    @hookimpl
    def options(self) -> tuple[OptionSpec, ...]:
        """What runs there, and how to log in."""
        return OPTIONS

    @hookimpl
    def layout(self, options: Mapping[str, Value]) -> DumpLayout:
        """File and format of the kind of database."""
        return LAYOUTS[db_type(options)]

    @hookimpl
    def dump(
        self, context: EngineContext, cluster: ClusterRef, sink: DumpSink, options: DumpOptions
    ) -> DumpProof:
        """Dump with the database's own program, section by section."""
        from hasteward_standalone.dump import dump

        return dump(context, cluster, sink, options)

    @hookimpl
    def restore(
        self, context: EngineContext, cluster: ClusterRef, source: RestoreSource, options: RestoreOptions
    ) -> RestoreOutcome:
        """Load beside what is live, then swap."""
        from hasteward_standalone.restore import restore

        return restore(context, cluster, source, options)

    @hookimpl
    def put_back(self, context: EngineContext, cluster: ClusterRef, run: str) -> PutBack:
        """Swap back what a restore has replaced and kept."""
        from hasteward_standalone.restore.undo import put_back

        return put_back(context, cluster, run)


plugin = StandaloneEngine()
