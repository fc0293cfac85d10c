"""What a run says while it works. Renderers turn events into text or JSON lines; nothing else prints."""

from __future__ import annotations

from dataclasses import dataclass

from hasteward.domain.plan import Plan


@dataclass(frozen=True, slots=True)
class PhaseStarted:
    """A named part of the run begins."""

    phase: str
    text: str


@dataclass(frozen=True, slots=True)
class Progress:
    """Bytes moved so far in a phase; `about` is an estimate of the whole, None when unknown."""

    phase: str
    done: int
    about: int | None = None


@dataclass(frozen=True, slots=True)
class StepDone:
    """One thing is finished; `text` says what."""

    phase: str
    text: str


@dataclass(frozen=True, slots=True)
class Warned:
    """Something the person should know and that does not stop the run; `code` is stable."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Planned:
    """What the run is about to do."""

    plan: Plan


Event = PhaseStarted | Progress | StepDone | Warned | Planned
