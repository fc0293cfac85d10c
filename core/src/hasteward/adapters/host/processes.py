"""Starts processes behind a prefix and keeps other runs off the place it leads to."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hasteward.adapters.host.stream import ProcessStream
from hasteward.adapters.host.words import child_environment, command_line
from hasteward.domain.errors import DependencyError, Refused
from hasteward.ports.host import HostRef


class HostProcesses:
    """Implements `hasteward.ports.host.Host`. Lock files lie in `locks` and are never removed."""

    def __init__(self, environment: Mapping[str, str], locks: Path) -> None:
        self._environment = child_environment(environment)
        self._locks = locks

    @contextlib.contextmanager
    def run(self, host: HostRef, argv: Sequence[str], *, stall_seconds: float) -> Iterator[ProcessStream]:
        """Start it in a session of its own, so that its wrapper's "whole process group" is not ours."""
        words = command_line(host.prefix, argv)
        try:
            child = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=self._environment,
                start_new_session=True,
            )
        except OSError as error:
            raise DependencyError(
                f"{words[0]} cannot be started: {error.strerror}",
                hint="look at what --via says",
                code="via.program",
            ) from error
        stream = ProcessStream(child, stall_seconds=stall_seconds)
        try:
            yield stream
        finally:
            stream.close()

    @contextlib.contextmanager
    def lock(self, host: HostRef) -> Iterator[None]:
        """Hold the lock of the place that the prefix names; the kernel gives it back when we are gone."""
        name = hashlib.sha256("\0".join(host.prefix).encode()).hexdigest()[:32]
        try:
            self._locks.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._locks / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DependencyError(
                f"no lock file can be made in {self._locks}: {error.strerror}", code="lock.unavailable"
            ) from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Refused(
                    f"another run of hasteward is at work on {host}", hint="wait for it", code="lock.held"
                ) from None
            yield
        finally:
            os.close(descriptor)
