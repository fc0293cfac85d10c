"""Where events go: text on standard error, JSON lines on standard output, and what the answer repeats."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from datetime import datetime

from hasteward.cli.render import human
from hasteward.cli.render.console import Console, Mode
from hasteward.cli.render.document import dumps
from hasteward.cli.render.lines import Record, line_of, plan_data
from hasteward.cli.render.progress import LineMeter, LiveMeter, Meter
from hasteward.cli.render.shapes import PlanData, WarningData
from hasteward.domain.events import Event, PhaseStarted, Planned, Progress, StepDone, Warned

#: between two lines of progress of one phase
_JSONL_SECONDS = 1.0
_LOG_SECONDS = 10.0


def _nobody(_event: PhaseStarted) -> None:
    """Nobody is told."""


class Journal:
    """Implements `hasteward.ports.context.Reporter`; safe to use from several threads, never raises."""

    def __init__(
        self,
        console: Console,
        command: str,
        run: str,
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        dry_run: bool = False,
    ) -> None:
        self._console = console
        self._command = command
        self._run = run
        self._now = now
        self._monotonic = monotonic
        self._begun = monotonic()
        self._dry_run = dry_run
        self._lock = threading.RLock()
        self._shown: tuple[str, float] = ("", 0.0)
        self._meter: Meter = LiveMeter(console) if console.live else LineMeter(console.note, monotonic)
        self._about: dict[str, int] = {}
        self.warnings: list[WarningData] = []
        self.plan: PlanData | None = None
        self.record = Record()
        #: is told of every phase; must not wait
        self.on_phase: Callable[[PhaseStarted], None] = _nobody

    def emit(self, event: Event) -> None:
        """Take one event."""
        # a closed terminal must not end a backup, and the caller may be the thread that renews the Lease
        with self._lock, contextlib.suppress(OSError, ValueError):
            if isinstance(event, Progress):
                event = self._estimated(event)
            elif isinstance(event, Warned):
                self.warnings.append(WarningData(event.code, event.text))
            elif isinstance(event, Planned):
                self.plan = plan_data(event.plan)
            elif isinstance(event, PhaseStarted):
                self.on_phase(event)
            line = line_of(event, self._now(), self._command, self._run)
            self.record.add(line)
            if self._console.mode is Mode.JSONL:
                if self._is_due(event, _JSONL_SECONDS):
                    self._console.answer([dumps(line)])
            elif self._console.structured:
                if self._is_due(event, _LOG_SECONDS):
                    self._console.log("warning" if isinstance(event, Warned) else "info", line)
            else:
                self._text(event)

    def _estimated(self, event: Progress) -> Progress:
        """The event with the last estimate of its phase: who counts the bytes is not who estimates them."""
        if event.about is not None:
            self._about[event.phase] = event.about
            return event
        return Progress(event.phase, event.done, self._about.get(event.phase))

    def close(self) -> None:
        """Take the progress line away before the answer or an error is printed."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._meter.close()

    def _text(self, event: Event) -> None:
        if isinstance(event, Progress):
            self._meter.update(event)
            return
        self._meter.close()
        match event:
            case PhaseStarted() | StepDone():
                # the phase is said already: "repository: 8726c0024f at ... is open"
                text = event.text.removeprefix(f"{event.phase} ")
                self._console.note(f"{self._elapsed()}{event.phase}: {text}")
            case Warned():
                self._console.warning(event.text)
            case Planned() if not self._dry_run and self.plan is not None:
                # in a dry run the plan is the answer and goes to standard output
                self._console.note(human.plan(self.plan, self._console.paint_notes))
            case Planned():
                pass

    def detail(self, text: str) -> None:
        """Something for those who asked for more."""
        if self._console.verbose and self._console.structured:
            self._console.debug(text)
        elif self._console.verbose and self._console.mode is not Mode.JSONL:
            self._console.note(f"{self._elapsed()}{text}")

    def _elapsed(self) -> str:
        return f"[{self._monotonic() - self._begun:8.3f}] " if self._console.verbose else ""

    def _is_due(self, event: Event, every: float) -> bool:
        """Of progress one line every so many seconds, and always the last one; of the rest all."""
        if not isinstance(event, Progress):
            return True
        phase, shown = self._shown
        now = self._monotonic()
        if event.phase == phase and now - shown < every and event.done != event.about:
            return False
        self._shown = (event.phase, now)
        return True
