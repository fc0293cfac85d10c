"""Running a program of the user's: no shell, a deadline, and nothing of it left behind."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

#: what a program may print before it is ended; enough for any password and any last words
OUTPUT_LIMIT = 64 * 1024
_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended. `status` is None when it had to be ended: `why` says for what reason."""

    status: int | None
    output: bytes = field(default=b"", repr=False)
    why: str = ""

    @property
    def ending(self) -> str:
        """For messages: ``ended with 3``, ``was ended by SIGSEGV``, ``did not end within 60 s``."""
        if self.status is None:
            return self.why
        if self.status < 0:
            with contextlib.suppress(ValueError):
                return f"was ended by {signal.Signals(-self.status).name}"
        return f"ended with {self.status}"


def run_program(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    seconds: float,
    stdin: bytes = b"",
    with_stderr: bool = False,
) -> Finished:
    """Run it to its end, at most `seconds`, with `stdin` to read. Its stderr is lost unless asked for.

    Raises OSError when it cannot be started.
    """
    given = os.memfd_create("stdin")
    try:
        os.write(given, stdin)
        os.lseek(given, 0, os.SEEK_SET)
        child = subprocess.Popen(
            list(argv),
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if with_stderr else subprocess.DEVNULL,
            env=dict(environment),
            bufsize=0,
            # a group of its own, so that what it has started ends with it
            process_group=0,
        )
    finally:
        os.close(given)
    why = "was given up"
    try:
        why, output = _listen(child, seconds)
    finally:
        if why:
            # not reaped yet, so the number of the group cannot be somebody else's
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
        status = child.wait()
        if child.stdout is not None:
            child.stdout.close()
    return Finished(None if why else status, output, why)


def _listen(child: subprocess.Popen[bytes], seconds: float) -> tuple[str, bytes]:
    """Why it must be ended, "" if it has ended by itself, and what it printed."""
    assert child.stdout is not None  # noqa: S101 (it was started with a pipe)
    pipe = child.stdout.fileno()
    os.set_blocking(pipe, False)
    ended = os.pidfd_open(child.pid)
    poller = select.poll()
    poller.register(pipe, select.POLLIN)
    poller.register(ended, select.POLLIN)
    deadline = time.monotonic() + seconds
    output = bytearray()
    try:
        while (left := deadline - time.monotonic()) > 0:
            events = dict(poller.poll(left * 1000))
            with contextlib.suppress(BlockingIOError):
                # read first: what it printed before it ended is there now
                while chunk := os.read(pipe, _CHUNK):
                    output += chunk
                    if len(output) > OUTPUT_LIMIT:
                        return f"printed more than {OUTPUT_LIMIT // 1024} KiB", b""
                if pipe in events:
                    poller.unregister(pipe)
            if ended in events:
                return "", bytes(output)
        return f"did not end within {seconds:g} s", bytes(output)
    finally:
        os.close(ended)
