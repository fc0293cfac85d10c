"""The machine: its clock, and what it may keep of us."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
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

    def every(self, seconds: float, act: Callable[[], None]) -> Callable[[], None]:
        """Call `act` from a thread of its own, which does not keep the process alive."""
        stop = threading.Event()

        def run() -> None:
            while not stop.wait(seconds):
                act()

        thread = threading.Thread(target=run, name="every", daemon=True)
        thread.start()

        def end() -> None:
            stop.set()
            thread.join()

        return end


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
