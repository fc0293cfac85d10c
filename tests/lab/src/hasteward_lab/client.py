"""The lab's own small client: its endpoints, and an exec that needs no other library."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from hasteward_lab.state import LabError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp

    from hasteward_lab.state import StateDir

_CLOSE = 2.0


class Client:
    """Talks to one lab."""

    def __init__(self, state: StateDir) -> None:
        self._config = state.load_config()
        self._base = f"https://127.0.0.1:{self._config.port}"
        self._tls = ssl.create_default_context(cafile=str(state.ca))

    def call(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> Any:
        """One call of the API; LabError with the server's words when it refuses."""
        headers = {"Authorization": f"Bearer {token or self._config.tokens['admin']}"}
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
            headers["Content-Type"] = kind
        request = urllib.request.Request(self._base + path, data, headers, method=method)  # noqa: S310  https to our own server
        try:
            with urllib.request.urlopen(request, context=self._tls, timeout=60) as answer:  # noqa: S310  https to our own server
                return json.load(answer)
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")
            with contextlib.suppress(ValueError, KeyError, TypeError):
                said = json.loads(said)["message"]
            raise LabError(said or str(error)) from None
        except OSError as error:
            raise LabError(f"lab {self._config.name!r} does not answer: {error}") from None

    def lab(self, method: str, action: str, body: Any = None) -> Any:
        """One call of the lab's own endpoints."""
        return self.call(method, f"/lab/{action}", body, token=self._config.lab_token)

    def exec(
        self, pod: str, argv: list[str], stdin: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command in a pod over the API's exec, as any client would."""
        return asyncio.run(self._exec(pod, argv, stdin))

    @contextlib.asynccontextmanager
    async def open_exec(
        self,
        pod: str,
        argv: list[str],
        *,
        protocols: tuple[str, ...] = ("v5.channel.k8s.io",),
        stdin: bool = False,
        identity: str = "admin",
        container: str = "",
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """The bare WebSocket of an exec: messages begin with their channel's byte."""
        import aiohttp

        query = [("command", part) for part in argv] + [("stdout", "true"), ("stderr", "true")]
        query += [("stdin", "true")] if stdin else []
        query += [("container", container)] if container else []
        path = f"/api/v1/namespaces/{self._config.namespace}/pods/{pod}/exec?{urlencode(query)}"
        headers = {"Authorization": f"Bearer {self._config.tokens[identity]}"}
        sockets: list[socket.socket] = []

        def factory(address: Any) -> socket.socket:
            sockets.append(socket.socket(*address[:3]))
            return sockets[-1]

        connector = aiohttp.TCPConnector(ssl=self._tls, socket_factory=factory)
        timeout = aiohttp.ClientWSTimeout(ws_close=_CLOSE)
        try:
            async with (
                aiohttp.ClientSession(headers=headers, connector=connector) as session,
                session.ws_connect(
                    self._base + path, protocols=protocols, max_msg_size=0, timeout=timeout
                ) as stream,
            ):
                yield stream
        finally:
            await _closed(sockets)

    async def _exec(
        self, pod: str, argv: list[str], stdin: bytes | None
    ) -> subprocess.CompletedProcess[bytes]:
        import aiohttp

        parts: dict[int, list[bytes]] = {1: [], 2: [], 3: []}
        try:
            async with self.open_exec(pod, argv, stdin=stdin is not None) as stream:
                sending = asyncio.create_task(_send(stream, stdin))
                async for message in stream:
                    parts[message.data[0]].append(message.data[1:])
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
        except aiohttp.ClientError as error:
            raise LabError(f"exec in {pod}: {error}") from None
        status = json.loads(b"".join(parts[3]) or b"{}")
        return subprocess.CompletedProcess(argv, _code(status), b"".join(parts[1]), b"".join(parts[2]))


async def _closed(sockets: list[socket.socket]) -> None:
    """Wait till the loop has let go of the sockets: it may end right after this, and would complain."""
    for attempt in range(200):
        left = [each for each in sockets if each.fileno() >= 0]
        if not left:
            return
        if attempt == 100:
            for each in left:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        await asyncio.sleep(0.005)


async def _send(stream: Any, stdin: bytes | None) -> None:
    if stdin is None:
        return
    size = 128 << 10
    for start in range(0, len(stdin), size):
        await stream.send_bytes(b"\x00" + stdin[start : start + size])
    await stream.send_bytes(b"\xff\x00")


def _code(status: dict[str, Any]) -> int:
    if status.get("status") == "Success":
        return 0
    for cause in status.get("details", {}).get("causes", []):
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    raise LabError(status.get("message", "exec: the stream ended without a status"))
