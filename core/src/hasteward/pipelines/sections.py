"""Reading a stored file by its proven sections."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import ExitStack

from hasteward.domain.errors import InvalidInput, Unproven
from hasteward.domain.manifest import Manifest, Section
from hasteward.domain.snapshot import Snapshot
from hasteward.ports.context import EngineContext, SectionBytes
from hasteward.ports.repository import Repository
from hasteward.streams.proof import Algorithm, new_digest


class _Cursor:
    """A position in a stream of chunks that can be read by counts."""

    def __init__(self, chunks: Iterator[memoryview]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")
        self.position = 0

    def take(self, count: int) -> Generator[memoryview]:
        """The next `count` bytes, in pieces as they come."""
        while count:
            if not len(self._rest):
                chunk = next(self._chunks, None)
                if chunk is None:
                    raise Unproven(f"the stored file ends at byte {self.position}", code="proof.short")
                self._rest = chunk
            piece, self._rest = self._rest[:count], self._rest[count:]
            self.position += len(piece)
            count -= len(piece)
            yield piece

    def skip_to(self, offset: int) -> None:
        """Read and forget up to `offset`."""
        for _ in self.take(offset - self.position):
            pass


class _Checked(Iterator[memoryview]):
    """A section's bytes; Unproven after the last one if they are not those that were proven."""

    def __init__(self, cursor: _Cursor, section: Section) -> None:
        self._cursor = cursor
        self._section = section
        self._pieces = cursor.take(section.length)
        self._digest = new_digest(Algorithm(section.algorithm))

    def __next__(self) -> memoryview:
        piece = next(self._pieces, None)
        if piece is not None:
            self._digest.update(piece)
            return piece
        if self._digest.hexdigest() != self._section.digest:
            raise Unproven(
                f"section {self._section.key} in the repository is not the one that was proven",
                hint="hasteward get backups   (take another snapshot)",
                code="proof.section",
            )
        raise StopIteration

    def fed(self) -> Iterator[memoryview]:
        """What a restore feeds, compared with nothing."""
        yield from self._cursor.take(self._section.length - self._section.closing)
        for _ in self._cursor.take(self._section.closing):
            pass


class StoredSections:
    """A proven snapshot as a `RestoreSource`. The manifest is asked for when it is needed, and once. What is
    read first is taken from the bytes that have `begun` to come, if there are some.
    """

    def __init__(
        self,
        context: EngineContext,
        repository: Repository,
        snapshot: Snapshot,
        manifest: Callable[[], Manifest],
        begun: Iterator[memoryview] | None = None,
    ) -> None:
        self._context = context
        self._repository = repository
        self._snapshot = snapshot
        self._begun = begun
        self._manifest = manifest

    @property
    def snapshot_id(self) -> str:
        """The full id."""
        return self._snapshot.id

    @functools.cached_property
    def manifest(self) -> Manifest:
        """Its proof."""
        return self._manifest()

    def read(self, keys: Collection[str]) -> Iterator[tuple[Section, SectionBytes]]:
        """The wanted sections in stored order. One process of the store serves them all."""
        missing = sorted(set(keys) - {section.key for section in self.manifest.sections})
        if missing:
            raise InvalidInput(f"snapshot {self._snapshot.short_id} has no section {', '.join(missing)}")
        wanted = [section for section in self.manifest.sections if section.key in keys]
        with ExitStack() as stack:
            chunks, self._begun = self._begun, None
            if chunks is None:
                stall = self._context.tuning.stall_seconds
                begin = self._repository.read(self._snapshot.id, self._snapshot.path, stall_seconds=stall)
                chunks = stack.enter_context(begin)
            cursor = _Cursor(chunks)
            for section in wanted:
                cursor.skip_to(section.offset)
                yield section, _Checked(cursor, section)
                if cursor.position != section.offset + section.length:
                    raise Unproven(f"section {section.key} was not read to its end", code="proof.short")
