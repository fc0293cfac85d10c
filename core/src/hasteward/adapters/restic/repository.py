"""`hasteward.ports.repository.Repository` on restic.

What understands its answers is imported when there is one: restic needs half a second to open, and what it
is started from needs that time for its own imports.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime

from hasteward.adapters.restic.location import redact_location
from hasteward.adapters.restic.password import Password
from hasteward.adapters.restic.process import Launcher
from hasteward.adapters.restic.program import Program
from hasteward.adapters.restic.read import reading
from hasteward.adapters.restic.save import saving
from hasteward.domain.errors import HastewardError, InvalidInput, RunFailed
from hasteward.domain.snapshot import Snapshot, SnapshotTags
from hasteward.ports.repository import RepositoryInfo, SaveStream

_SMALL_LIMIT = 16 * 1024 * 1024


class ResticRepository:
    """One restic repository at `location`, any that restic understands.

    `environment` holds the backend's settings beyond our own environment. `patience` is the stall deadline,
    in seconds, of the calls that do not name one.

    Reading takes no lock: a read-only or append-only store could not hold one, and looking must not have to
    wait for a prune, nor for the lock of a dead one.
    """

    def __init__(
        self,
        location: str,
        password: Password,
        program: Program,
        environment: Mapping[str, str] | None = None,
        *,
        patience: float = 60.0,
    ) -> None:
        if not location:
            raise InvalidInput("no repository was given", hint="set --backups-path or HASTEWARD_BACKUPS_PATH")
        merged = {**os.environ, **(environment or {})}
        self._launcher = Launcher(program, location, password, merged, patience)

    def __repr__(self) -> str:
        return f"ResticRepository({redact_location(self._launcher.location)!r})"

    @property
    def _where(self) -> str:
        return redact_location(self._launcher.location)

    def open(self) -> RepositoryInfo:
        """Prove that it exists and the password fits."""
        with self.opening() as info:
            return info()

    @contextmanager
    def opening(self) -> Iterator[Callable[[], RepositoryInfo]]:
        """The same, while other work goes on."""
        command = ["cat", "config", "--json", "--no-lock"]
        with self._launcher.running(command, doing=f"opening {self._where}") as answer:
            yield lambda: self._opened(answer())

    def _opened(self, answer: bytes) -> RepositoryInfo:
        from hasteward.adapters.restic.messages import ConfigDocument

        try:
            return self._info(ConfigDocument.model_validate_json(answer).id)
        except ValueError as error:
            raise RunFailed(
                f"restic's answer about {self._where} was not understood", code="restic.answer"
            ) from error

    def init(self) -> RepositoryInfo:
        """Create it; InvalidInput if one is already there."""
        from hasteward.adapters.restic.messages import InitializedMessage, find_message

        try:
            answer = self._launcher.run(["init", "--json"], doing=f"creating a repository at {self._where}")
        except HastewardError as error:
            if "already exists" in error.message or "already initialized" in error.message:
                raise InvalidInput(
                    f"there is already a repository at {self._where}",
                    hint="use it as it is, or choose another --backups-path",
                    code="repository.exists",
                ) from error
            raise
        message = find_message(InitializedMessage, answer.decode("utf-8", "replace"))
        return self._info(message.id) if message else self.open()

    def _info(self, repository_id: str) -> RepositoryInfo:
        return RepositoryInfo(repository_id, self._where, self._launcher.program.version)

    def snapshots(self) -> list[Snapshot]:
        """Every snapshot that carries our tags, in no particular order."""
        with self.listing() as found:
            return found()

    @contextmanager
    def listing(self) -> Iterator[Callable[[], list[Snapshot]]]:
        """The same, while other work goes on."""
        command = ["snapshots", "--json", "--no-lock"]
        with self._launcher.running(command, doing=f"listing the snapshots of {self._where}") as answer:
            yield lambda: self._listed(answer())

    def _listed(self, answer: bytes) -> list[Snapshot]:
        from hasteward.adapters.restic.messages import parse_snapshots

        try:
            found = parse_snapshots(answer.decode("utf-8", "replace"))
        except ValueError as error:
            raise RunFailed(
                f"restic's list of the snapshots in {self._where} was not understood", code="restic.answer"
            ) from error
        return [document.to_snapshot() for document in found if document.ours]

    def save(
        self, path: str, tags: SnapshotTags, time: datetime, *, stall_seconds: float
    ) -> AbstractContextManager[SaveStream]:
        """Begin a snapshot holding one file, dated `time`. Leaving without `commit` saves nothing.

        Call it from the thread that will stay to the end of the save.
        """
        return saving(self._launcher, path, tags, time, stall_seconds=stall_seconds)

    def read(
        self, snapshot_id: str, path: str, *, stall_seconds: float
    ) -> AbstractContextManager[Iterator[memoryview]]:
        """The bytes of a stored file, in order. A view is valid until the next one is asked for."""
        return reading(self._launcher, snapshot_id, path, stall_seconds=stall_seconds)

    def read_small(self, snapshot_id: str, path: str) -> bytes:
        """A stored file of at most 16 MiB."""
        with self.reading_small(snapshot_id, path) as answer:
            return answer()

    @contextmanager
    def reading_small(self, snapshot_id: str, path: str) -> Iterator[Callable[[], bytes]]:
        """The same, while other work goes on."""
        with self.read(snapshot_id, path, stall_seconds=self._launcher.patience) as chunks:
            yield lambda: _small(chunks, f"{path} in snapshot {snapshot_id[:8]}")


def _small(chunks: Iterator[memoryview], what: str) -> bytes:
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > _SMALL_LIMIT:
            raise RunFailed(f"{what} is larger than 16 MiB")
    return bytes(content)
