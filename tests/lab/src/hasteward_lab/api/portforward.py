"""`pods/portforward`: each pair of streams is one connection to a port inside the pod."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from hasteward_lab.api import tunnel
from hasteward_lab.api.errors import ApiError
from hasteward_lab.api.resources import PODS
from hasteward_lab.api.runtime import ContainerNotRunningError

if TYPE_CHECKING:
    from hasteward_lab.api.context import ApiContext
    from hasteward_lab.api.requests import Target

PROTOCOL = "portforward.k8s.io"
TUNNELED = f"SPDY/3.1+{PROTOCOL}"
_READ = 64 << 10


async def serve(request: web.Request, target: Target, context: ApiContext) -> web.StreamResponse:
    """Answer a port-forward, of today's kubectl or of one from before WebSockets."""
    pod = context.store.get(PODS, target.namespace, target.name)
    if pod.get("status", {}).get("phase") != "Running":
        phase = pod.get("status", {}).get("phase", "Pending")
        raise ApiError(400, f"unable to forward port because pod is not running. Current status={phase}")

    forward = _Forwarding(target, context).run
    upgrade = request.headers.get(hdrs.UPGRADE, "").lower()
    if upgrade == "spdy/3.1":
        return await tunnel.plain(request, PROTOCOL, forward)
    offered = request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "")
    if upgrade == "websocket" and TUNNELED in [part.strip() for part in offered.split(",")]:
        return await tunnel.inside_websocket(request, TUNNELED, forward)
    raise ApiError(400, "unable to upgrade: missing upgrade headers in request")


class _Forwarding:
    """All connections of one client."""

    def __init__(self, target: Target, context: ApiContext) -> None:
        self._target = target
        self._runtime = context.runtime
        self._pairs: dict[str, dict[str, tunnel.Stream]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, each: tunnel.Tunnel) -> None:
        """Connect till the client leaves."""
        while stream := await each.opened.get():
            self._opened(stream)
        for task in self._tasks:
            task.cancel()

    def _opened(self, stream: tunnel.Stream) -> None:
        pair = self._pairs.setdefault(stream.headers.get("requestid", ""), {})
        pair[stream.kind] = stream
        if {"data", "error"} <= set(pair):
            task = asyncio.get_running_loop().create_task(self._connect(pair["data"], pair["error"]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect(self, data: tunnel.Stream, error: tunnel.Stream) -> None:
        port, target = int(data.headers.get("port", "0")), self._target
        try:
            socket = await self._runtime.dial(target.namespace, target.name, port)
        except (OSError, ContainerNotRunningError) as problem:
            told = f"failed to connect to localhost:{port} inside the pod's network: {problem}"
            await error.write(f"error forwarding port {port} to pod {target.name}: {told}".encode())
        else:
            reader, writer = await asyncio.open_connection(sock=socket)
            with contextlib.suppress(OSError):
                await _both_ways(data, reader, writer)
            writer.close()
        await data.close()
        await error.close()


async def _both_ways(data: tunnel.Stream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes till the pod's side has ended."""

    async def inwards() -> None:
        while block := await data.read():
            writer.write(block)
            await writer.drain()
        writer.write_eof()

    sending = asyncio.get_running_loop().create_task(inwards())
    try:
        while block := await reader.read(_READ):
            await data.write(block)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
