"""Registers the galera engine. Everything heavy is imported inside the hooks: `--help` pays for none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasteward import EngineSpec, hookimpl
from hasteward.domain.capability import Capability, EngineInfo, Right, Supported, Unsupported

if TYPE_CHECKING:
    from hasteward.domain.cluster import ClusterRef
    from hasteward.domain.repair import RepairPlan, Target
    from hasteward.domain.report import TriageReport
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

#: what `collect` reads, and the client programs in the members' pods; root's Secret is read too, but a right
#: to one Secret alone cannot be asked for beforehand
_RIGHTS = (
    Right("get", "k8s.mariadb.com", "mariadbs"),
    Right("get", "apps", "statefulsets"),
    Right("list", "", "pods"),
    Right("list", "", "persistentvolumeclaims"),
    # an exec over WebSocket needs both
    Right("get", "", "pods", "exec"),
    Right("create", "", "pods", "exec"),
)
_HEAL = "the acts of a plan are not done yet in this release; --dry-run shows them"


class GaleraEngine(EngineSpec):
    """The engine for MariaDB Galera under mariadb-operator."""

    @hookimpl
    def info(self) -> EngineInfo:
        """Introduce the engine."""
        return EngineInfo(
            name="galera",
            title="MariaDB Galera under mariadb-operator",
            dump_file="mysqldump.sql",
            dump_format="mysql-sections-1",
            capabilities={
                Capability.TRIAGE: Supported(),
                Capability.PLAN: Supported(),
                Capability.DUMP: Supported(),
                Capability.RESTORE: Supported(),
                Capability.HEAL: Unsupported(_HEAL),
            },
            rights=dict.fromkeys((Capability.TRIAGE, Capability.DUMP, Capability.RESTORE), _RIGHTS),
        )

    @hookimpl
    def triage(self, context: EngineContext, cluster: ClusterRef) -> TriageReport:
        """Read every member and judge; changes nothing."""
        from hasteward_galera.collect import collect
        from hasteward_galera.diagnose import report

        return report(cluster, collect(context, cluster))

    @hookimpl
    def plan(
        self, context: EngineContext, cluster: ClusterRef, report: TriageReport, targets: tuple[Target, ...]
    ) -> RepairPlan:
        """Restart who may come back by itself; make who may not anew, without an outage."""
        from hasteward_galera.analyse import analyse
        from hasteward_galera.evidence import Evidence
        from hasteward_galera.plan import repair_plan

        del context
        evidence = report.evidence_as(Evidence)
        return repair_plan(cluster, evidence, analyse(evidence), targets)

    @hookimpl
    def dump(
        self, context: EngineContext, cluster: ClusterRef, sink: DumpSink, options: DumpOptions
    ) -> DumpProof:
        """Dump the least loaded Synced member, schema by schema."""
        from hasteward_galera.dump import dump

        return dump(context, cluster, sink, options)

    @hookimpl
    def restore(
        self, context: EngineContext, cluster: ClusterRef, source: RestoreSource, options: RestoreOptions
    ) -> RestoreOutcome:
        """Load beside what is live, compare on every member, then swap."""
        from hasteward_galera.restore import restore

        return restore(context, cluster, source, options)

    @hookimpl
    def put_back(self, context: EngineContext, cluster: ClusterRef, run: str) -> PutBack:
        """Swap back what a restore has replaced and kept, on every member at once."""
        from hasteward_galera.restore.undo import put_back

        return put_back(context, cluster, run)


plugin = GaleraEngine()
