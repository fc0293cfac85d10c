"""One contract, two clocks: what is called again and again beside the work, and how it ends."""

from __future__ import annotations

import pytest

from hasteward.adapters.system import SystemClock
from hasteward.ports.context import Clock
from hasteward.testing.clock import VirtualClock


@pytest.fixture(params=[SystemClock, VirtualClock])
def clock(request: pytest.FixtureRequest) -> Clock:
    made: Clock = request.param()
    return made


def test_time_passes_while_somebody_sleeps(clock: Clock) -> None:
    wall, mono = clock.now(), clock.monotonic()

    clock.sleep(0.02)

    assert clock.monotonic() - mono >= 0.02
    assert (clock.now() - wall).total_seconds() >= 0.015  # the wall clock is not monotonic
    assert wall.tzinfo is not None


def test_what_is_asked_for_happens_again_and_again_until_it_is_ended(clock: Clock) -> None:
    calls: list[float] = []

    begun = clock.monotonic()
    end = clock.every(0.01, lambda: calls.append(clock.monotonic()))
    while len(calls) < 3:
        clock.sleep(0.01)
    end()
    count = len(calls)
    clock.sleep(0.05)

    assert len(calls) == count
    assert calls[0] - begun >= 0.009, "not before the first time has passed"
    assert calls[2] - begun >= 0.027
