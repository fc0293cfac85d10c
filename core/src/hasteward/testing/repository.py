"""A repository in memory, with restic's meanings: a snapshot exists only after `commit`."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from hasteward.domain.errors import InvalidInput, RepositoryMissing, RunFailed
from hasteward.domain.snapshot import Snapshot, SnapshotTags
from hasteward.ports.repository import RepositoryInfo, Saved, SaveStream


def _nothing(_call: str) -> None:
    """No fault."""


@dataclass(slots=True)
class FakeRepository:
    """Implements `Repository`. `on_call` is told the name of every call and may raise: the k-th fails."""

    exists: bool = True
    on_call: Callable[[str], None] = _nothing
    chunk: int = 4096
    files: dict[str, bytes] = field(default_factory=dict)
    listed: list[Snapshot] = field(default_factory=list)

    def open(self) -> RepositoryInfo:
        """The same id every time."""
        self.on_call("open")
        if not self.exists:
            raise RepositoryMissing("there is no repository", hint="hasteward init")
        return RepositoryInfo(id="f" * 64, location="fake", program_version="0.0.0")

    @contextlib.contextmanager
    def opening(self) -> Iterator[Callable[[], RepositoryInfo]]:
        """Nothing happens before one asks."""
        yield self.open

    def init(self) -> RepositoryInfo:
        """Create it once."""
        self.on_call("init")
        if self.exists:
            raise InvalidInput("there is a repository already", code="repository.exists")
        self.exists = True
        return RepositoryInfo(id="f" * 64, location="fake", program_version="0.0.0")

    def snapshots(self) -> list[Snapshot]:
        """Everything that was committed."""
        self.on_call("snapshots")
        return list(self.listed)

    @contextlib.contextmanager
    def listing(self) -> Iterator[Callable[[], list[Snapshot]]]:
        """Nothing happens before one asks."""
        yield self.snapshots

    @contextlib.contextmanager
    def save(
        self, path: str, tags: SnapshotTags, time: datetime, *, stall_seconds: float
    ) -> Iterator[SaveStream]:
        """Begin; only `commit` makes it exist."""
        self.on_call("save")
        assert stall_seconds > 0
        yield _FakeSave(self, path.lstrip("/"), tags, time)

    @contextlib.contextmanager
    def read(self, snapshot_id: str, path: str, *, stall_seconds: float) -> Iterator[Iterator[memoryview]]:
        """The stored bytes in small chunks from one reused buffer, as the real adapter does."""
        self.on_call("read")
        assert stall_seconds > 0
        yield self._chunks(self._file(snapshot_id, path))

    def _chunks(self, data: bytes) -> Iterator[memoryview]:
        buffer = bytearray(self.chunk)
        for start in range(0, len(data), self.chunk):
            self.on_call("read.chunk")
            piece = data[start : start + self.chunk]
            buffer[: len(piece)] = piece
            yield memoryview(buffer)[: len(piece)]

    def read_small(self, snapshot_id: str, path: str) -> bytes:
        """The stored bytes at once."""
        self.on_call("read_small")
        return self._file(snapshot_id, path)

    @contextlib.contextmanager
    def reading_small(self, snapshot_id: str, path: str) -> Iterator[Callable[[], bytes]]:
        """Nothing happens before one asks."""
        yield lambda: self.read_small(snapshot_id, path)

    def _file(self, snapshot_id: str, path: str) -> bytes:
        found = [s for s in self.listed if s.id == snapshot_id and s.path == path.lstrip("/")]
        if not found:
            raise RunFailed(f"no file {path} in snapshot {snapshot_id[:8]}")
        return self.files[snapshot_id]


class _FakeSave:
    """A snapshot being made in memory."""

    def __init__(self, home: FakeRepository, path: str, tags: SnapshotTags, time: datetime) -> None:
        self._home = home
        self._path = path
        self._tags = tags
        self._time = time
        self._data = bytearray()

    def write(self, data: bytes | memoryview) -> None:
        self._home.on_call("save.write")
        self._data += data

    def end(self) -> None:
        self._home.on_call("save.end")

    def commit(self) -> Saved:
        self._home.on_call("save.commit")
        data = bytes(self._data)
        seed = f"{len(self._home.listed)} {self._path}".encode() + data
        identity = hashlib.sha256(seed).hexdigest()
        tree = hashlib.sha256(data).hexdigest()
        self._home.files[identity] = data
        snapshot = Snapshot(identity, self._time, self._path, self._tags, tree, len(data))
        self._home.listed.append(snapshot)
        return Saved(identity, len(data), len(data))
