"""Looks for canaries, unique values that stand for secrets: in processes while they run, and in files."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

#: what a hasteward of ours is started as; between fork and exec its children still look like it
OURS = b"hasteward.cli.main"
_EVERY_SECONDS = 0.015
#: so many looks are taken at every round, later ones now and then
_YOUNG = 10
#: programs by which the lab lets a command into a pod: they have its environment a moment before it is there
_DOORS = {"nsenter", "bwrap"}


def processes() -> set[str]:
    """The numbers of all that run."""
    with os.scandir("/proc") as found:
        return {entry.name for entry in found if entry.name.isdigit()}


@dataclass(slots=True)
class Watch:
    """Reads arguments and environment of every process that comes to exist, again and again.

    A hasteward may have in its environment what it was given there. `allowed` are further environments, as
    (name of the program, name of the canary). `of_pods` are canaries that the database's own containers have
    in their environment, and so whatever runs in them.
    """

    canaries: Mapping[str, str]
    allowed: set[tuple[str, str]] = field(default_factory=set)
    of_pods: set[str] = field(default_factory=set)
    hits: set[str] = field(default_factory=set)
    programs: set[str] = field(default_factory=set)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._look, args=(processes(),))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        assert self._thread is not None
        self._thread.join()

    def _look(self, before: set[str]) -> None:
        looks: dict[str, int] = {}
        while not self._stop.wait(_EVERY_SECONDS):
            for pid in processes() - before:
                looks[pid] = looks.get(pid, 0) + 1
                # one that is young may still become another program
                if looks[pid] <= _YOUNG or looks[pid] % _YOUNG == 0:
                    self.look_at(pid)

    def look_at(self, pid: str) -> None:
        """Look at one process, if it is still there."""
        try:
            argv = Path("/proc", pid, "cmdline").read_bytes()
            environment = Path("/proc", pid, "environ").read_bytes()
            in_pod = _world(pid) != _world("self")
            # while it becomes another program, the two are not of one and the same; there are more looks
            if not argv or argv != Path("/proc", pid, "cmdline").read_bytes():
                return
        except OSError:
            return
        words = argv.split(b"\0")
        program = os.fsdecode(words[0].rpartition(b"/")[2])
        self.programs.add(program)
        for name, value in self.canaries.items():
            if value.encode() in argv:
                self.hits.add(f"{name} in the arguments of {program}")
            if value.encode() not in environment or OURS in words or (program, name) in self.allowed:
                continue
            if not (name in self.of_pods and (in_pod or program in _DOORS)):
                self.hits.add(f"{name} in the environment of {program}")


def _world(pid: str) -> str:
    """The process numbers that it sees: a pod has its own."""
    return str(Path("/proc", pid, "ns", "pid").readlink())


def in_text(canaries: Mapping[str, str], text: str, where: str) -> list[str]:
    """Which canaries a text holds."""
    return [f"{name} in {where}" for name, value in canaries.items() if value in text]


def in_files(canaries: Mapping[str, str], folder: Path, given: Iterable[Path]) -> list[str]:
    """Which files below `folder` hold a canary, apart from those that were given to us with it."""
    left = set(given)
    found = []
    for path in folder.rglob("*"):
        if path in left or path.is_symlink() or not path.is_file():
            continue
        content = path.read_bytes()
        where = str(path.relative_to(folder))
        found += [f"{name} in {where}" for name, value in canaries.items() if value.encode() in content]
    return found
