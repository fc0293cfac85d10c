"""Restore: a proven snapshot back into its cluster, by the engine that owns it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

from hasteward.domain.capability import Capability
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import Refused
from hasteward.domain.events import StepDone
from hasteward.pipelines.catalog import LATEST, manifest_of
from hasteward.pipelines.extract import choose, extract, is_capture
from hasteward.pipelines.leased import leased_on_approval
from hasteward.pipelines.sections import StoredSections
from hasteward.plugins import Engine
from hasteward.ports.context import EngineContext, RestoreOptions, RestoreOutcome
from hasteward.ports.repository import Repository


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """`snapshot` is an id or ``latest``; `options.instance` chooses the diverged capture of that member."""

    snapshot: str = LATEST
    options: RestoreOptions = field(default_factory=RestoreOptions)


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
) -> RestoreResult:
    """Restore `cluster`. Repository and proof are checked before the cluster is touched.

    A capture of a member's files is made a dump first; the plan of that is one of its own.
    """
    spec = engine.require(Capability.RESTORE)
    repository.open()
    layout = engine.layout(context.options)
    entry = choose(
        engine, repository, request.snapshot, layout, cluster=cluster, instance=request.options.instance
    )
    begun = context.clock.monotonic()
    if is_capture(engine, entry):
        extracted = extract(engine, context, cluster, repository, entry)
        if extracted is None:
            return RestoreResult(entry.snapshot.id, RestoreOutcome(planned_only=True), 0.0, dry_run=True)
        entry = extracted
    manifest = manifest_of(repository, entry)
    if manifest.format != layout.format:
        raise Refused(
            f"snapshot {entry.snapshot.short_id} has format {manifest.format};"
            f" engine {engine.info.name} restores {layout.format}",
            hint="hasteward get backups   (choose one of this engine: --snapshot ID)",
            code="snapshot.format",
        )
    context.reporter.emit(
        StepDone("repository", f"snapshot {entry.snapshot.short_id} of {manifest.started} is proven")
    )
    with contextlib.ExitStack() as stack:
        context = leased_on_approval(context, cluster, stack)
        source = StoredSections(context, repository, entry.snapshot, manifest)
        outcome = spec.restore(context=context, cluster=cluster, source=source, options=request.options)
    seconds = round(context.clock.monotonic() - begun, 3)
    return RestoreResult(entry.snapshot.id, outcome, seconds, dry_run=outcome.planned_only)
