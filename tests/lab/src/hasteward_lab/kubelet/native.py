"""Containers whose program is the lab's own: they run in this process, on a pod's volumes, in its network.

The kubelet makes them of a pod's init containers and of all its containers but the first, when it knows the
program of their image. They are small servers and preparations; nobody can enter them.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hasteward_lab.api.store import now
from hasteward_lab.kubelet.network import GATEWAY, enter
from hasteward_lab.kubelet.status import ContainerState

Object = dict[str, Any]
T = TypeVar("T")

_THREADS = ThreadPoolExecutor(max_workers=12, thread_name_prefix="native")
_RETRY = 0.5
_PATIENCE = 1.0


@dataclass(frozen=True)
class Place:
    """Where a program runs: its pod, its volumes by path in the pod, its network and its log."""

    pod: Object
    address: str
    network: str
    mounts: dict[str, Path]
    env: dict[str, str]
    log: Path
    args: tuple[str, ...] = ()

    @property
    def program(self) -> str:
        """The first of its arguments: what of its image is to run."""
        return self.args[0] if self.args else ""

    @property
    def name(self) -> str:
        """The pod's name."""
        return str(self.pod["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """The pod's namespace."""
        return str(self.pod["metadata"]["namespace"])

    def say(self, text: str) -> None:
        """Write a line to the container's log."""
        with self.log.open("a", encoding="utf-8") as stream:
            stream.write(f"{now()} {text}\n")

    async def listen(self, port: int) -> socket.socket:
        """A socket that listens on all addresses of the pod."""

        def bind() -> socket.socket:
            return socket.create_server(("0.0.0.0", port), reuse_port=True)

        return await self.inside(bind)

    async def reaches_api(self) -> bool:
        """Say whether the pod has a way to the API: a program here reads the store, a real one could not."""

        def connect() -> None:
            socket.create_connection((GATEWAY, 443), timeout=_PATIENCE).close()

        try:
            await self.inside(connect)
        except OSError:
            return False
        return True

    async def inside(self, work: Callable[[], T]) -> T:
        """Do something that opens sockets, from inside the pod's network; OSError when that is gone."""

        def there() -> T:
            enter(self.network)
            return work()

        return await asyncio.get_running_loop().run_in_executor(_THREADS, there)


Program = Callable[[Place], Awaitable[None]]


class Native:
    """One such container of one pod."""

    def __init__(self, row: Object, program: Program, place: Place) -> None:
        self.state = ContainerState(row["name"], row["image"])
        self.log = place.log
        self._program = program
        self._place = place

    async def prepare(self, told: Callable[[], None]) -> None:
        """Run it to its end as an init container; what fails is tried again."""
        while True:
            self.state.started()
            told()
            try:
                await self._program(self._place)
            except (OSError, ValueError, RuntimeError) as error:
                self._failed(error)
                told()
                await asyncio.sleep(_RETRY)
                continue
            self.state.ended(0)
            self.state.ready = True
            told()
            return

    async def serve(self, told: Callable[[], None]) -> None:
        """Run it beside the others till it is cancelled."""
        while True:
            self.state.started()
            self.state.ready = True
            told()
            try:
                await self._program(self._place)
            except (OSError, ValueError, RuntimeError) as error:
                self._failed(error)
                told()
            await asyncio.sleep(_RETRY)

    def _failed(self, error: Exception) -> None:
        self._place.say(f"error: {error}")
        self.state.ended(1)
        self.state.restarts += 1
