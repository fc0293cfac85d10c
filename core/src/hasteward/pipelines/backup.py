"""Backup: dump through the engine into a snapshot that exists only once it is proven.

Order: repository opened, plan approved and Lease taken, sections proven one by one, manifest snapshot
written, and only then the word that lets restic save the data snapshot. Killed before the word, nothing of
it exists; after it, one snapshot that restores.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from hasteward import __version__
from hasteward.domain.capability import Capability
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError, Unproven
from hasteward.domain.events import PhaseStarted, Progress, StepDone, Warned
from hasteward.domain.manifest import Manifest, covers
from hasteward.domain.shrink import has_shrunk, usual_size
from hasteward.domain.snapshot import (
    PROOF,
    Snapshot,
    SnapshotFilter,
    SnapshotTags,
    SnapshotType,
    data_path,
    entries,
    manifest_path,
)
from hasteward.pipelines.catalog import encode
from hasteward.pipelines.leased import leased_on_approval
from hasteward.plugins import Engine
from hasteward.ports.context import DumpOptions, DumpProof, DumpSink, EngineContext
from hasteward.ports.repository import Repository, Saved, SaveStream

_PROGRESS_SECONDS = 0.2
#: what the repository holds already, as `Repository.listing` tells it
Earlier = Callable[[], list[Snapshot]]


@dataclass(frozen=True, slots=True)
class BackupOptions:
    """`type` is ``backup`` or ``diverged``; a diverged capture names the member by `instance`.

    `source` is the member to read the cluster's own backup from, for a run that knows which one counts; None
    lets the engine choose.
    """

    type: SnapshotType = SnapshotType.BACKUP
    instance: int | None = None
    reason: str = ""
    source: int | None = None


@dataclass(frozen=True, slots=True)
class BackupResult:
    """What now exists. Sizes are bytes; `added` is what the repository grew by before compression.

    `shrunk_from` is the usual size when this dump is far smaller than its predecessors, else None.
    """

    snapshot: str
    manifest: str
    path: str
    member: str
    size: int
    added: int
    sections: int
    seconds: float
    dry_run: bool = False
    shrunk_from: int | None = None


class _Sink:
    """Counts, reports, and starts both snapshots with the first byte, so that a dry run starts none.

    The manifest's has nothing to do before the end; but the store takes half a second to open, and that time
    is not lost while the dump begins. Should it die meanwhile, a dump of hours is not finished in vain.
    Neither comes to exist without its word.
    """

    def __init__(self, context: EngineContext, begin: Callable[[], tuple[SaveStream, SaveStream]]) -> None:
        self._context = context
        self._begin = begin
        self._shown = 0.0
        self._streams: tuple[SaveStream, SaveStream] | None = None
        self.position = 0

    @property
    def streams(self) -> tuple[SaveStream, SaveStream]:
        """That of the data and that of the manifest."""
        if self._streams is None:
            self._streams = self._begin()
        return self._streams

    def write(self, data: bytes | memoryview) -> None:
        self.streams[0].write(data)
        self.position += len(data)
        now = self._context.clock.monotonic()
        if now - self._shown >= _PROGRESS_SECONDS:
            self._shown = now
            self.streams[1].write(b"")
            self._context.reporter.emit(Progress("dump", self.position))


def backup(
    engine: Engine,
    context: EngineContext,
    cluster: ClusterRef,
    repository: Repository,
    options: BackupOptions,
    *,
    earlier: Earlier | None = None,
) -> BackupResult:
    """Back `cluster` up. Raises before anything is touched when the repository cannot be opened.

    `earlier` is a listing that the caller has begun, because it takes the store half a second.
    """
    engine.require(Capability.DUMP)
    info = repository.open()
    context.reporter.emit(StepDone("repository", f"repository {info.id[:10]} at {info.location} is open"))
    with contextlib.ExitStack() as stack:
        context = leased_on_approval(context, cluster, stack)
        return save_dump(engine, context, cluster, repository, options, earlier=earlier)


def save_dump(
    engine: Engine,
    context: EngineContext,
    cluster: ClusterRef,
    repository: Repository,
    options: BackupOptions,
    *,
    earlier: Earlier | None = None,
) -> BackupResult:
    """The dump of `backup` by itself, for a run that holds the Lease and has its plan approved."""
    layout = engine.layout(context.options)
    path = data_path(cluster, layout.file, options.instance)
    tags = SnapshotTags(
        engine=cluster.engine,
        cluster=cluster.name,
        namespace=cluster.namespace,
        type=options.type,
        job=context.run.job,
        run=context.run.id,
        format=layout.format,
        proof=PROOF,
        reason=options.reason,
    )
    spec = engine.require(Capability.DUMP)
    member = options.source if options.instance is None else options.instance
    return save(
        context,
        repository,
        path,
        tags,
        lambda sink: spec.dump(context=context, cluster=cluster, sink=sink, options=DumpOptions(member)),
        earlier=earlier,
    )


def save(
    context: EngineContext,
    repository: Repository,
    path: str,
    tags: SnapshotTags,
    produce: Callable[[DumpSink], DumpProof],
    *,
    time: datetime | None = None,
    earlier: Earlier | None = None,
) -> BackupResult:
    """Run `produce` into a snapshot at `path`, which exists only if all of it was proven.

    Its time is the run's, unless it holds the data of another `time`; `earlier` as in `backup`.
    """
    time = time or context.run.started
    begun = context.clock.monotonic()
    with contextlib.ExitStack() as stack:
        stall = context.tuning.stall_seconds

        def begin() -> tuple[SaveStream, SaveStream]:
            other = replace(tags, type=SnapshotType.MANIFEST)
            data = repository.save(path, tags, time, stall_seconds=stall)
            vouching = repository.save(manifest_path(path), other, time, stall_seconds=stall)
            return stack.enter_context(data), stack.enter_context(vouching)

        earlier = earlier or stack.enter_context(repository.listing())
        sink = _Sink(context, begin)
        proof = produce(sink)
        if proof.planned_only:
            return BackupResult("", "", path, proof.member, 0, 0, 0, 0.0, dry_run=True)
        if sink.position == 0 or not covers(proof.sections, sink.position):
            raise Unproven("the sections that were proven do not cover what was written", code="proof.gap")
        data, vouching = sink.streams
        data.end()
        context.reporter.emit(Progress("dump", sink.position, sink.position))
        context.reporter.emit(PhaseStarted("proof", "every section is proven; writing the manifest"))
        vouching.write(encode(_manifest(context, tags, path, proof)))
        vouching.end()
        manifest = vouching.commit()
        saved = data.commit()
        context.reporter.emit(StepDone("proof", f"snapshot {saved.snapshot_id[:8]} is saved"))
        seconds = context.clock.monotonic() - begun
        shrunk_from = _shrunk_from(context, earlier, tags, path, saved)
    return BackupResult(
        snapshot=saved.snapshot_id,
        manifest=manifest.snapshot_id,
        path=path,
        member=proof.member,
        size=saved.size,
        added=saved.added,
        sections=len(proof.sections),
        seconds=round(seconds, 3),
        shrunk_from=shrunk_from,
    )


def _shrunk_from(
    context: EngineContext, earlier: Earlier, tags: SnapshotTags, path: str, saved: Saved
) -> int | None:
    """The usual size, if the new dump is far below it. The snapshot stays: it is proven, only suspicious."""
    wanted = SnapshotFilter(tags.engine, tags.namespace, tags.cluster, tags.type, path)
    try:
        usual = usual_size(entries(earlier()), wanted, saved.snapshot_id)
    except HastewardError as error:
        text = f"the size could not be compared with earlier backups: {error.message}"
        context.reporter.emit(Warned("backup.not_compared", text))
        return None
    if not has_shrunk(saved.size, usual):
        return None
    text = (
        f"the dump has {saved.size} bytes, and {usual} are usual for {path}: if nobody deleted that much,"
        " look at the database before an older backup is forgotten"
    )
    context.reporter.emit(Warned("backup.shrunk", text))
    return usual


def _manifest(context: EngineContext, tags: SnapshotTags, path: str, proof: DumpProof) -> Manifest:
    return Manifest(
        run=tags.run,
        job=tags.job,
        engine=tags.engine,
        namespace=tags.namespace,
        cluster=tags.cluster,
        type=tags.type,
        path=path,
        format=tags.format,
        size=sum(section.length for section in proof.sections),
        sections=proof.sections,
        member=proof.member,
        server_version=proof.server_version,
        started=context.run.started.isoformat(timespec="seconds"),
        finished=context.clock.now().isoformat(timespec="seconds"),
        tool_version=__version__,
        catalog=proof.catalog,
    )
