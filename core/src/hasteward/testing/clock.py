"""Time that only moves when somebody sleeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(slots=True, eq=False)
class _Timer:
    """Something that is due; `period` is 0 for once."""

    due: float
    act: Callable[[], None]
    period: float


class VirtualClock:
    """A `Clock` for tests. Starts at a fixed moment; `sleep` returns at once and moves it on.

    What was asked for by `every` and `after` happens inside the sleep that passes its moment, in order and in
    the sleeper's thread: a background renewal takes part in a test without a thread and without luck.
    """

    def __init__(self, start: datetime | None = None) -> None:
        self._wall = start or datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        self._passed = 0.0
        self._timers: list[_Timer] = []

    def now(self) -> datetime:
        """The virtual wall clock."""
        return self._wall + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        """Virtual seconds since the start."""
        return self._passed

    def sleep(self, seconds: float) -> None:
        """Move on; everything that is due on the way happens at its own moment."""
        until = self._passed + seconds
        while (timer := self._next(until)) is not None:
            self._passed = max(self._passed, timer.due)
            self._fire(timer)
        self._passed = max(self._passed, until)

    def every(self, seconds: float, act: Callable[[], None]) -> Callable[[], None]:
        """Call `act` again and again; the answer ends it."""
        return self._add(_Timer(self._passed + seconds, act, seconds))

    def after(self, seconds: float, act: Callable[[], None]) -> Callable[[], None]:
        """Call `act` once: how a test says what the world does meanwhile. The answer calls it off."""
        return self._add(_Timer(self._passed + seconds, act, 0.0))

    def freeze(self, seconds: float) -> None:
        """Our process stands still (SIGSTOP, a paused machine): time passes, nothing of ours happens.

        What became due meanwhile happens once, late, at the next `sleep`.
        """
        self._passed += seconds

    def die(self) -> None:
        """Our process has died: nothing of it is called any more. What the world was to do stays."""
        self._timers = [timer for timer in self._timers if not timer.period]

    def step(self, seconds: float) -> None:
        """Somebody sets the wall clock, forward or back; monotonic time knows nothing of it."""
        self._wall += timedelta(seconds=seconds)

    def _add(self, timer: _Timer) -> Callable[[], None]:
        self._timers.append(timer)

        def end() -> None:
            if timer in self._timers:
                self._timers.remove(timer)

        return end

    def _next(self, until: float) -> _Timer | None:
        due = [timer for timer in self._timers if timer.due <= until]
        return min(due, key=lambda timer: timer.due, default=None)

    def _fire(self, timer: _Timer) -> None:
        if timer.period:
            timer.due = self._passed + timer.period
        else:
            self._timers.remove(timer)
        timer.act()
