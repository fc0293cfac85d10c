"""Virtual time: in order, at once, and without a thread."""

from __future__ import annotations

from datetime import timedelta

from hasteward.testing.clock import VirtualClock


def test_what_is_due_happens_at_its_own_moment_and_in_order() -> None:
    clock = VirtualClock()
    seen: list[tuple[str, float]] = []
    clock.every(10, lambda: seen.append(("tick", clock.monotonic())))
    clock.after(15, lambda: seen.append(("once", clock.monotonic())))

    clock.sleep(31)

    assert seen == [("tick", 10), ("once", 15), ("tick", 20), ("tick", 30)]
    assert clock.monotonic() == 31


def test_what_was_called_off_does_not_happen() -> None:
    clock = VirtualClock()
    seen: list[str] = []
    end = clock.after(5, lambda: seen.append("never"))

    end()
    end()
    clock.sleep(10)

    assert seen == []


def test_a_frozen_process_does_late_and_once_what_it_missed() -> None:
    clock = VirtualClock()
    seen: list[float] = []
    clock.every(10, lambda: seen.append(clock.monotonic()))

    clock.freeze(65)
    assert seen == []
    clock.sleep(1)
    clock.sleep(10)

    assert seen == [65, 75]


def test_setting_the_wall_clock_leaves_monotonic_time_alone() -> None:
    clock = VirtualClock()
    before = clock.now()

    clock.step(-3600)

    assert clock.now() == before - timedelta(hours=1)
    assert clock.monotonic() == 0
