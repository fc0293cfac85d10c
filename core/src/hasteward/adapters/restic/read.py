"""Reading a stored file back, and never taking a part of it for the whole."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from contextlib import contextmanager

from hasteward.adapters.restic.process import Launcher, ResticProcess, widen
from hasteward.domain.errors import HastewardError

CHUNK_BYTES = 256 * 1024


class DumpedFile(Iterator[memoryview]):
    """The bytes of a stored file. Each view lies in the one buffer, valid until the next is asked for.

    Ends only if restic said that it delivered everything; otherwise it raises, and raises again.
    """

    def __init__(self, process: ResticProcess, *, doing: str, location: str, stall_seconds: float) -> None:
        self._process = process
        self._doing = doing
        self._location = location
        self._stall = stall_seconds
        self._buffer = bytearray(CHUNK_BYTES)
        self._view = memoryview(self._buffer)
        self._done = False
        self._failed: HastewardError | None = None
        self._poller = select.poll()
        self._poller.register(process.stdout, select.POLLIN)

    def __iter__(self) -> DumpedFile:
        return self

    def __next__(self) -> memoryview:
        if self._failed:
            raise self._failed
        if self._done:
            raise StopIteration
        if not self._poller.poll(self._stall * 1000):
            self._failed = self._process.stall_error(self._doing, self._stall)
            raise self._failed
        count = os.readv(self._process.stdout, [self._buffer])
        if count:
            return self._view[:count]
        return self._finish()

    def _finish(self) -> memoryview:
        """End of file is nobody's word; the exit status is restic's."""
        if self._process.outcome().status != 0:
            self._failed = self._process.failure(self._doing, self._location)
            raise self._failed
        self._done = True
        raise StopIteration


@contextmanager
def reading(launcher: Launcher, snapshot_id: str, path: str, *, stall_seconds: float) -> Iterator[DumpedFile]:
    """Open a stored file; leaving early ends restic quietly."""
    stored = f"/{path.removeprefix('/')}"
    # without a lock: a read-only or append-only store could not hold one, and a restore at night must not
    # wait for a prune; a file removed meanwhile is an error of restic's, never a short file
    process = launcher.start(["dump", "--no-lock", snapshot_id, stored], stream_stdout=True)
    try:
        widen(process.stdout)
        yield DumpedFile(
            process,
            doing=f"reading {stored} from snapshot {snapshot_id[:8]}",
            location=launcher.location,
            stall_seconds=stall_seconds,
        )
    finally:
        process.kill()
