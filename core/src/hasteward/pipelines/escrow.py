"""What a repair saves before it changes anything: the cluster as it is, and what only its target holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from hasteward.domain.capability import Capability, Supported
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError, Refused
from hasteward.domain.events import PhaseStarted, Warned
from hasteward.domain.plan import Plan, Step
from hasteward.domain.repair import Target
from hasteward.domain.snapshot import PROOF, SnapshotTags, SnapshotType, data_path
from hasteward.pipelines.backup import BackupOptions, save, save_dump
from hasteward.plugins import Engine
from hasteward.ports.context import DumpProof, DumpSink, EngineContext
from hasteward.ports.repository import Repository


def _agreed(plan: Plan) -> bool:
    """The repair's own plan, which names the escrow, was agreed to."""
    del plan
    return True


@dataclass(slots=True)
class Escrow:
    """Saves into the repository under one job. `snapshots` are the proven ones so far, oldest first."""

    engine: Engine
    context: EngineContext
    cluster: ClusterRef
    repository: Repository | None
    snapshots: list[str] = field(default_factory=list)

    def require(self) -> Repository:
        """The repository; Refused when there is none, or when the engine cannot dump."""
        if self.repository is None:
            raise Refused(
                "this repair must capture data first, and no repository was given",
                hint="leave --no-escrow away and give --backups-path",
                code="escrow.no_repository",
            )
        return self.repository

    def cluster_dump(self, source: int | None = None) -> None:
        """The whole cluster as a proven backup, marked as escrow; of a diverged one, `source`'s branch."""
        self.context.reporter.emit(
            PhaseStarted("escrow", f"backing {self.cluster} up before anything changes")
        )
        self._dump(BackupOptions(reason="escrow", source=source))

    def diverged_dump(self, target: Target) -> None:
        """What the target's server still says of its branch. Best effort: its files are captured later."""
        self.context.reporter.emit(
            PhaseStarted("escrow", f"dumping {target.member} before it is overwritten")
        )
        try:
            self._dump(BackupOptions(SnapshotType.DIVERGED, target.ordinal, reason="escrow"))
        except HastewardError as error:
            text = f"{target.member} could not be dumped ({error.message}); its files are captured instead"
            self.context.reporter.emit(Warned("escrow.no_dump", text))

    def _dump(self, options: BackupOptions) -> None:
        context = replace(self.context, approve=_agreed)
        saved = save_dump(self.engine, context, self.cluster, self.require(), options)
        self.snapshots.append(saved.snapshot)

    def save(
        self, ordinal: int, file: str, dump_format: str, produce: Callable[[DumpSink], DumpProof]
    ) -> str:
        """The `Captures` port: one member's own data, proven."""
        tags = SnapshotTags(
            engine=self.cluster.engine,
            cluster=self.cluster.name,
            namespace=self.cluster.namespace,
            type=SnapshotType.DIVERGED,
            job=self.context.run.job,
            run=self.context.run.id,
            format=dump_format,
            proof=PROOF,
            reason="escrow",
        )
        saved = save(self.context, self.require(), data_path(self.cluster, file, ordinal), tags, produce)
        self.snapshots.append(saved.snapshot)
        return saved.snapshot


def steps(
    engine: Engine, cluster: ClusterRef, targets: tuple[Target, ...], *, wanted: bool
) -> tuple[Step, ...]:
    """What will be saved first, for the plan. Raises Refused when it must be and cannot be."""
    if not wanted or not any(target.remediation.overwrites for target in targets):
        return ()
    if not isinstance(engine.info.capability(Capability.DUMP), Supported):
        raise Refused(
            f"engine {engine.info.name} cannot dump, so nothing can be saved before the repair",
            hint="--no-escrow goes on without",
            code="escrow.unsupported",
        )
    whole = Step(f"back {cluster.namespace}/{cluster.name} up as escrow (type=backup, reason=escrow)")
    own = [Step(f"dump {t.member} while it still answers (type=diverged)") for t in targets if t.capture]
    return (whole, *own)
