"""The lab's own endpoints, below `/lab/`: faults, audit, and hands on the kubelet. Not Kubernetes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

from aiohttp import web

from hasteward_lab.api.context import ApiContext
from hasteward_lab.api.errors import ApiError
from hasteward_lab.faults import Fault

Json = dict[str, Any]


class Hands(Protocol):
    """What a test may do to the pods behind the API's back."""

    async def stop(self, namespace: str, pod: str, *, gentle: bool = False) -> None:
        """Hold the container down, after a polite end or none."""

    async def start(self, namespace: str, pod: str) -> None:
        """Let the container start again."""

    async def kill(self, namespace: str, pod: str) -> None:
        """Kill -9 the container."""

    def processes(self, namespace: str, pod: str) -> list[str]:
        """The command lines of all processes in the pod."""

    def fill(self, namespace: str, pod: str, leave: int) -> int:
        """Fill the volume up to `leave` bytes; negative empties it again."""


def authorize(request: web.Request, context: ApiContext) -> None:
    """Let only the lab's own token in."""
    if request.headers.get("Authorization") != f"Bearer {context.lab_token}":
        raise ApiError(401, "Unauthorized")


async def serve(request: web.Request, context: ApiContext, hands: Hands) -> web.Response:
    """Answer one of the lab's own calls."""
    authorize(request, context)
    action = request.path.removeprefix("/lab/").strip("/")
    body: Json = await request.json() if request.can_read_body else {}
    if action == "faults":
        return web.json_response(_faults(request.method, body, context))
    if action == "audit":
        records = [record.to_json() for record in context.audit]
        if request.method == "DELETE":
            context.audit.clear()
        return web.json_response(records)
    if action == "objects":
        return web.json_response([item for _, item in context.store.everything()])
    if action == "compact":
        context.store.compact()
        return web.json_response({})
    if action in context.extra:
        return web.json_response(await context.extra[action](body))
    return web.json_response(await _pod(action, body, hands))


def _faults(method: str, body: Json, context: ApiContext) -> Any:
    if method == "DELETE":
        context.faults.clear()
    elif method == "POST":
        try:
            context.faults.add(Fault.from_json(body))
        except (ValueError, TypeError) as error:
            raise ApiError(400, str(error)) from None
    return context.faults.listing()


async def _pod(action: str, body: Json, hands: Hands) -> Any:
    moves: dict[str, Callable[[str, str], Awaitable[None]]] = {
        "stop": partial(hands.stop, gentle=bool(body.get("gentle"))),
        "start": hands.start,
        "kill": hands.kill,
    }
    namespace, pod = body.get("namespace", ""), body.get("pod", "")
    if action in moves:
        await moves[action](namespace, pod)
        return {}
    if action == "processes":
        return hands.processes(namespace, pod)
    if action == "fill":
        return {"free": hands.fill(namespace, pod, int(body.get("leave", 0)))}
    raise ApiError(404, "no such endpoint")
