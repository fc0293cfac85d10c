"""The life of one container process: started, entered, killed, awaited."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from hasteward_lab.kubelet.sandbox import Container, command, entering
from hasteward_lab.waiting import ended

if TYPE_CHECKING:
    from typing import IO


class RunningContainer:
    """A container that was started; `pid` is its first process as the supervisor sees it."""

    def __init__(
        self, container: Container, process: subprocess.Popen[bytes], pid: int, status: IO[bytes]
    ) -> None:
        self.container = container
        self.pid = pid
        self._process = process
        # bwrap writes the exit code here at the end; with nobody listening it would die of SIGPIPE.
        self._status = status

    @classmethod
    async def start(cls, container: Container, log: IO[bytes]) -> RunningContainer:
        """Start a container; its output goes to the log."""
        reading, writing = os.pipe()
        try:
            process = subprocess.Popen(  # noqa: ASYNC220 - starting it takes a millisecond
                command(container, writing),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(writing,),
                cwd="/",
            )
        finally:
            os.close(writing)
        status = os.fdopen(reading, "rb", buffering=0)
        pid = await asyncio.to_thread(_child_pid, status)
        if pid is None:
            status.close()
            process.wait()
            raise RuntimeError(f"the sandbox of {container.pod} did not start")
        running = cls(container, process, pid, status)
        await running._begun()
        return running

    async def _begun(self) -> None:
        """Wait till bwrap has become the container's program: before that its root is not there."""
        for _ in range(500):
            if _name(self.pid) != "bwrap":
                return
            await asyncio.sleep(0.01)

    async def wait(self) -> int:
        """Wait for the end; minus the signal's number when it was killed."""
        await ended(self._process)
        self._status.close()
        # bwrap tells a signal of its child as 128 + signal, as a container runtime does.
        return self._process.returncode

    def alive(self) -> bool:
        """Say whether it still runs."""
        return self._process.poll() is None

    def signal(self, number: int) -> None:
        """Send a signal to the first process."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End every process of the container at once."""
        self.signal(signal.SIGKILL)

    def spawn(self, argv: list[str], *, stdin: bool, merge: bool = False) -> subprocess.Popen[bytes]:
        """Run a command in the container with pipes for its streams."""
        return subprocess.Popen(
            entering(self.pid, argv),
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merge else subprocess.PIPE,
            env=self.container.environment(),
            cwd="/",
            bufsize=0,
        )

    async def run(self, argv: list[str], stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run a command in the container to its end."""
        process = self.spawn(argv, stdin=True)
        out, err = await asyncio.to_thread(process.communicate, stdin)
        return subprocess.CompletedProcess(argv, process.returncode, out, err)

    def processes(self) -> list[str]:
        """The command lines of all processes in the container."""
        namespace = Path(f"/proc/{self.pid}/ns/pid").stat().st_ino
        rows = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if (folder / "ns/pid").stat().st_ino == namespace:
                    line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    rows.append(line.strip())
            except OSError:
                continue
        return sorted(filter(None, rows))


def _child_pid(stream: IO[bytes]) -> int | None:
    line = stream.readline()
    return int(json.loads(line)["child-pid"]) if line else None


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
