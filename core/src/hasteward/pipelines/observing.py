"""Tells observers of a run, guarded: what one of them does or fails to do never reaches the run.

Each observer has a thread of its own that takes one call after the other. The run waits in two places only:
before it begins, for a veto, and at its end, for what an observer still has to do.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from hasteward.domain.errors import HastewardError, Refused
from hasteward.domain.events import PhaseStarted
from hasteward.domain.run import RunInfo, RunOutcome
from hasteward.plugins import Observer

Warn = Callable[[str, str], None]

_SLICE_SECONDS = 0.1


class _Call:
    """One hook to call and what came of it."""

    def __init__(self, hook: str, said: dict[str, Any]) -> None:
        self.hook = hook
        self.said = said
        self.done = threading.Event()
        self.veto: Refused | None = None


class _Guard:
    """One observer and its thread, which begins with the first call. `lost`: it did not answer in time."""

    def __init__(self, observer: Observer, run: RunInfo, warn: Warn) -> None:
        self._observer = observer
        self._run = run
        self._warn = warn
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._last: _Call | None = None
        self.lost = False

    def post(self, hook: str, **said: Any) -> _Call | None:
        """Let the hook be called as soon as those before it are done; None if it is not implemented."""
        if self.lost or not self._observer.hears(hook):
            return None
        if self._thread is None:
            # a daemon: one that hangs must not keep the process
            name = f"observer {self._observer.name}"
            self._thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._thread.start()
        self._last = call = _Call(hook, {"run": self._run, **said})
        self._calls.put(call)
        return call

    def settle(self, began: float) -> None:
        """Wait for everything that was posted; nothing is any more."""
        self._calls.put(None)
        if self._last is not None and not self.lost:
            self.wait(self._last, began)

    def wait(self, call: _Call, began: float) -> None:
        """Wait for the answer, and no longer than the observer may take since `began`."""
        seconds = self._observer.seconds
        # in slices: a signal that comes just before a wait does not end it, and is heard after it
        while not call.done.wait(_SLICE_SECONDS):
            if time.monotonic() - began >= seconds:
                self.lost = True
                text = f"{call.hook} was not done within {seconds:g} s; it is not waited for any more"
                self._warn("observer.silent", f"{self._observer.name}: {text}")
                return

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                self._observer.tell(call.hook, **call.said)
            except Refused as error:
                call.veto = error
                if call.hook != "before_run":
                    self._complain(call, error)
            except BaseException as error:  # noqa: BLE001  whatever a stranger's code raises is its own
                self._complain(call, error)
            finally:
                call.done.set()

    def _complain(self, call: _Call, error: BaseException) -> None:
        if self.lost:
            return
        said = error.message if isinstance(error, HastewardError) else f"{type(error).__name__}: {error}"
        self._warn("observer.failed", f"{self._observer.name}: {call.hook}: {said}")


class Observers:
    """Every observer of one run. `warn` takes a code and a text and may be called from any thread."""

    def __init__(self, observers: Iterable[Observer], run: RunInfo, warn: Warn) -> None:
        self._guards = [_Guard(one, run, warn) for one in observers]

    def before_run(self) -> None:
        """Ask every observer, then say that the run has begun. Raises the `Refused` of the first veto."""
        for guard in self._guards:
            call = guard.post("before_run")
            if call is not None:
                guard.wait(call, time.monotonic())
                if call.veto is not None and not guard.lost:
                    raise call.veto
        for guard in self._guards:
            guard.post("run_started")

    def phase(self, event: PhaseStarted) -> None:
        """Say it and go on."""
        for guard in self._guards:
            guard.post("phase", event=event)

    def finished(self, outcome: RunOutcome) -> None:
        """Say how it ended and wait for whoever still has something to do, for all of them at once."""
        for guard in self._guards:
            guard.post("run_finished", outcome=outcome)
        began = time.monotonic()
        for guard in self._guards:
            guard.settle(began)
