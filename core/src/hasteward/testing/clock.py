"""Time that only moves when somebody sleeps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class VirtualClock:
    """A `Clock` for tests. Starts at a fixed moment; `sleep` returns at once and moves it on."""

    def __init__(self, start: datetime | None = None) -> None:
        self._start = start or datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        self._passed = 0.0

    def now(self) -> datetime:
        """The virtual wall clock."""
        return self._start + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        """Virtual seconds since the start."""
        return self._passed

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self._passed += seconds
