"""The machine's own clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime


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
