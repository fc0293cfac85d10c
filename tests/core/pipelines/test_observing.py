"""Observers are told of a run, and nothing that they do reaches it, but for a veto."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from hasteward import ObserverSpec, hookimpl
from hasteward.domain.errors import ExitCode, Refused
from hasteward.domain.events import PhaseStarted
from hasteward.domain.run import RunInfo, RunOutcome
from hasteward.pipelines.observing import Observers
from hasteward.plugins import observer

RUN = RunInfo("0123456789abcdef", "backup", datetime(2026, 1, 1, tzinfo=UTC), "toy", "db", "box")
DONE = RunOutcome(ExitCode.OK, 1.5)
PHASE = PhaseStarted("dump", "reading")
HOOKS = ("before_run", "run_started", "phase", "run_finished")


class Ear(ObserverSpec):
    """Notes what it hears; `act` may do more, by hook."""

    def __init__(self, **act: Callable[[], None]) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.threads: set[str] = set()
        self.alive: set[threading.Thread] = set()
        self._act = act

    def _note(self, hook: str, *said: Any) -> None:
        self.heard.append((hook, *said))
        self.threads.add(threading.current_thread().name)
        self.alive.add(threading.current_thread())
        self._act.get(hook, lambda: None)()

    @hookimpl
    def before_run(self, run: RunInfo) -> None:
        self._note("before_run", run)

    @hookimpl
    def run_started(self, run: RunInfo) -> None:
        self._note("run_started", run)

    @hookimpl
    def phase(self, run: RunInfo, event: PhaseStarted) -> None:
        self._note("phase", run, event)

    @hookimpl
    def run_finished(self, run: RunInfo, outcome: RunOutcome) -> None:
        self._note("run_finished", run, outcome)


class Terse(ObserverSpec):
    """Hears one hook, and takes none of its arguments."""

    def __init__(self) -> None:
        self.heard = 0

    @hookimpl
    def run_finished(self) -> None:
        self.heard += 1


def fail(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Lets whatever hangs go on once the test is over."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def warned() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def watch(warned: list[tuple[str, str]]) -> Callable[..., Observers]:
    def made(*plugins: ObserverSpec, seconds: float = 20) -> Observers:
        found = [observer(f"ear-{number}", one, seconds) for number, one in enumerate(plugins)]
        return Observers(found, RUN, lambda code, text: warned.append((code, text)))

    return made


def ended(ear: Ear) -> None:
    """Wait for the end of the observer's thread."""
    for thread in ear.alive:
        thread.join(10)
        assert not thread.is_alive()


def whole_run(observers: Observers) -> None:
    observers.before_run()
    observers.phase(PHASE)
    observers.finished(DONE)


Watch = Callable[..., Observers]


def test_every_observer_hears_everything_in_order(watch: Watch, warned: list[tuple[str, str]]) -> None:
    ears = Ear(), Ear()

    whole_run(watch(*ears))

    for number, ear in enumerate(ears):
        assert ear.heard == [
            ("before_run", RUN),
            ("run_started", RUN),
            ("phase", RUN, PHASE),
            ("run_finished", RUN, DONE),
        ]
        assert ear.threads == {f"observer ear-{number}"}, "each in its own thread, never in the run's"
    assert warned == []


def test_an_observer_may_leave_hooks_and_arguments_out(watch: Watch, warned: list[tuple[str, str]]) -> None:
    terse = Terse()

    whole_run(watch(terse))

    assert (terse.heard, warned) == (1, [])


def test_without_observers_no_thread_is_started(watch: Watch) -> None:
    before = threading.active_count()
    whole_run(watch())
    assert threading.active_count() == before


def test_a_veto_is_the_runs_own_refusal_and_nobody_is_told_that_it_began(watch: Watch) -> None:
    veto = Refused("not on a Friday", hint="wait", code="audit.friday")
    first, second, third = Ear(), Ear(before_run=fail(veto)), Ear()
    observers = watch(first, second, third)

    with pytest.raises(Refused) as caught:
        observers.before_run()
    observers.finished(DONE)

    assert caught.value is veto
    assert [hook for hook, *_ in first.heard] == ["before_run", "run_finished"]
    assert [hook for hook, *_ in second.heard] == ["before_run", "run_finished"]
    assert [hook for hook, *_ in third.heard] == ["run_finished"]


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("error", [ZeroDivisionError("by it"), SystemExit(3), KeyboardInterrupt()])
def test_an_observer_that_raises_brings_a_warning_and_no_more(
    hook: str, error: BaseException, watch: Watch, warned: list[tuple[str, str]]
) -> None:
    broken, well = Ear(**{hook: fail(error)}), Ear()

    whole_run(watch(broken, well))

    said = f"ear-0: {hook}: {type(error).__name__}: {error}"
    assert warned == [("observer.failed", said)]
    assert [heard for heard, *_ in broken.heard] == list(HOOKS), "the next hook is called all the same"
    assert [heard for heard, *_ in well.heard] == list(HOOKS)


@pytest.mark.parametrize("hook", HOOKS[1:])
def test_only_before_run_may_veto(hook: str, watch: Watch, warned: list[tuple[str, str]]) -> None:
    whole_run(watch(Ear(**{hook: fail(Refused("too late"))})))

    assert warned == [("observer.failed", f"ear-0: {hook}: too late")]


@pytest.mark.parametrize("hook", HOOKS)
def test_an_observer_that_hangs_is_not_waited_for(
    hook: str, watch: Watch, warned: list[tuple[str, str]], release: threading.Event
) -> None:
    def hang() -> None:
        release.wait(60)

    hung = Ear(**{hook: hang})
    well = Ear()
    began = time.monotonic()

    whole_run(watch(hung, well, seconds=0.3))

    assert time.monotonic() - began < 5
    waited_in = "before_run" if hook == "before_run" else "run_finished"
    text = f"ear-0: {waited_in} was not done within 0.3 s; it is not waited for any more"
    assert warned == [("observer.silent", text)]
    assert [heard for heard, *_ in well.heard] == list(HOOKS)


def test_a_veto_that_comes_too_late_is_none(
    watch: Watch, warned: list[tuple[str, str]], release: threading.Event
) -> None:
    def late() -> None:
        release.wait(60)
        raise Refused("no")

    observers = watch(Ear(before_run=late), seconds=0.2)
    observers.before_run()
    release.set()
    observers.finished(DONE)

    assert [code for code, _ in warned] == ["observer.silent"]


def test_one_that_fails_after_it_was_given_up_says_no_more(
    watch: Watch, warned: list[tuple[str, str]], release: threading.Event
) -> None:
    def late() -> None:
        release.wait(60)
        raise ZeroDivisionError

    ear = Ear(run_finished=late)
    observers = watch(ear, seconds=0.2)
    observers.before_run()
    observers.finished(DONE)
    release.set()
    ended(ear)

    assert [code for code, _ in warned] == ["observer.silent"]


def test_one_that_was_given_up_is_told_nothing_more(watch: Watch, release: threading.Event) -> None:
    def hang() -> None:
        release.wait(60)

    ear = Ear(before_run=hang)
    observers = watch(ear, seconds=0.2)
    observers.before_run()
    release.set()
    observers.phase(PHASE)
    observers.finished(DONE)
    ended(ear)

    assert [hook for hook, *_ in ear.heard] == ["before_run"]


def test_the_threads_end_with_the_run(watch: Watch) -> None:
    ear = Ear()
    whole_run(watch(ear))
    ended(ear)


def test_several_that_hang_are_waited_for_at_once(watch: Watch, release: threading.Event) -> None:
    def hang() -> None:
        release.wait(60)

    observers = watch(*(Ear(run_finished=hang) for _ in range(6)), seconds=0.5)
    observers.before_run()
    began = time.monotonic()
    observers.finished(DONE)

    assert time.monotonic() - began < 2.5


def test_the_run_does_not_wait_for_what_it_only_tells(watch: Watch) -> None:
    slow = Ear(phase=lambda: time.sleep(0.2))
    observers = watch(slow)
    observers.before_run()
    began = time.monotonic()
    for _ in range(3):
        observers.phase(PHASE)

    assert time.monotonic() - began < 0.2
    observers.finished(DONE)
    assert [heard for heard, *_ in slow.heard].count("phase") == 3


def test_a_misspelt_hook_is_no_observer() -> None:
    class Wrong(ObserverSpec):
        @hookimpl
        def run_startet(self, run: RunInfo) -> None:
            """One letter off."""

    with pytest.raises(Exception, match="run_startet"):
        observer("wrong", Wrong())
