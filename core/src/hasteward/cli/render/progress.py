"""Bytes moving: a live line on a terminal, a line every ten seconds elsewhere. Always on standard error."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from hasteward.cli.render.units import seconds, size
from hasteward.domain.events import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from hasteward.cli.render.console import Console

_EVERY_SECONDS = 10.0


class Meter(Protocol):
    """Shows the progress of one phase after the other."""

    def update(self, event: Progress) -> None:
        """More bytes moved."""

    def close(self) -> None:
        """The phase is over; leave the terminal as it was."""


def of_about(event: Progress) -> str:
    """``1.2 GiB of about 3.0 GiB``; an estimate that was exceeded is not worth telling."""
    known = event.about is not None and event.about >= event.done
    return size(event.done) + (f" of about {size(event.about)}" if known else "")


class LineMeter:
    """For logs: one line every ten seconds."""

    def __init__(self, say: Callable[[str], None], monotonic: Callable[[], float]) -> None:
        self._say = say
        self._monotonic = monotonic
        self._phase = ""
        self._begun = self._shown = 0.0

    def update(self, event: Progress) -> None:
        """Say it if ten seconds have passed."""
        now = self._monotonic()
        if event.phase != self._phase:
            self._phase, self._begun, self._shown = event.phase, now, now
        if now - self._shown < _EVERY_SECONDS:
            return
        self._shown = now
        taken = now - self._begun
        rate = size(int(event.done / taken)) if taken else "?"
        self._say(f"{event.phase}: {of_about(event)}, {rate}/s, {seconds(taken)}")

    def close(self) -> None:
        """The next phase starts anew."""
        self._phase = ""


class LiveMeter:
    """For terminals: one line that is redrawn and disappears at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._phase = ""

    def update(self, event: Progress) -> None:
        """Redraw."""
        if event.phase != self._phase:
            self.close()
            self._start(event.phase)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=event.done, total=event.about, about=of_about(event))

    def _start(self, phase: str) -> None:
        # rich costs 80 ms: only a terminal that sees bytes move pays for it
        from rich.console import Console as RichConsole
        from rich.progress import (
            Progress as RichProgress,
        )
        from rich.progress import (
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
            TransferSpeedColumn,
        )

        plain = not self._console.paint_notes.on
        self._phase = phase
        self._bar = RichProgress(
            SpinnerColumn(),
            TextColumn("{task.description}: {task.fields[about]}", markup=False),
            TransferSpeedColumn(),
            TimeElapsedColumn(),
            console=RichConsole(file=self._console.notes_stream, no_color=plain, highlight=False),
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._bar.add_task(phase, total=None, about="")
        self._bar.start()

    def close(self) -> None:
        """Take the line away."""
        if self._bar is not None:
            self._bar.stop()
        self._bar, self._task, self._phase = None, None, ""
