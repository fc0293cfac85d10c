"""Where events go: text on standard error, JSON lines on standard output, and what the answer repeats."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

from hasteward.cli.render import human
from hasteward.cli.render.console import Console, Mode
from hasteward.cli.render.document import dumps
from hasteward.cli.render.progress import LineMeter, LiveMeter, Meter
from hasteward.cli.render.shapes import PlanData, StepData, WarningData
from hasteward.domain.events import Event, PhaseStarted, Planned, Progress, StepDone, Warned
from hasteward.domain.plan import Plan

_JSONL_PROGRESS_SECONDS = 1.0


def plan_data(plan: Plan) -> PlanData:
    """The plan as scripts read it."""
    steps = tuple(StepData(step.text, step.reversal.value) for step in plan.steps)
    return PlanData(plan.title, steps, plan.gives_up, plan.notes)


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
        self._head = {"command": command, "run": run}
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
            if self._console.mode is Mode.JSONL:
                self._line(event)
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
        if self._console.verbose and self._console.mode is not Mode.JSONL:
            self._console.note(f"{self._elapsed()}{text}")

    def _elapsed(self) -> str:
        return f"[{self._monotonic() - self._begun:8.3f}] " if self._console.verbose else ""

    def _line(self, event: Event) -> None:
        body: dict[str, Any]
        match event:
            case Progress():
                if not self._is_due(event):
                    return
                body = {"type": "progress", "phase": event.phase, "done": event.done, "about": event.about}
            case PhaseStarted():
                body = {"type": "phase", "phase": event.phase, "message": event.text}
            case StepDone():
                body = {"type": "step", "phase": event.phase, "message": event.text}
            case Warned():
                body = {"type": "warning", "code": event.code, "message": event.text}
            case Planned():
                body = {"type": "plan", "plan": self.plan}
        kind = body.pop("type")
        self._console.answer([dumps({"type": kind, "ts": self._now(), **self._head, **body})])

    def _is_due(self, event: Progress) -> bool:
        """One line a second, and always the last one."""
        phase, shown = self._shown
        now = self._monotonic()
        if event.phase == phase and now - shown < _JSONL_PROGRESS_SECONDS and event.done != event.about:
            return False
        self._shown = (event.phase, now)
        return True
