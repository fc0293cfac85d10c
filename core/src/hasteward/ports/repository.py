"""The snapshot store as pipelines see it (restic, behind its adapter)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from hasteward.domain.snapshot import Snapshot, SnapshotTags


@dataclass(frozen=True, slots=True)
class RepositoryInfo:
    """An opened repository. `id` is restic's own and never changes."""

    id: str
    location: str
    program_version: str


@dataclass(frozen=True, slots=True)
class Saved:
    """A snapshot that now exists. `size` is bytes read by restic, `added` bytes new in the repository."""

    snapshot_id: str
    size: int
    added: int


class SaveStream(Protocol):
    """A snapshot being made. It comes to exist only by `commit`; any other end, our death included, saves
    nothing.
    """

    def write(self, data: bytes | memoryview) -> None:
        """Hand over bytes; raises the reason if the store has died or stalls.

        Of no bytes only the question is left whether it has died; it waits for nothing.
        """

    def end(self) -> None:
        """No more bytes follow. The word is still to be given."""

    def commit(self) -> Saved:
        """Give the word, wait for the snapshot, and check that it holds exactly what was written."""


class Repository(Protocol):
    """One restic repository. Raises RepositoryMissing, RepositoryLocked, WrongPassword, DependencyError."""

    def open(self) -> RepositoryInfo:
        """Prove that it exists and the password fits. Never creates one."""

    def opening(self) -> AbstractContextManager[Callable[[], RepositoryInfo]]:
        """`open` while other work goes on: begin now, and call what is given to have the answer.

        Leaving the context without asking ends it.
        """

    def init(self) -> RepositoryInfo:
        """Create it; InvalidInput if one is already there."""

    def snapshots(self) -> list[Snapshot]:
        """Every snapshot that carries our tags, in no particular order."""

    def listing(self) -> AbstractContextManager[Callable[[], list[Snapshot]]]:
        """`snapshots` while other work goes on, as `opening` is for `open`."""

    def save(
        self, path: str, tags: SnapshotTags, time: datetime, *, stall_seconds: float
    ) -> AbstractContextManager[SaveStream]:
        """Begin a snapshot holding one file. Leaving the context without `commit` saves nothing."""

    def read(
        self, snapshot_id: str, path: str, *, stall_seconds: float
    ) -> AbstractContextManager[Iterator[memoryview]]:
        """The bytes of a stored file, in order. A view is valid until the next one is asked for.

        Raises RunFailed from the iterator if the store did not deliver the whole file.
        """

    def read_small(self, snapshot_id: str, path: str) -> bytes:
        """A stored file of at most a few MiB."""

    def reading_small(self, snapshot_id: str, path: str) -> AbstractContextManager[Callable[[], bytes]]:
        """`read_small` while other work goes on, as `opening` is for `open`."""
