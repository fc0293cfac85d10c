"""Export: a snapshot's bytes, checked against its proof while they are written out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hasteward.domain.events import Progress, Warned
from hasteward.domain.manifest import Manifest
from hasteward.domain.snapshot import SnapshotFilter
from hasteward.pipelines.catalog import find, manifest_of
from hasteward.pipelines.sections import StoredSections
from hasteward.ports.context import EngineContext
from hasteward.ports.repository import Repository

_PROGRESS_SECONDS = 0.2


class Output(Protocol):
    """Where an export goes; the caller makes the file appear only when `export` has returned."""

    def write(self, data: memoryview, /) -> object:
        """Take all of `data`."""


@dataclass(frozen=True, slots=True)
class ExportResult:
    """`size` is bytes before compression; `proven` says whether they were compared with a manifest."""

    snapshot: str
    path: str
    size: int
    sections: int
    proven: bool
    seconds: float


def export(
    context: EngineContext,
    repository: Repository,
    reference: str,
    wanted: SnapshotFilter,
    output: Output,
) -> ExportResult:
    """Write the snapshot called `reference` to `output`.

    Raises Unproven if a single byte differs from what was proven: what was written so far is then worthless.
    An unproven snapshot of another tool is exported with a warning, on the word of the store alone.
    """
    repository.open()
    entry = find(repository, reference, wanted)
    snapshot = entry.snapshot
    begun = context.clock.monotonic()
    meter = _Meter(context, output, snapshot.size)
    sections = 0
    if entry.proven:
        manifest: Manifest = manifest_of(repository, entry)
        source = StoredSections(context, repository, snapshot, lambda: manifest)
        for _, pieces in source.read([section.key for section in manifest.sections]):
            for piece in pieces:
                meter.write(piece)
            sections += 1
    else:
        context.reporter.emit(
            Warned("snapshot.unproven", f"snapshot {snapshot.short_id} is unproven: nothing vouches for it")
        )
        stall = context.tuning.stall_seconds
        with repository.read(snapshot.id, snapshot.path, stall_seconds=stall) as chunks:
            for chunk in chunks:
                meter.write(chunk)
    return ExportResult(
        snapshot=snapshot.id,
        path=snapshot.path,
        size=meter.size,
        sections=sections,
        proven=entry.proven,
        seconds=round(context.clock.monotonic() - begun, 3),
    )


class _Meter:
    """Counts and reports."""

    def __init__(self, context: EngineContext, output: Output, about: int | None) -> None:
        self._context = context
        self._output = output
        self._about = about
        self._shown = 0.0
        self.size = 0

    def write(self, data: memoryview) -> None:
        self._output.write(data)
        self.size += len(data)
        now = self._context.clock.monotonic()
        if now - self._shown >= _PROGRESS_SECONDS:
            self._shown = now
            self._context.reporter.emit(Progress("export", self.size, self._about))
