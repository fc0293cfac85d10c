"""Snapshots in a repository: tags, paths, and which one counts.

Tags and paths are the README's. A snapshot counts as proven when it carries ``proof=commit-1`` **and** a
manifest snapshot of the same run and path exists: the manifest is written before the word is given, so a
data snapshot without its manifest cannot have come from a finished run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hasteward.domain.cluster import ClusterRef

PROOF = "commit-1"
#: every snapshot is stored under this host, so that retention groups do not follow Job pods (W15)
HOST = "hasteward"


class SnapshotType(StrEnum):
    """The `type` tag."""

    BACKUP = "backup"
    DIVERGED = "diverged"
    MANIFEST = "manifest"


@dataclass(frozen=True, slots=True)
class SnapshotTags:
    """The tags of one snapshot, all given when it is made; nothing is ever re-tagged."""

    engine: str
    cluster: str
    namespace: str
    type: str
    job: str = ""
    run: str = ""
    format: str = ""
    proof: str = ""
    reason: str = ""

    def pairs(self) -> list[str]:
        """``key=value`` strings in a fixed order, without the empty ones."""
        names = ("engine", "cluster", "namespace", "type", "job", "run", "format", "proof", "reason")
        return [f"{name}={value}" for name in names if (value := getattr(self, name))]

    @classmethod
    def parse(cls, tags: Iterable[str]) -> SnapshotTags:
        """Read tags back; unknown ones are somebody else's and ignored."""
        known = {"engine", "cluster", "namespace", "type", "job", "run", "format", "proof", "reason"}
        found = dict(tag.split("=", 1) for tag in tags if "=" in tag)
        values = {key: value for key, value in found.items() if key in known}
        return cls(**({"engine": "", "cluster": "", "namespace": "", "type": ""} | values))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One snapshot as the repository lists it.

    `path` is the README's, without restic's leading slash; `size` is in bytes, None when restic did not
    record it.
    """

    id: str
    time: datetime
    path: str
    tags: SnapshotTags
    tree: str
    size: int | None = None

    @property
    def short_id(self) -> str:
        """The first eight characters, as restic prints them."""
        return self.id[:8]

    @property
    def cluster(self) -> str:
        """``namespace/name`` for people."""
        return f"{self.tags.namespace}/{self.tags.cluster}"


@dataclass(frozen=True, slots=True)
class SnapshotEntry:
    """A data snapshot with its verdict; `manifest_id` is empty when unproven."""

    snapshot: Snapshot
    proven: bool
    manifest_id: str = ""


@dataclass(frozen=True, slots=True)
class SnapshotFilter:
    """Which data snapshots are meant; an empty field matches everything."""

    engine: str = ""
    namespace: str = ""
    cluster: str = ""
    type: str = ""
    path: str = ""
    reason: str = ""

    def matches(self, snapshot: Snapshot) -> bool:
        """Whether every given field is equal."""
        tags = snapshot.tags
        pairs = (
            (self.engine, tags.engine),
            (self.namespace, tags.namespace),
            (self.cluster, tags.cluster),
            (self.type, tags.type),
            (self.path, snapshot.path),
            (self.reason, tags.reason),
        )
        return all(not wanted or wanted == have for wanted, have in pairs)


def data_path(cluster: ClusterRef, dump_file: str, instance: int | None = None) -> str:
    """``<ns>/<cluster>/<file>``, with ``<ordinal>-`` before the file for a diverged member."""
    prefix = "" if instance is None else f"{instance}-"
    return f"{cluster.namespace}/{cluster.name}/{prefix}{dump_file}"


def manifest_path(path: str) -> str:
    """Where the manifest of a data snapshot lies."""
    return f"{path}.manifest.json"


def entries(snapshots: Sequence[Snapshot]) -> list[SnapshotEntry]:
    """Data snapshots, newest first, each judged by its own tags and the manifests beside it."""
    manifests = {
        (s.tags.run, s.path): s.id
        for s in snapshots
        if s.tags.type == SnapshotType.MANIFEST and s.tags.run and s.tags.proof == PROOF
    }
    found = []
    for snapshot in snapshots:
        if snapshot.tags.type == SnapshotType.MANIFEST or not snapshot.tags.engine:
            continue
        key = (snapshot.tags.run, manifest_path(snapshot.path))
        manifest = manifests.get(key, "") if snapshot.tags.proof == PROOF else ""
        found.append(SnapshotEntry(snapshot, bool(manifest), manifest))
    return sorted(found, key=lambda entry: (entry.snapshot.time, entry.snapshot.id), reverse=True)


def newest_proven(found: Iterable[SnapshotEntry], *wanted: SnapshotFilter) -> SnapshotEntry | None:
    """What ``latest`` means: the newest proven snapshot that one of `wanted` matches (W16).

    `found` is newest first. Of the snapshots of one time, which are of one job, the first of
    `wanted` decides.
    """
    ranked = [
        (entry.snapshot.time, -rank, entry)
        for entry in found
        if entry.proven
        for rank, one in enumerate(wanted)
        if one.matches(entry.snapshot)
    ]
    return max(ranked, key=lambda row: row[:2])[2] if ranked else None
