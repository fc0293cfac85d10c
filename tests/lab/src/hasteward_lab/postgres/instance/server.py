"""The PostgreSQL server as a child of the instance manager."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

from . import logs, wire
from .settings import SOCKETS, Settings

_lock = threading.Lock()
_own: set[int] = set()


def spawn(argv: list[str], *, merged: bool = True) -> subprocess.Popen[bytes]:
    """Start a program whose end this process waits for itself."""
    with _lock:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merged else subprocess.DEVNULL,
            start_new_session=True,
        )
        _own.add(process.pid)
    return process


def run(argv: list[str], logger: str) -> int:
    """Run a program to its end; its lines go to the log."""
    process = spawn(argv)
    assert process.stdout is not None
    logs.follow_raw(process.stdout, logger).join()
    code = process.wait()
    _own.discard(process.pid)
    return code


def bury_orphans() -> None:
    """Be PID 1: reap what was left by processes that ended before their children."""
    me = os.getpid()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            fields = (folder / "stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
            pid = int(folder.name)
            if fields[0] == "Z" and int(fields[1]) == me:
                with _lock:
                    if pid not in _own:
                        os.waitpid(pid, os.WNOHANG)


class Server:
    """Started, stopped, asked. Only one thread starts and stops it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self.stopping = False

    @property
    def running(self) -> bool:
        """Say whether the server's first process is there."""
        return self._process is not None and self._process.poll() is None

    def ended_code(self) -> int | None:
        """The code of a server that ended without being asked to; None while all is well."""
        if self._process is None or self.stopping:
            return None
        return self._process.poll()

    def forget_stale_files(self) -> None:
        """In a fresh container no server can be running: what says so was left by a killed one."""
        with contextlib.suppress(OSError):
            (self._settings.pgdata / "postmaster.pid").unlink()
        for path in SOCKETS.glob(".s.PGSQL.*"):
            path.unlink(missing_ok=True)

    def start(self) -> None:
        """Start it and return at once."""
        self.forget_stale_files()
        self.stopping = False
        self._process = spawn(["postgres", "-D", str(self._settings.pgdata)])
        assert self._process.stdout is not None
        logs.follow_raw(self._process.stdout, "postgres", source="/controller/log/postgres")
        logs.info("postmaster started", postMasterPID=self._process.pid)

    def wait_accepting(self, seconds: float) -> bool:
        """Wait till it answers; False when it ended or took too long."""
        deadline = time.monotonic() + seconds
        while self.running and time.monotonic() < deadline:
            if wire.ping() == "accepting":
                return True
            time.sleep(0.05)
        return False

    def reload(self) -> None:
        """Let it read its configuration again."""
        if self._process and self.running:
            self._process.send_signal(signal.SIGHUP)

    def stop(self, stages: tuple[tuple[signal.Signals, float], ...]) -> None:
        """Ask it to stop, each time more firmly, waiting so many seconds in between."""
        process = self._process
        if process is None:
            return
        self.stopping = True
        for number, seconds in stages:
            if process.poll() is not None:
                break
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(seconds, 0.2))
        if process.poll() is None:
            process.kill()
            process.wait()
        logs.info("postmaster exited", postMasterPID=process.pid, code=process.returncode)
        self._process = None

    def sql(self, statement: str, timeout: float = 5.0) -> list[wire.Row]:
        """Run SQL in a session of its own."""
        with wire.Connection(timeout=timeout) as connection:
            return connection.query(statement)

    def checkpoint(self) -> None:
        """Make the shutdown that follows short; it is no harm if that fails."""
        with contextlib.suppress(OSError, wire.ServerError):
            self.sql("CHECKPOINT", timeout=60.0)


def smart(smart_seconds: float, fast_seconds: float) -> tuple[tuple[signal.Signals, float], ...]:
    """Wait for clients first, then cut them off, then do without a checkpoint."""
    return ((signal.SIGTERM, smart_seconds), *fast(fast_seconds))


def fast(seconds: float) -> tuple[tuple[signal.Signals, float], ...]:
    """Cut clients off, then do without a checkpoint."""
    return ((signal.SIGINT, seconds), (signal.SIGQUIT, 10.0))
