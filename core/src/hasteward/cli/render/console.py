"""Standard output and standard error, each with its job: the answer, and everything else."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TextIO

from hasteward.cli.render.document import dumps
from hasteward.cli.render.units import readable

_SGR = r"\x1b\[[0-9;]*m"
#: control characters that a name or a server's message could smuggle into a terminal
_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
_NOT_OURS = re.compile(f"({_SGR})|{_CONTROL}")
_ANY = re.compile(f"{_SGR}|{_CONTROL}")
#: shorter values would turn ordinary words into stars
_SHORTEST_SECRET = 4


class Mode(StrEnum):
    """The form of the answer."""

    HUMAN = "human"
    JSON = "json"
    JSONL = "jsonl"


@dataclass(frozen=True, slots=True)
class Paint:
    """Marks words; leaves them alone where colour is off."""

    on: bool = False

    def _wrap(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.on and text else text

    def bold(self, text: str) -> str:
        """What matters."""
        return self._wrap("1", text)

    def dim(self, text: str) -> str:
        """What does not."""
        return self._wrap("2", text)

    def good(self, text: str) -> str:
        """As it should be."""
        return self._wrap("32", text)

    def warn(self, text: str) -> str:
        """Look at it."""
        return self._wrap("33", text)

    def bad(self, text: str) -> str:
        """Wrong."""
        return self._wrap("1;31", text)


def _colour(stream: TextIO, environ: Mapping[str, str], *, wanted: bool) -> bool:
    return wanted and environ.get("TERM") != "dumb" and stream.isatty()


@dataclass(frozen=True, slots=True)
class Log:
    """What is the same for every entry of a structured log, and where the time comes from."""

    head: Mapping[str, str]
    now: Callable[[], datetime]


class Console:
    """The two streams of one run. Safe to use from several threads."""

    def __init__(
        self, mode: Mode, *, color: bool = True, verbose: bool = False, log: Log | None = None
    ) -> None:
        self.mode = mode
        self.verbose = verbose
        self._log = log
        self._lock = threading.RLock()
        self._secrets: list[str] = []
        self._out, self._err = sys.stdout, sys.stderr
        self.paint = Paint(_colour(self._out, os.environ, wanted=color))
        self.paint_notes = Paint(_colour(self._err, os.environ, wanted=color and log is None))

    @property
    def interactive(self) -> bool:
        """Whether somebody can be asked."""
        return self.mode is Mode.HUMAN and sys.stdin is not None and sys.stdin.isatty() and self._err.isatty()

    @property
    def live(self) -> bool:
        """Whether standard error is a terminal that can redraw a line."""
        return self._err.isatty() and os.environ.get("TERM") != "dumb" and not self.structured

    @property
    def structured(self) -> bool:
        """Whether standard error is a log of JSON lines."""
        return self._log is not None

    @property
    def notes_stream(self) -> TextIO:
        """Standard error, for the progress display."""
        return self._err

    def hide(self, secret: str) -> None:
        """Never print this value."""
        if len(secret) >= _SHORTEST_SECRET:
            # as it is, and as JSON writes it
            self._secrets += dict.fromkeys((secret, json.dumps(secret)[1:-1]))

    def clean(self, text: str) -> str:
        """The text without what must not be seen, for a file."""
        return self._clean(text, Paint())

    def _clean(self, text: str, paint: Paint) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return _NOT_OURS.sub(lambda found: found[1] or "?", text) if paint.on else _ANY.sub("?", text)

    def answer(self, lines: Iterable[str]) -> None:
        """Print the answer."""
        lines = (readable(line) for line in lines) if self.mode is Mode.HUMAN else lines
        text = "".join(self._clean(line, self.paint) + "\n" for line in lines)
        with self._lock:
            self._out.write(text)
            self._out.flush()

    def note(self, lines: str | Iterable[str]) -> None:
        """Say something that is not the answer."""
        lines = [lines] if isinstance(lines, str) else lines
        if self.structured:
            for line in lines:
                self._entry("info", message=line)
            return
        text = "".join(self._clean(readable(line), self.paint_notes) + "\n" for line in lines)
        with self._lock:
            self._err.write(text)
            self._err.flush()

    def debug(self, text: str) -> None:
        """One entry of the structured log, for those who asked for more."""
        self._entry("debug", message=text)

    def log(self, level: str, line: object) -> None:
        """One event as an entry of the structured log."""
        self._write(dumps(line, lead={"level": level}))

    def _entry(self, level: str, **more: str) -> None:
        assert self._log is not None  # noqa: S101 (asked only of a structured log)
        self._write(dumps({"level": level, "ts": self._log.now(), **self._log.head, **more}))

    def _write(self, entry: str) -> None:
        with self._lock:
            self._err.write(self._clean(entry, Paint()) + "\n")
            self._err.flush()

    def warning(self, text: str) -> None:
        """One line."""
        self.note(f"{self.paint_notes.warn('warning:')} {one_line(text)}")

    def error(self, message: str, hint: str = "") -> None:
        """One line about what is wrong and one about what to do."""
        if self.structured:
            self._entry("error", message=message, **({"next": hint} if hint else {}))
            return
        lines = [f"{self.paint_notes.bad('error:')} {one_line(message)}"]
        if hint:
            lines.append(f"  next: {one_line(hint)}")
        self.note(lines)

    def ask(self, question: str) -> str:
        """Ask on standard error; the answer without its line end."""
        self._err.write(question)
        self._err.flush()
        return sys.stdin.readline().strip()


def one_line(text: str) -> str:
    """The same words on one line."""
    return " ".join(text.split("\n")) if "\n" in text else text
