"""`pods/log`: what a container wrote, from a file the kubelet keeps."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from typing import TYPE_CHECKING

from aiohttp import web

from hasteward_lab.api.errors import ApiError
from hasteward_lab.api.exec import container_of
from hasteward_lab.api.resources import PODS

if TYPE_CHECKING:
    from pathlib import Path

    from hasteward_lab.api.context import ApiContext
    from hasteward_lab.api.requests import Target
    from hasteward_lab.kubelet.logclock import LogClock

_POLL = 0.2
_CHUNK = 1 << 16


def _yes(request: web.Request, name: str) -> bool:
    return request.query.get(name) in {"1", "true"}


async def serve(request: web.Request, target: Target, context: ApiContext) -> web.StreamResponse:
    """Send the log, and with `follow` what comes after till the client leaves or the container ends."""
    pod = context.store.get(PODS, target.namespace, target.name)
    container = container_of(pod, request.query.get("container", ""), "initContainers")
    previous = _yes(request, "previous")
    path = context.runtime.log_file(target.namespace, target.name, previous=previous, container=container)
    if path is None:
        raise ApiError(400, _absent(pod["metadata"]["name"], container, previous=previous))
    clock = context.runtime.log_clock(target.namespace, target.name, path)
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    writer = _Writer(request, response, path, clock if _yes(request, "timestamps") else None)
    writer.position = _start(request, path, clock)
    following = _yes(request, "follow")
    try:
        await writer.send(last=not following)
        while following:
            # Asked first: what is written until the end still has to be sent after it.
            following = context.runtime.writes(target.namespace, target.name, path)
            await asyncio.sleep(_POLL if following else 0)
            await writer.send(last=not following)
    except ConnectionError:
        pass
    return response


def _absent(pod: str, container: str, *, previous: bool) -> str:
    if previous:
        return f'previous terminated container "{container}" in pod "{pod}" not found'
    return f'container "{container}" in pod "{pod}" is waiting to start: ContainerCreating'


def _start(request: web.Request, path: Path, clock: LogClock) -> int:
    """Where to begin: at a time, or so many lines before the end, whichever is later."""
    query, start = request.query, 0
    if query.get("sinceSeconds"):
        start = clock.offset(time.time() - int(query["sinceSeconds"]))
    elif query.get("sinceTime"):
        start = clock.offset(dt.datetime.fromisoformat(query["sinceTime"]).timestamp())
    tail = query.get("tailLines")
    if tail is None:
        return start
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    return max(start, len(data) - sum(map(len, lines[max(0, len(lines) - int(tail)) :])))


class _Writer:
    """Sends a file from a position on, up to a limit; with a clock each line begins with its time."""

    def __init__(
        self, request: web.Request, response: web.StreamResponse, path: Path, clock: LogClock | None
    ) -> None:
        self._response = response
        self._path = path
        self._clock = clock
        self._left = int(request.query.get("limitBytes") or 1 << 62)
        self.position = 0

    async def send(self, *, last: bool) -> None:
        """Send what is there; an unfinished line with a time only at the very end."""
        try:
            with self._path.open("rb") as stream:
                stream.seek(self.position)
                if self._clock is None:
                    while chunk := stream.read(_CHUNK):
                        await self._write(chunk)
                        self.position += len(chunk)
                    return
                for line in stream:
                    if not line.endswith(b"\n") and not last:
                        return
                    await self._write(self._stamp(self._clock) + line)
                    self.position += len(line)
        except FileNotFoundError:
            return

    def _stamp(self, clock: LogClock) -> bytes:
        written = dt.datetime.fromtimestamp(clock.written(self.position), dt.UTC)
        return written.strftime("%Y-%m-%dT%H:%M:%S.%f000Z ").encode()

    async def _write(self, data: bytes) -> None:
        data = data[: self._left]
        self._left -= len(data)
        if data:
            await self._response.write(data)
