"""`pods/exec` over WebSocket: negotiation and answers before the stream begins."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from hasteward_lab.api import exec_spdy
from hasteward_lab.api.errors import ApiError
from hasteward_lab.api.messages import ERROR, STDOUT
from hasteward_lab.api.resources import PODS
from hasteward_lab.api.runtime import CommandNotFoundError, ContainerNotRunningError
from hasteward_lab.api.stream import Codec, Session
from hasteward_lab.api.tunnel import plain
from hasteward_lab.faults import STREAM_KINDS, Fault

if TYPE_CHECKING:
    from hasteward_lab.api.context import ApiContext
    from hasteward_lab.api.requests import Target
    from hasteward_lab.api.store import Object
    from hasteward_lab.api.tunnel import Tunnel
    from hasteward_lab.faults import Call

# What a real server takes, in its order of preference whatever the client's order is.
PROTOCOLS = (
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "base64.channel.k8s.io",
)
_SIGNALLED = 128
_UNASKED = "v4.channel.k8s.io"


def negotiate(offered: list[str]) -> str | None:
    """The protocol to speak; None when none offered is known.

    A client that offers nothing is told one it did not ask for, as the real server does.
    """
    if not offered:
        return _UNASKED
    return next((name for name in PROTOCOLS if name in offered), None)


def container_of(pod: Object, asked: str, *more: str) -> str:
    """The container that is meant; 400 when the pod has none of that name, in these lists too."""
    names = [row["name"] for kind in ("containers", *more) for row in pod["spec"].get(kind) or []]
    if asked and asked not in names:
        raise ApiError(400, f"container {asked} is not valid for pod {pod['metadata']['name']}")
    return str(asked or names[0])


def _yes(request: web.Request, name: str) -> bool:
    return request.query.get(name) in {"1", "true"}


async def serve(request: web.Request, target: Target, context: ApiContext, call: Call) -> web.StreamResponse:
    """Answer an exec request; the response is over when the stream is."""
    pod = context.store.get(PODS, target.namespace, target.name)
    container = container_of(pod, request.query.get("container", ""))
    argv = request.query.getall("command", [])
    if not argv:
        raise ApiError(400, "you must specify at least 1 command for the container")
    if request.headers.get("Upgrade", "").lower() == exec_spdy.UPGRADE:
        return await _spdy(request, target, context, container)
    if request.headers.get("Upgrade", "").lower() != "websocket":
        raise ApiError(400, "unable to upgrade: missing upgrade headers in request")
    return await _websocket(request, target, context, call, container)


async def _websocket(
    request: web.Request, target: Target, context: ApiContext, call: Call, container: str
) -> web.StreamResponse:
    """As kubectl and the official clients do."""
    argv = request.query.getall("command")
    header = request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "")
    offered = [part.strip() for part in header.split(",") if part.strip()]
    protocol = negotiate(offered)
    if protocol is None:
        return web.Response(status=403)
    failure, process = "", None
    fault = context.faults.take(call, *STREAM_KINDS)
    if fault and fault.kind == "exit":
        argv = _instead(argv, fault)
    try:
        process = context.runtime.spawn(
            target.namespace,
            target.name,
            argv,
            stdin=_yes(request, "stdin"),
            tty=_yes(request, "tty"),
            container=container,
        )
    except ContainerNotRunningError:
        failure = f'unable to upgrade connection: container not found ("{container}")'
        if not protocol.startswith("v5"):
            return web.Response(status=500, text=f'container not found ("{container}")')
    except CommandNotFoundError as error:
        failure = _not_started(str(error))
    socket = web.WebSocketResponse(
        protocols=(protocol,), compress=False, max_msg_size=0, timeout=2.0, autoping=True
    )
    socket.headers[hdrs.SEC_WEBSOCKET_PROTOCOL] = protocol
    await socket.prepare(request)
    codec = Codec(protocol)
    if process is None:
        await codec.send(socket, STDOUT, b"")
        if codec.has_status:
            await codec.send(socket, ERROR, json.dumps(_internal(failure)).encode())
        await socket.close(code=1000)
        return socket
    await Session(request, socket, codec, process, runtime=context.runtime, fault=fault).run()
    return socket


def _instead(argv: list[str], fault: Fault) -> list[str]:
    """The same command with another program at its end, that writes a little and ends with the code."""
    starts = (index for index in range(len(argv)) if " ".join(argv[index:]).startswith(fault.command))
    end = f"exit {fault.code}" if fault.code <= _SIGNALLED else f"kill -{fault.code - _SIGNALLED} $$"
    script = f"echo the program says why >&2; head -c {fault.after} /dev/zero; {end}"
    return [*argv[: next(starts, len(argv))], "sh", "-c", script]


async def _spdy(
    request: web.Request, target: Target, context: ApiContext, container: str
) -> web.StreamResponse:
    """As kubectl did before WebSockets."""
    offered = request.headers.getall("X-Stream-Protocol-Version", [])
    if exec_spdy.PROTOCOL not in [part.strip() for row in offered for part in row.split(",")]:
        return web.Response(status=403)
    argv, tty, failure = request.query.getall("command"), _yes(request, "tty"), ""
    process = None
    try:
        process = context.runtime.spawn(
            target.namespace,
            target.name,
            argv,
            stdin=_yes(request, "stdin"),
            tty=tty,
            container=container,
        )
    except ContainerNotRunningError:
        raise ApiError(
            500,
            f'unable to upgrade connection: container not found ("{container}")',
            details={},
        ) from None
    except CommandNotFoundError as error:
        failure = _not_started(str(error))
    wanted = {name for name in ("stdin", "stdout", "stderr") if _yes(request, name)}

    async def carry(tunnel: Tunnel) -> None:
        session = exec_spdy.Session(tunnel, wanted)
        if process is None:
            await session.refuse(_internal(failure))
        else:
            await session.run(process, context.runtime)

    return await plain(request, exec_spdy.PROTOCOL, carry)


def _not_started(program: str) -> str:
    steps = (
        "error executing command in container",
        "failed to exec in container",
        f'failed to start exec "{secrets.token_hex(32)}"',
        "OCI runtime exec failed",
        "exec failed",
        "unable to start container process",
        f'exec: "{program}"',
        "executable file not found in $PATH",
    )
    return ": ".join(steps)


def _internal(message: str) -> Object:
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"Internal error occurred: {message}",
        "reason": "InternalError",
        "details": {"causes": [{"message": message}]},
        "code": 500,
    }
