"""The machine: its clock, and what it may keep of us."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime

#: of linux/prctl.h
_PR_SET_DUMPABLE = 4


class SystemClock:
    """Implements `hasteward.ports.context.Clock`."""

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def leave_no_core_dump() -> None:
    """Memory holds passwords and rows: neither we nor what we start may leave it on disk when it crashes.

    The limit is inherited by every program we start. A kernel that pipes dumps to a program ignores it; being
    not dumpable counts there too, and lets no other process of the same user read our environment.
    """
    import ctypes
    import resource

    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
