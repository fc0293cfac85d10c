"""Events as scripts read them, one JSON document per line. Fields are only ever added."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, assert_never

from hasteward.cli.render.document import Shape
from hasteward.cli.render.shapes import PlanData, StepData
from hasteward.domain.events import Event, PhaseStarted, Planned, Progress, StepDone, Warned
from hasteward.domain.plan import Plan


@dataclass(frozen=True, slots=True)
class PhaseLine(Shape):
    """A named part of the run begins."""

    type: Literal["phase"]
    ts: datetime
    command: str
    run: str
    phase: str
    message: str


@dataclass(frozen=True, slots=True)
class ProgressLine(Shape):
    """Bytes moved so far in a phase; `about` is an estimate of the whole, null when unknown."""

    type: Literal["progress"]
    ts: datetime
    command: str
    run: str
    phase: str
    done: int
    about: int | None


@dataclass(frozen=True, slots=True)
class StepLine(Shape):
    """One thing is finished; `message` says what."""

    type: Literal["step"]
    ts: datetime
    command: str
    run: str
    phase: str
    message: str


@dataclass(frozen=True, slots=True)
class WarningLine(Shape):
    """Something the person should know and that does not stop the run; `code` is stable."""

    type: Literal["warning"]
    ts: datetime
    command: str
    run: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class PlanLine(Shape):
    """What the run is about to do."""

    type: Literal["plan"]
    ts: datetime
    command: str
    run: str
    plan: PlanData


Line = PhaseLine | ProgressLine | StepLine | WarningLine | PlanLine


def plan_data(plan: Plan) -> PlanData:
    """The plan as scripts read it."""
    steps = tuple(StepData(step.text, step.reversal.value) for step in plan.steps)
    return PlanData(plan.title, steps, plan.gives_up, plan.notes)


def line_of(event: Event, ts: datetime, command: str, run: str) -> Line:
    """The line of an event."""
    match event:
        case PhaseStarted():
            return PhaseLine("phase", ts, command, run, event.phase, event.text)
        case Progress():
            return ProgressLine("progress", ts, command, run, event.phase, event.done, event.about)
        case StepDone():
            return StepLine("step", ts, command, run, event.phase, event.text)
        case Warned():
            return WarningLine("warning", ts, command, run, event.code, event.text)
        case Planned():
            return PlanLine("plan", ts, command, run, plan_data(event.plan))
        case _:
            assert_never(event)


class Record:
    """Every line of a run, for its report. Of progress lines that follow each other the last one is kept."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def add(self, line: Line) -> None:
        """Keep it."""
        last = self.lines[-1] if self.lines else None
        if isinstance(line, ProgressLine) and isinstance(last, ProgressLine) and last.phase == line.phase:
            self.lines[-1] = line
        else:
            self.lines.append(line)
