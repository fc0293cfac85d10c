"""When which part of a log was written: the runtime's time stamps, kept beside the file."""

from __future__ import annotations

import asyncio
import bisect
import time
from pathlib import Path

_LOOK = 0.5
_MOST = 20_000


class LogClock:
    """Marks of (time, size); a line counts as written when the file had first grown over its start."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._times: list[float] = []
        self._sizes: list[int] = []

    async def follow(self) -> None:
        """Look at the file till cancelled."""
        while True:
            self.mark()
            await asyncio.sleep(_LOOK)

    def mark(self) -> None:
        """Note how large the file is now."""
        size = self.path.stat().st_size if self.path.exists() else 0
        if size and (not self._sizes or size > self._sizes[-1]) and len(self._sizes) < _MOST:
            self._times.append(time.time())
            self._sizes.append(size)

    def offset(self, since: float) -> int:
        """Where what was written at or after a time begins."""
        self.mark()
        index = bisect.bisect_left(self._times, since)
        return self._sizes[index - 1] if index else 0

    def written(self, position: int) -> float:
        """When the byte at a position was written."""
        index = bisect.bisect_right(self._sizes, position)
        return self._times[min(index, len(self._times) - 1)] if self._times else time.time()
