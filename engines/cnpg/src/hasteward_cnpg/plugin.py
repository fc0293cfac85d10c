"""Registers the cnpg engine. Everything heavy is imported inside the hooks: `--help` pays for none of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasteward import EngineSpec, hookimpl
from hasteward.domain.capability import Capability, DumpLayout, EngineInfo, Right, Supported
from hasteward.domain.option import Kind, OptionSpec

if TYPE_CHECKING:
    from hasteward.domain.cluster import ClusterRef
    from hasteward.domain.repair import RepairPlan, Target
    from hasteward.domain.report import TriageReport
    from hasteward.ports.context import (
        DumpOptions,
        DumpProof,
        DumpSink,
        EngineContext,
        NativeOutcome,
        Order,
        PutBack,
        RestoreOptions,
        RestoreOutcome,
        RestoreSource,
    )

#: what `collect` reads, and psql, pg_dump and df in the members' pods
_RIGHTS = (
    Right("get", "postgresql.cnpg.io", "clusters"),
    Right("list", "", "pods"),
    Right("list", "", "persistentvolumeclaims"),
    # why a server that is down does not run
    Right("get", "", "pods", "log"),
    # an exec over WebSocket needs both
    Right("get", "", "pods", "exec"),
    Right("create", "", "pods", "exec"),
)
#: what else is declared about the databases that a restore replaces
_SURROUNDINGS = tuple(
    Right("list", "postgresql.cnpg.io", plural)
    for plural in ("poolers", "databases", "publications", "subscriptions")
)
#: a Backup object, which the operator works off
_NATIVE = (
    Right("get", "postgresql.cnpg.io", "clusters"),
    Right("create", "postgresql.cnpg.io", "backups"),
    Right("get", "postgresql.cnpg.io", "backups"),
)
#: the scratch server's pod
_EXTRACT = (
    Right("get", "postgresql.cnpg.io", "clusters"),
    Right("list", "", "pods"),
    Right("get", "", "pods"),
    Right("create", "", "pods"),
    Right("delete", "", "pods"),
    Right("get", "", "pods", "exec"),
    Right("create", "", "pods", "exec"),
)
#: what a treatment changes: two annotations, the member's pod, and a helper pod on its volumes
_REPAIR = (
    Right("patch", "postgresql.cnpg.io", "clusters"),
    Right("get", "", "pods"),
    Right("create", "", "pods"),
    Right("delete", "", "pods"),
    # the operator is asked to clone a member by an annotation of its pod
    Right("patch", "", "pods"),
)


class CnpgEngine(EngineSpec):
    """The engine for PostgreSQL under CloudNativePG."""

    @hookimpl
    def info(self) -> EngineInfo:
        """Introduce the engine."""
        return EngineInfo(
            name="cnpg",
            title="PostgreSQL under CloudNativePG",
            dump_file="pgdumpall.sql",
            dump_format="postgresql-sections-2",
            capabilities={
                Capability.TRIAGE: Supported(),
                Capability.DUMP: Supported(),
                Capability.RESTORE: Supported(),
                Capability.NATIVE: Supported(),
                Capability.EXTRACT: Supported(),
                Capability.PLAN: Supported(),
                Capability.HEAL: Supported(),
            },
            rights={
                Capability.TRIAGE: _RIGHTS,
                Capability.DUMP: _RIGHTS,
                Capability.RESTORE: (*_RIGHTS, *_SURROUNDINGS),
                Capability.NATIVE: _NATIVE,
                Capability.EXTRACT: _EXTRACT,
                Capability.PLAN: _RIGHTS,
                Capability.HEAL: (*_RIGHTS, *_REPAIR),
            },
            capture=DumpLayout("pgdata.tar", "physical"),
        )

    @hookimpl
    def options(self) -> tuple[OptionSpec, ...]:
        """Options of its own."""
        return (
            OptionSpec(
                "native_method",
                "With --method native: how the operator backs up, where the Cluster declares several ways.",
                Kind.CHOICE,
                choices=("plugin", "barmanObjectStore", "volumeSnapshot"),
                verbs=("backup",),
            ),
        )

    @hookimpl
    def triage(self, context: EngineContext, cluster: ClusterRef) -> TriageReport:
        """Read every member and judge; changes nothing."""
        from hasteward_cnpg.collect import collect
        from hasteward_cnpg.diagnose import report

        return report(cluster, collect(context, cluster), patience=context.tuning.heal_seconds)

    @hookimpl
    def plan(
        self, context: EngineContext, cluster: ClusterRef, report: TriageReport, targets: tuple[Target, ...]
    ) -> RepairPlan:
        """Say how each target is treated."""
        from hasteward_cnpg.collect.grounds import read_grounds
        from hasteward_cnpg.evidence import Evidence
        from hasteward_cnpg.plan.repair import repair_plan

        evidence = report.evidence_as(Evidence)
        return repair_plan(cluster, evidence, read_grounds(context, cluster, evidence), targets)

    @hookimpl
    def plan_stop(self, context: EngineContext, cluster: ClusterRef, report: TriageReport) -> RepairPlan:
        """Say how servers that run and do not answer are stopped."""
        from hasteward_cnpg.collect.grounds import read_grounds
        from hasteward_cnpg.evidence import Evidence
        from hasteward_cnpg.plan.repair import stop_plan

        evidence = report.evidence_as(Evidence)
        return stop_plan(cluster, evidence, read_grounds(context, cluster, evidence))

    @hookimpl
    def heal(self, context: EngineContext, cluster: ClusterRef, order: Order) -> None:
        """Walk the acts of the journal."""
        from hasteward_cnpg.heal import heal

        heal(context, cluster, order)

    @hookimpl
    def dump(
        self, context: EngineContext, cluster: ClusterRef, sink: DumpSink, options: DumpOptions
    ) -> DumpProof:
        """Dump one member, section by section."""
        from hasteward_cnpg.dump import dump

        return dump(context, cluster, sink, options)

    @hookimpl
    def restore(
        self, context: EngineContext, cluster: ClusterRef, source: RestoreSource, options: RestoreOptions
    ) -> RestoreOutcome:
        """Load a snapshot beside the live databases, then swap them in one transaction."""
        from hasteward_cnpg.restore import restore

        return restore(context, cluster, source, options)

    @hookimpl
    def extract(
        self, context: EngineContext, cluster: ClusterRef, source: RestoreSource, sink: DumpSink
    ) -> DumpProof:
        """Recover captured files in a scratch server, and dump that."""
        from hasteward_cnpg.extract import extract

        return extract(context, cluster, source, sink)

    @hookimpl
    def native(self, context: EngineContext, cluster: ClusterRef) -> NativeOutcome:
        """A Backup object, and what became of it."""
        from hasteward_cnpg.native import native

        return native(context, cluster)

    @hookimpl
    def put_back(self, context: EngineContext, cluster: ClusterRef, run: str) -> PutBack:
        """Swap back what a restore has replaced and kept."""
        from hasteward_cnpg.restore import put_back

        return put_back(context, cluster, run)


plugin = CnpgEngine()
