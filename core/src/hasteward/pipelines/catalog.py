"""What is in the repository, and which snapshot somebody means."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from pydantic import TypeAdapter, ValidationError

from hasteward.domain.errors import InvalidInput, Refused, Unproven
from hasteward.domain.manifest import SCHEMA, Manifest, covers
from hasteward.domain.snapshot import (
    Snapshot,
    SnapshotEntry,
    SnapshotFilter,
    entries,
    manifest_path,
    newest_proven,
)
from hasteward.ports.repository import Repository

LATEST = "latest"
_SHORTEST_ID = 4


class Catalog(Protocol):
    """Whatever can list the snapshots: a repository, or a listing of one that has begun."""

    def snapshots(self) -> list[Snapshot]:
        """Every snapshot that carries our tags."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What `Repository.listing` gives, as a catalog."""

    answer: Callable[[], list[Snapshot]]

    def snapshots(self) -> list[Snapshot]:
        """Wait for it."""
        return self.answer()


def backups(repository: Repository, wanted: SnapshotFilter) -> list[SnapshotEntry]:
    """Data snapshots that match, newest first, each with its verdict."""
    return [entry for entry in entries(repository.snapshots()) if wanted.matches(entry.snapshot)]


def find(catalog: Catalog, reference: str, *wanted: SnapshotFilter) -> SnapshotEntry:
    """The snapshot called `reference`: ``latest`` (the newest proven one that matches) or an id prefix.

    Of several `wanted` the first ones are preferred among the snapshots of one job. Raises InvalidInput if
    there is none, if the prefix is ambiguous, or if the snapshot is of another kind than they say (W16).
    """
    found = entries(catalog.snapshots())
    what = " or ".join(dict.fromkeys(one.path or f"{one.namespace}/{one.cluster}" for one in wanted))
    if reference == LATEST:
        entry = newest_proven(found, *wanted)
        if entry is None:
            raise InvalidInput(
                f"the repository holds no proven {wanted[0].type or 'backup'} of {what}",
                hint="hasteward get backups",
                code="snapshot.none",
            )
        return entry
    if len(reference) < _SHORTEST_ID or not all(c in "0123456789abcdef" for c in reference):
        raise InvalidInput(f"{reference!r} is not a snapshot id", code="snapshot.invalid")
    matching = [entry for entry in found if entry.snapshot.id.startswith(reference)]
    if len(matching) != 1:
        count = "no" if not matching else f"{len(matching)}"
        raise InvalidInput(
            f"{count} snapshot of hasteward has an id that begins with {reference}",
            hint="hasteward get backups",
            code="snapshot.unknown",
        )
    if not any(one.matches(matching[0].snapshot) for one in wanted):
        have = matching[0].snapshot
        raise InvalidInput(
            f"snapshot {have.short_id} is a {have.tags.type} of {have.tags.engine}/{have.cluster}"
            f" at {have.path}, not of {what}",
            hint="hasteward get backups",
            code="snapshot.other",
        )
    return matching[0]


def encode(manifest: Manifest) -> bytes:
    """The manifest as it is stored: JSON, readable with `restic dump`."""
    document: dict[str, Any] = asdict(manifest)
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"


@functools.cache
def _manifests() -> TypeAdapter[Manifest]:
    """Made where it is needed, and once: it costs more than all that it reads."""
    return TypeAdapter(Manifest)


def manifest_of(repository: Repository, entry: SnapshotEntry) -> Manifest:
    """The manifest of a proven snapshot, checked against the snapshot it vouches for."""
    with manifest_begun(repository, entry) as manifest:
        return manifest()


@contextlib.contextmanager
def manifest_begun(repository: Repository, entry: SnapshotEntry) -> Iterator[Callable[[], Manifest]]:
    """The same, while other work goes on: call what is given to have it."""
    snapshot = entry.snapshot
    if not entry.proven:
        raise Refused(
            f"snapshot {snapshot.short_id} is unproven: no manifest vouches for it",
            hint=f"look at it yourself: hasteward export --snapshot {snapshot.short_id} -o dump.sql.gz",
            code="snapshot.unproven",
        )
    with repository.reading_small(entry.manifest_id, manifest_path(snapshot.path)) as answer:
        yield lambda: _vouching(snapshot, answer())


def _vouching(snapshot: Snapshot, raw: bytes) -> Manifest:
    try:
        manifest = _manifests().validate_json(raw)
    except ValidationError as error:
        raise Unproven(
            f"the manifest of snapshot {snapshot.short_id} cannot be read: {error.error_count()} errors"
        ) from error
    fits = (
        manifest.schema == SCHEMA
        and manifest.run == snapshot.tags.run
        and manifest.path == snapshot.path
        and (snapshot.size is None or manifest.size == snapshot.size)
        and covers(manifest.sections, manifest.size)
    )
    if not fits:
        raise Unproven(
            f"the manifest of snapshot {snapshot.short_id} does not describe it", code="proof.manifest"
        )
    return manifest
