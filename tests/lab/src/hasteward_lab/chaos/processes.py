"""Stop and continue every process of a pod at once."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

_SETTLES_WITHIN = 5.0


def in_same_pod(pid: int) -> list[int]:
    """All processes that share the PID namespace of this one, first of all the one itself."""
    namespace = Path(f"/proc/{pid}/ns/pid").stat().st_ino
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (folder / "ns/pid").stat().st_ino == namespace:
                found.append(int(folder.name))
    return sorted(found, key=lambda each: (each != pid, each))


def state(pid: int) -> str:
    """The kernel's letter for what a process does; empty when it is gone."""
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    return ""


def freeze(pid: int) -> int:
    """Stop all processes of a pod and return how many there are, when every one stands still."""
    deadline = time.monotonic() + _SETTLES_WITHIN
    while True:
        # A process may have forked between the look and the signal, so look until all stand still.
        pids = in_same_pod(pid)
        moving = [each for each in pids if state(each) not in {"T", "t", "Z", "X", ""}]
        if not moving:
            return len(pids)
        if time.monotonic() > deadline:
            raise RuntimeError(f"{len(moving)} processes do not stop")
        _signal(moving, signal.SIGSTOP)
        time.sleep(0.005)


def thaw(pid: int) -> int:
    """Let all processes of a pod go on, and return how many there are."""
    pids = in_same_pod(pid)
    _signal(pids, signal.SIGCONT)
    return len(pids)


def frozen(pid: int) -> bool:
    """Say whether the first process of a pod stands still."""
    return state(pid) in {"T", "t"}


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
