"""Restore: a proven snapshot back into its cluster, by the engine that owns it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace

from hasteward.domain.capability import Capability
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import Refused
from hasteward.domain.events import StepDone
from hasteward.domain.manifest import Manifest
from hasteward.domain.plan import Plan
from hasteward.domain.snapshot import SnapshotEntry
from hasteward.pipelines.catalog import LATEST, Catalog, manifest_begun
from hasteward.pipelines.extract import choose, extract, is_capture
from hasteward.pipelines.leased import leased_on_approval
from hasteward.pipelines.sections import StoredSections
from hasteward.plugins import Engine
from hasteward.ports.context import EngineContext, RestoreOptions, RestoreOutcome
from hasteward.ports.repository import Repository


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """`snapshot` is an id or ``latest``; `options.instance` chooses the diverged capture of that member.

    `agreed` says that the plan will be carried out if it can be, with nobody to wait for.
    """

    snapshot: str = LATEST
    options: RestoreOptions = field(default_factory=RestoreOptions)
    agreed: bool = False


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """What became of it, and from which snapshot."""

    snapshot: str
    outcome: RestoreOutcome
    seconds: float
    dry_run: bool = False


def restore(
    engine: Engine,
    context: EngineContext,
    cluster: ClusterRef,
    repository: Repository,
    request: RestoreRequest,
    *,
    catalog: Catalog | None = None,
) -> RestoreResult:
    """Restore `cluster`. Repository and proof are checked before the cluster is touched: the proof is awaited
    when the engine asks for it, or before the plan is agreed to.

    A capture of a member's files is made a dump first; the plan of that is one of its own. `catalog` is a
    listing of the repository, if one has begun.
    """
    spec = engine.require(Capability.RESTORE)
    repository.open()
    layout, wanted = engine.layout(context.options), request.options.instance
    entry = choose(engine, catalog or repository, request.snapshot, layout, cluster=cluster, instance=wanted)
    begun = context.clock.monotonic()
    if is_capture(engine, entry):
        extracted = extract(engine, context, cluster, repository, entry)
        if extracted is None:
            return RestoreResult(entry.snapshot.id, RestoreOutcome(planned_only=True), 0.0, dry_run=True)
        entry = extracted
    with contextlib.ExitStack() as stack:
        source = _source(engine, context, repository, entry, agreed=request.agreed, stack=stack)
        context = leased_on_approval(_vouched(context, source), cluster, stack)
        outcome = spec.restore(context=context, cluster=cluster, source=source, options=request.options)
    seconds = round(context.clock.monotonic() - begun, 3)
    return RestoreResult(entry.snapshot.id, outcome, seconds, dry_run=outcome.planned_only)


def _vouched(context: EngineContext, source: StoredSections) -> EngineContext:
    """`context` in which nobody agrees to anything before the manifest vouches for the snapshot."""

    def approve(plan: Plan) -> bool:
        _ = source.manifest
        return context.approve(plan)

    return replace(context, approve=approve)


def _source(
    engine: Engine,
    context: EngineContext,
    repository: Repository,
    entry: SnapshotEntry,
    *,
    agreed: bool,
    stack: contextlib.ExitStack,
) -> StoredSections:
    """The snapshot. Its manifest begins to come at once, while the engine looks at the cluster; and where
    nobody is waited for its data, too: the store takes as long to open for them as all the gates. Nothing is
    done with them before those.
    """
    snapshot, chunks = entry.snapshot, None
    answer = stack.enter_context(manifest_begun(repository, entry))
    if agreed:
        stall = context.tuning.stall_seconds
        chunks = stack.enter_context(repository.read(snapshot.id, snapshot.path, stall_seconds=stall))

    def manifest() -> Manifest:
        found, wanted = answer(), engine.layout(context.options).format
        if found.format != wanted:
            raise Refused(
                f"snapshot {snapshot.short_id} has format {found.format};"
                f" engine {engine.info.name} restores {wanted}",
                hint="hasteward get backups   (choose one of this engine: --snapshot ID)",
                code="snapshot.format",
            )
        context.reporter.emit(
            StepDone("repository", f"snapshot {snapshot.short_id} of {found.started} is proven")
        )
        return found

    return StoredSections(context, repository, snapshot, manifest, chunks)
