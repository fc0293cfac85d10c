"""Moments of a run that can be waited for: something is held there until it is let go."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from hasteward_lab.state import LabError

_PATIENCE = 30.0


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"it never came to this: {what}"
        time.sleep(0.02)


class Gate(Protocol):
    """Closed when it is made; `reached` waits until the run stands before it."""

    def reached(self) -> None: ...

    def release(self) -> None: ...


class StoreGate:
    """A request of restic's that is not answered."""

    def __init__(self, backend: Any, *steps: tuple[str, str, int]) -> None:
        self._backend = backend
        self._accident = backend.strike(*steps)

    def reached(self) -> None:
        assert self._accident.reached.wait(_PATIENCE), "restic never asked for it"

    def release(self) -> None:
        self._backend.calm()


class StreamGate:
    """An exec that stands still after some bytes."""

    def __init__(self, lab: Any, **fault: Any) -> None:
        self._lab = lab
        lab.add_fault("stall", **fault)

    def reached(self) -> None:
        wait_for(lambda: any(row["met"] for row in self._lab.faults()), "the stream that stalls")
        time.sleep(0.3)

    def release(self) -> None:
        self._lab.clear_faults()


class LockGate:
    """A table that the dump has to wait for."""

    LOCK = "BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(50);"
    WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(50);'"

    def __init__(self, lab: Any) -> None:
        self._lab = lab
        self._pod = lab.primary
        self._thread = threading.Thread(target=self._hold, daemon=True)
        self._thread.start()
        held = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation IS NOT NULL"
        wait_for(lambda: lab.psql(self._pod, held) != "0", "the lock on the table")

    def _hold(self) -> None:
        with contextlib.suppress(LabError):
            self._lab.psql(self._pod, self.LOCK, "app")

    def reached(self) -> None:
        wait_for(lambda: self._lab.psql(self._pod, self.WAITING) != "0", "a dump that waits for the lock")

    def release(self) -> None:
        # a pod that was deleted took the lock with it
        with contextlib.suppress(LabError):
            self._lab.psql(self._pod, self.END)
        self._thread.join(_PATIENCE)


class Door:
    """A way to the API that can be shut: every connection through it ends, and nobody gets in."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: list[socket.socket] = []
        self._open = True
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while self._open:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            self._pairs += [client, server]
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def shut(self) -> None:
        self._open = False
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._pairs:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def processes(needle: str) -> dict[int, list[str]]:
    """The restics of the repository whose URL this is, and their helpers: pid and words."""
    found: dict[int, list[str]] = {}
    parents: dict[int, tuple[int, list[str]]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            environment = (entry / "environ").read_bytes()
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] == "Z":
            continue
        if f"RESTIC_REPOSITORY={needle}".encode() in environment and words[0].endswith("restic"):
            found[int(entry.name)] = words
        parents[int(entry.name)] = (int(fields[1]), words)
    return found | {
        pid: words for pid, (parent, words) in parents.items() if parent in found and pid not in found
    }
