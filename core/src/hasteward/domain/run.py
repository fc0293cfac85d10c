"""One run, as observers are told of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from hasteward.domain.errors import ExitCode


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run that is about to begin. What its command does not have is ""."""

    id: str
    verb: str
    started: datetime
    engine: str = ""
    namespace: str = ""
    cluster: str = ""
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How it ended. `error` is the stable code of what went wrong and `message` its sentence; both may be "".

    `report` is the run report, a JSON text: the envelope of the answer, and every event.
    """

    status: ExitCode
    seconds: float
    error: str = ""
    message: str = ""
    report: str = field(default="", repr=False)
