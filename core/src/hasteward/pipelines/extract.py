"""Extract: the captured files of a member become a dump, which is restored and exported as any other.

A capture holds what no dump can: the files of a server that did not run. The engine brings them to life in
a scratch server and dumps it; the dump is saved beside the capture, proven, under the capture's job and time,
so that it never passes for newer data than it is. It is made once.
"""

from __future__ import annotations

from dataclasses import replace

from hasteward.domain.capability import Capability, DumpLayout, Supported
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import InvalidInput
from hasteward.domain.events import PhaseStarted, StepDone
from hasteward.domain.snapshot import (
    PROOF,
    Snapshot,
    SnapshotEntry,
    SnapshotFilter,
    SnapshotTags,
    SnapshotType,
    data_path,
    newest_proven,
)
from hasteward.pipelines.backup import save
from hasteward.pipelines.catalog import Catalog, backups, find, manifest_of
from hasteward.pipelines.sections import StoredSections
from hasteward.plugins import Engine
from hasteward.ports.context import EngineContext
from hasteward.ports.repository import Repository

#: the `reason` tag of a dump that was made of a capture
REASON = "extract"


def wanted_snapshot(layout: DumpLayout, cluster: ClusterRef, instance: int | None) -> SnapshotFilter:
    """The snapshots that can be meant: of this cluster, and of the right kind (W16)."""
    kind = SnapshotType.BACKUP if instance is None else SnapshotType.DIVERGED
    return SnapshotFilter(
        engine=cluster.engine,
        namespace=cluster.namespace,
        cluster=cluster.name,
        type=kind,
        path=data_path(cluster, layout.file, instance),
    )


def wanted_snapshots(
    engine: Engine, layout: DumpLayout, cluster: ClusterRef, instance: int | None
) -> tuple[SnapshotFilter, ...]:
    """The same, of a member its captured files too: they hold all that it had, its last dump perhaps less."""
    dump = wanted_snapshot(layout, cluster, instance)
    able = isinstance(engine.info.capability(Capability.EXTRACT), Supported)
    if instance is None or engine.info.capture is None or not able:
        return (dump,)
    return replace(dump, reason=REASON), wanted_snapshot(engine.info.capture, cluster, instance), dump


def choose(
    engine: Engine,
    catalog: Catalog,
    reference: str,
    layout: DumpLayout,
    *,
    cluster: ClusterRef,
    instance: int | None,
) -> SnapshotEntry:
    """The snapshot that is meant (`catalog.find`), which can be restored or made a dump of.

    Raises InvalidInput, with the way to the files, where those are the newest that a member has left and the
    engine makes no dump of them.
    """
    wanted = wanted_snapshots(engine, layout, cluster, instance)
    files = engine.info.capture
    if files is None or instance is None or len(wanted) > 1:
        return find(catalog, reference, *wanted)
    entry = find(catalog, reference, *wanted, wanted_snapshot(files, cluster, instance))
    if not is_capture(engine, entry):
        return entry
    found = entry.snapshot
    where = f"-e {cluster.engine} -c {cluster.name} -n {cluster.namespace} -i {instance}"
    raise InvalidInput(
        f"snapshot {found.short_id} holds the captured files of member {instance} ({found.path}),"
        f" and engine {engine.info.name} makes no dump of them",
        hint=f"the files: hasteward export {where} --snapshot {found.short_id} --raw -o {files.file}",
        code="snapshot.files",
    )


def is_capture(engine: Engine, entry: SnapshotEntry) -> bool:
    """Whether a snapshot holds files that only `extract` makes a dump of."""
    capture = engine.info.capture
    return capture is not None and entry.snapshot.tags.format == capture.format


def extract(
    engine: Engine, context: EngineContext, cluster: ClusterRef, repository: Repository, entry: SnapshotEntry
) -> SnapshotEntry | None:
    """The proven dump of a capture, made now unless there is one; None when the plan was not approved."""
    spec = engine.require(Capability.EXTRACT)
    layout = engine.layout(context.options)
    capture = entry.snapshot
    ordinal = int(capture.path.rpartition("/")[2].partition("-")[0])
    wanted = replace(wanted_snapshot(layout, cluster, ordinal), reason=REASON)
    made = [
        one
        for one in backups(repository, wanted)
        if one.snapshot.tags.job == capture.tags.job and one.snapshot.tags.format == layout.format
    ]
    found = newest_proven(made, wanted)
    if found is not None:
        text = f"snapshot {found.snapshot.short_id} is the dump of capture {capture.short_id}"
        context.reporter.emit(StepDone("extract", text))
        return found
    manifest = manifest_of(repository, entry)
    source = StoredSections(context, repository, capture, lambda: manifest)
    context.reporter.emit(
        PhaseStarted("extract", f"making a dump of the files in capture {capture.short_id}")
    )
    tags = SnapshotTags(
        engine=cluster.engine,
        cluster=cluster.name,
        namespace=cluster.namespace,
        type=SnapshotType.DIVERGED,
        job=capture.tags.job,
        run=context.run.id,
        format=layout.format,
        proof=PROOF,
        reason=REASON,
    )
    result = save(
        context,
        repository,
        wanted.path,
        tags,
        lambda sink: spec.extract(context=context, cluster=cluster, source=source, sink=sink),
        time=capture.time,
    )
    if result.dry_run:
        return None
    dump = Snapshot(result.snapshot, capture.time, wanted.path, tags, tree="", size=result.size)
    return SnapshotEntry(dump, proven=True, manifest_id=result.manifest)
