"""`pods/log`: what a container wrote, from a file the kubelet keeps."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web

from hasteward_lab.api.context import ApiContext
from hasteward_lab.api.errors import ApiError
from hasteward_lab.api.requests import Target
from hasteward_lab.api.resources import PODS

_POLL = 0.2
_CHUNK = 1 << 16


def _yes(request: web.Request, name: str) -> bool:
    return request.query.get(name) in {"1", "true"}


async def serve(request: web.Request, target: Target, context: ApiContext) -> web.StreamResponse:
    """Send the log, and with `follow` what comes after till the client leaves or the pod is gone."""
    context.store.get(PODS, target.namespace, target.name)
    previous = _yes(request, "previous")
    path = context.runtime.log_file(target.namespace, target.name, previous=previous)
    if path is None:
        what = "previous terminated container" if previous else "container"
        raise ApiError(400, f'{what} "postgres" in pod "{target.name}" not found')
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    position = await _send(response, path, _start(path, request.query.get("tailLines")))
    following = _yes(request, "follow")
    while following:
        # Asked first: what is written until the end still has to be sent after it.
        following = context.runtime.writes(target.namespace, target.name, path)
        await asyncio.sleep(_POLL if following else 0)
        try:
            position = await _send(response, path, position)
        except ConnectionError:
            break
    return response


def _start(path: Path, tail: str | None) -> int:
    if tail is None:
        return 0
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    return len(data) - sum(map(len, lines[max(0, len(lines) - int(tail)) :]))


async def _send(response: web.StreamResponse, path: Path, position: int) -> int:
    try:
        with path.open("rb") as stream:
            stream.seek(position)
            while chunk := stream.read(_CHUNK):
                await response.write(chunk)
                position += len(chunk)
    except FileNotFoundError:
        return position
    return position
