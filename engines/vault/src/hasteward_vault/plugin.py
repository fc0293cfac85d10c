"""Registers the vault engine. Everything heavy is imported inside the hooks: `--help` pays for none of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasteward import EngineSpec, hookimpl
from hasteward.domain.capability import Capability, DumpLayout, EngineInfo, Right, Supported
from hasteward.domain.option import OptionSpec

if TYPE_CHECKING:
    from hasteward.domain.cluster import ClusterRef
    from hasteward.domain.repair import RepairPlan, Target
    from hasteward.domain.report import TriageReport
    from hasteward.ports.context import (
        DumpOptions,
        DumpProof,
        DumpSink,
        EngineContext,
        Order,
        RestoreOptions,
        RestoreOutcome,
        RestoreSource,
    )

#: what `collect` reads, and the server's own command line in the members' pods; the token's Secret is read
#: too, but a right to one Secret alone cannot be asked for beforehand
_RIGHTS = (
    Right("list", "apps", "statefulsets"),
    Right("list", "", "pods"),
    # an exec over WebSocket needs both
    Right("get", "", "pods", "exec"),
    Right("create", "", "pods", "exec"),
)
#: a member is made again by deleting its pod and claim: its StatefulSet makes both anew
_HEAL_RIGHTS = (
    Right("get", "", "pods"),
    Right("delete", "", "pods"),
    Right("list", "", "persistentvolumeclaims"),
    Right("get", "", "persistentvolumeclaims"),
    Right("delete", "", "persistentvolumeclaims"),
)


class VaultEngine(EngineSpec):
    """The engine for Vault and OpenBao, Raft storage."""

    @hookimpl
    def info(self) -> EngineInfo:
        """Introduce the engine."""
        return EngineInfo(
            name="vault",
            title="Vault and OpenBao, Raft storage",
            dump_file="raft.snap",
            dump_format="raft-snapshot-tar-1",
            capture=DumpLayout("raft-data.tar", "raft-data-tar-1"),
            capabilities={
                Capability.TRIAGE: Supported(),
                Capability.DUMP: Supported(),
                Capability.RESTORE: Supported(),
                Capability.PLAN: Supported(),
                Capability.HEAL: Supported(),
            },
            rights={
                **dict.fromkeys((Capability.TRIAGE, Capability.DUMP, Capability.RESTORE), _RIGHTS),
                Capability.HEAL: (*_RIGHTS, *_HEAL_RIGHTS),
            },
        )

    @hookimpl
    def options(self) -> tuple[OptionSpec, ...]:
        """Where the token is."""
        return (
            OptionSpec(
                name="token_from",
                help="where the token is: secret:NAME[/KEY], file:PATH, pod:PATH or kubernetes:ROLE[@MOUNT]",
                default="secret:hasteward-vault/token",
                metavar="SOURCE",
                form=r"(secret|file|pod|kubernetes):.+",
            ),
        )

    @hookimpl
    def triage(self, context: EngineContext, cluster: ClusterRef) -> TriageReport:
        """Read every member and judge; changes nothing."""
        from hasteward_vault.collect import collect
        from hasteward_vault.diagnose import report

        return report(cluster, collect(context, cluster))

    @hookimpl
    def plan(
        self, context: EngineContext, cluster: ClusterRef, report: TriageReport, targets: tuple[Target, ...]
    ) -> RepairPlan:
        """Take dead peers out, restart who does not follow, make who is no peer anew."""
        from hasteward_vault.analyse import analyse
        from hasteward_vault.evidence import Evidence
        from hasteward_vault.plan import repair_plan

        del context
        evidence = report.evidence_as(Evidence)
        return repair_plan(cluster, evidence, analyse(evidence), targets)

    @hookimpl
    def heal(self, context: EngineContext, cluster: ClusterRef, order: Order) -> None:
        """Walk the acts, each with a look before it."""
        from hasteward_vault.heal import heal

        heal(context, cluster, order)

    @hookimpl
    def dump(
        self, context: EngineContext, cluster: ClusterRef, sink: DumpSink, options: DumpOptions
    ) -> DumpProof:
        """Take a Raft snapshot from the member that is proven to lead."""
        from hasteward_vault.dump import dump

        return dump(context, cluster, sink, options)

    @hookimpl
    def restore(
        self, context: EngineContext, cluster: ClusterRef, source: RestoreSource, options: RestoreOptions
    ) -> RestoreOutcome:
        """Install a snapshot through the leader, after comparing whose it is."""
        from hasteward_vault.restore import restore

        return restore(context, cluster, source, options)


plugin = VaultEngine()
