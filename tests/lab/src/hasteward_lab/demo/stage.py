"""Where the demo plays: it prints what a person would type, runs it, and prints what comes back."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hasteward_lab.state import LabError

#: what a shell still reads inside of double quotes
_READ_IN_DOUBLE = frozenset('"$`\\!')


def shown(argv: Sequence[str]) -> str:
    """The command as a person would type it: a shell reads `argv` from it, and so can a person."""
    return " ".join(_quoted(word) for word in argv)


def _quoted(word: str) -> str:
    return f'"{word}"' if "'" in word and not _READ_IN_DOUBLE & set(word) else shlex.quote(word)


@dataclass(slots=True)
class Stage:
    """Runs real commands in a folder of its own, with the environment set by `export`."""

    folder: Path
    colour: bool
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    _servers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def say(self, text: str) -> None:
        """A line of the story."""
        self._out(f"\n\033[1m# {text}\033[0m" if self.colour else f"\n# {text}")

    def export(self, values: Mapping[str, str]) -> None:
        """Set environment variables, as a person would."""
        for name, value in values.items():
            self.environment[name] = value
            self._out(f"$ export {name}={shlex.quote(value)}")

    def show(self, line: str) -> None:
        """A command that is run in another way than it is shown."""
        self._out(f"$ {line}")

    def quietly(self, *argv: str) -> None:
        """Run a command that is no part of the story; LabError with what it said if it fails."""
        done = subprocess.run(argv, capture_output=True, text=True, cwd=self.folder, check=False)
        if done.returncode:
            raise LabError(f"`{shown(argv)}` ended with {done.returncode}: {done.stdout}{done.stderr}")

    def start(self, *argv: str) -> None:
        """Start a server that lasts as long as the story."""
        with (self.folder / "server.log").open("wb") as log:
            self._servers.append(subprocess.Popen(argv, stdout=log, stderr=log, cwd=self.folder))

    def end(self) -> None:
        """The servers' end."""
        for server in self._servers:
            server.kill()
            server.wait()

    def run(self, *argv: str, stdin: Path | None = None, expect: Sequence[int] = (0,)) -> str:
        """Run a command; LabError if it ends with a status that is not expected. Returns its stdout."""
        line = shown(argv) + (f" < {stdin.name}" if stdin else "")
        self._out(f"$ {line}")
        with (stdin or Path(os.devnull)).open("rb") as source:
            done = subprocess.run(
                argv,
                stdin=source,
                capture_output=True,
                text=True,
                cwd=self.folder,
                env=self.environment,
                check=False,
            )
        for line in (done.stderr + done.stdout).splitlines():
            self._out(line)
        if done.returncode not in expect:
            raise LabError(f"`{line}` ended with {done.returncode}, expected {' or '.join(map(str, expect))}")
        return done.stdout

    @staticmethod
    def _out(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
