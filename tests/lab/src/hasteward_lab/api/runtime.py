"""What the API asks of the kubelet."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from hasteward_lab.kubelet.logclock import LogClock


class ContainerNotRunningError(Exception):
    """There is no running container to enter."""


class CommandNotFoundError(Exception):
    """The container has no such program."""


class Runtime(Protocol):
    """The kubelet, as far as exec and logs are concerned."""

    def spawn(
        self, namespace: str, pod: str, argv: list[str], *, stdin: bool, tty: bool, container: str = ""
    ) -> subprocess.Popen[bytes]:
        """Start a command in a pod with pipes for its streams."""

    async def dial(self, namespace: str, pod: str, port: int) -> socket.socket:
        """Connect to a port of a pod from inside its own network; OSError when nobody answers there."""

    def log_file(self, namespace: str, pod: str, *, previous: bool, container: str = "") -> Path | None:
        """The container's output so far; None when it never ran. No name means the first container."""

    def writes(self, namespace: str, pod: str, log: Path) -> bool:
        """Say whether the container that writes this log still runs."""

    def log_clock(self, namespace: str, pod: str, log: Path) -> LogClock:
        """When which part of a log was written."""

    def adopt(self, process: subprocess.Popen[bytes], held: list[IO[bytes]]) -> None:
        """Take over a process whose client left: its pipes stay open and unread till it ends."""
