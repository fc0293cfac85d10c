"""One local process as an exec stream: the same frames that a pod's process gives."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time

from hasteward.ports.kubernetes import Channel, ExitStatus, Output, StreamBroken, StreamStalled

_CHUNK = 256 * 1024
_STDERR_KEPT = 256 * 1024
_SIGNALLED = 128


class ProcessStream:
    """Implements `hasteward.ports.kubernetes.ExecStream`, driven from one thread."""

    def __init__(self, child: subprocess.Popen[bytes], *, stall_seconds: float) -> None:
        assert child.stdin is not None  # noqa: S101 - started with three pipes
        assert child.stdout is not None  # noqa: S101 - as above
        assert child.stderr is not None  # noqa: S101 - as above
        self._child = child
        self._stall_seconds = stall_seconds
        self._input: int | None = child.stdin.fileno()
        self._open = {child.stdout.fileno(): Channel.STDOUT, child.stderr.fileno(): Channel.STDERR}
        for descriptor in (self._input, *self._open):
            os.set_blocking(descriptor, False)
        self._buffer = bytearray(_CHUNK)
        self._stderr = bytearray()
        self._waiting: Output | None = None
        self._answered = False

    # -- what the port promises --------------------------------------------------------------------------

    def receive(self) -> Output | ExitStatus | None:
        """The next piece of output, then the exit status, then None."""
        if self._stderr:
            kept, self._stderr = self._stderr, bytearray()
            return Output(Channel.STDERR, memoryview(kept))
        if (waiting := self._waiting) is not None:
            self._waiting = None
            return waiting
        deadline = self._deadline()
        while self._open:
            for descriptor, _ in self._poll(deadline, to_write=False):
                if (output := self._read(descriptor)) is not None:
                    return output
        if self._answered:
            return None
        self._answered = True
        return self._status()

    def send(self, data: bytes | memoryview) -> bool:
        """Write all of `data`; False as soon as the process has answered or closed its input."""
        rest = memoryview(data).cast("B")
        deadline = self._deadline()
        while len(rest):
            if self._waiting is not None or self._input is None or not self._open:
                return False
            for descriptor, _ in self._poll(deadline, to_write=True):
                if descriptor != self._input:
                    self._listen(descriptor)
                    deadline = self._deadline()
                    continue
                try:
                    count = os.write(descriptor, rest[:_CHUNK])
                except BlockingIOError:
                    continue
                except BrokenPipeError:
                    return False
                rest = rest[count:]
                deadline = self._deadline()
        return True

    def finish_input(self) -> None:
        """Close its standard input."""
        if self._input is not None and self._child.stdin is not None:
            self._input = None
            with contextlib.suppress(BrokenPipeError):
                self._child.stdin.close()

    def close(self) -> None:
        """End it. Its closed input is what ends the other side of a docker or an ssh."""
        self.finish_input()
        if self._child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
        for pipe in (self._child.stdout, self._child.stderr):
            if pipe is not None:
                pipe.close()
        self._child.wait()

    # -- the work ------------------------------------------------------------------------------------------

    def _deadline(self) -> float:
        return time.monotonic() + self._stall_seconds

    def _poll(self, deadline: float, *, to_write: bool) -> list[tuple[int, int]]:
        poll = select.poll()
        for descriptor in self._open:
            poll.register(descriptor, select.POLLIN)
        if to_write and self._input is not None:
            poll.register(self._input, select.POLLOUT)
        ready = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
        if not ready:
            raise StreamStalled(f"nothing moved for {self._stall_seconds:g} s")
        return ready

    def _read(self, descriptor: int) -> Output | None:
        """What is there; None when there is nothing yet, or never will be."""
        try:
            count = os.readv(descriptor, [self._buffer])
        except BlockingIOError:
            return None
        if count == 0:
            del self._open[descriptor]
            return None
        return Output(self._open[descriptor], memoryview(self._buffer)[:count])

    def _listen(self, descriptor: int) -> None:
        """While sending: stderr is kept (its newest part), stdout is the answer."""
        output = self._read(descriptor)
        if output is None:
            return
        if output.channel is Channel.STDERR:
            self._stderr += output.data
            del self._stderr[:-_STDERR_KEPT]
        else:
            self._waiting = Output(output.channel, memoryview(bytes(output.data)))

    def _status(self) -> ExitStatus:
        try:
            code = self._child.wait(self._stall_seconds)
        except subprocess.TimeoutExpired as error:
            raise StreamBroken("the process closed its output and did not end") from error
        if code == 0:
            return ExitStatus(success=True, exit_code=0, message="")
        if code < 0:
            message = f"command was ended by signal {-code}"
            return ExitStatus(success=False, exit_code=_SIGNALLED - code, message=message)
        return ExitStatus(success=False, exit_code=code, message=f"command exited with {code}")
