"""Many streams over one connection that was upgraded: SPDY by itself, or inside a WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from aiohttp import WSMsgType, web

from hasteward_lab.api.wire import spdy

if TYPE_CHECKING:
    from hasteward_lab.api.context import AuditRecord

_READ = 64 << 10
_QUEUED = 16
# A client needs a moment to take in the last frames before the connection goes.
_FAREWELL = 2.0


class Wire(Protocol):
    """What carries the frames."""

    async def read(self) -> bytes:
        """Some bytes; none at the end."""

    async def write(self, data: bytes) -> None:
        """Send bytes; ConnectionError when nobody is there any more."""


class _Socket:
    """Frames in the messages of a WebSocket."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket

    async def read(self) -> bytes:
        while True:
            message = await self._socket.receive()
            if message.type != WSMsgType.BINARY:
                return b""
            # kubectl sends empty messages too, where a frame has no content.
            if message.data:
                return bytes(message.data)

    async def write(self, data: bytes) -> None:
        await self._socket.send_bytes(data)


class _Plain:
    """Frames on the bare connection, taken over from the HTTP server."""

    def __init__(self, request: web.Request) -> None:
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client is gone")
        loop = asyncio.get_running_loop()
        self._reader = asyncio.StreamReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(self._reader, loop=loop)
        self._transport, self._server = transport, request.protocol
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        self._writer = asyncio.StreamWriter(transport, protocol, self._reader, loop)

    async def read(self) -> bytes:
        return await self._reader.read(_READ)

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def give_back(self) -> None:
        """Let the HTTP server bury the connection, as its own."""
        self._transport.set_protocol(self._server)
        self._server.force_close()
        self._transport.close()


class Stream:
    """One stream that the client opened."""

    def __init__(self, tunnel: Tunnel, number: int, headers: dict[str, str]) -> None:
        self.number = number
        self.headers = headers
        self._tunnel = tunnel
        self._arrived: asyncio.Queue[bytes] = asyncio.Queue(_QUEUED)
        self._closed = False

    @property
    def kind(self) -> str:
        """What the client calls it: stdin, stdout, stderr, error, data."""
        return self.headers.get("streamtype", "")

    async def read(self) -> bytes:
        """Some bytes; none at the end."""
        if self._arrived.empty() and self._tunnel.gone.is_set():
            return b""
        return await self._arrived.get()

    async def put(self, data: bytes) -> None:
        """Take what has arrived; nothing means the end."""
        await self._arrived.put(data)

    async def write(self, data: bytes) -> None:
        """Send bytes."""
        for start in range(0, len(data), _READ):
            await self._tunnel.send(spdy.data(self.number, data[start : start + _READ]))

    async def close(self) -> None:
        """Say that nothing more comes."""
        if not self._closed:
            self._closed = True
            await self._tunnel.send(spdy.data(self.number, b"", last=True))


class Tunnel:
    """The server's side: streams are opened by the client alone."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._codec = spdy.Codec()
        self._streams: dict[int, Stream] = {}
        # The streams as the client opens them; None when it is gone.
        self.opened: asyncio.Queue[Stream | None] = asyncio.Queue()
        self.gone = asyncio.Event()

    async def send(self, data: bytes) -> None:
        """Send a frame; lost when the client is gone."""
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self._wire.write(data)

    async def follow(self) -> None:
        """Read frames till the client leaves."""
        try:
            while data := await self._wire.read():
                for frame in self._codec.feed(data):
                    await self._take(frame)
        except ConnectionError:
            return
        finally:
            self.gone.set()
            self.opened.put_nowait(None)
            for stream in self._streams.values():
                with contextlib.suppress(asyncio.QueueFull):
                    stream._arrived.put_nowait(b"")

    async def _take(self, frame: spdy.Frame) -> None:
        stream = self._streams.get(frame.stream)
        if frame.kind == spdy.SYN_STREAM:
            stream = self._streams[frame.stream] = Stream(self, frame.stream, frame.headers)
            await self.send(self._codec.reply(frame.stream))
            self.opened.put_nowait(stream)
        elif frame.kind == spdy.DATA and stream and frame.data:
            await stream.put(frame.data)
        elif frame.kind == spdy.PING:
            await self.send(spdy.control(spdy.PING, frame.data))
        ends = frame.kind == spdy.RST_STREAM or (
            frame.flags & spdy.FIN and frame.kind in {spdy.DATA, spdy.SYN_STREAM}
        )
        if ends and stream:
            await stream.put(b"")
            if frame.kind == spdy.RST_STREAM:
                self._streams.pop(frame.stream, None)


Serve = Callable[[Tunnel], Awaitable[None]]


async def plain(request: web.Request, protocol: str, serve: Serve) -> web.Response:
    """Answer an upgrade to SPDY, and serve it to its end."""
    wire = _Plain(request)
    audit: AuditRecord = request["audit"]
    audit.code = 101
    head = (
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
        f"X-Stream-Protocol-Version: {protocol}\r\n\r\n"
    )
    try:
        await wire.write(head.encode())
        await _run(Tunnel(wire), serve)
    finally:
        wire.give_back()
    return web.Response()


async def inside_websocket(request: web.Request, protocol: str, serve: Serve) -> web.StreamResponse:
    """As `plain`, with the frames in a WebSocket's messages."""
    socket = web.WebSocketResponse(protocols=(protocol,), compress=False, max_msg_size=0, timeout=_FAREWELL)
    await socket.prepare(request)
    await _run(Tunnel(_Socket(socket)), serve)
    await socket.close()
    return socket


async def _run(tunnel: Tunnel, serve: Serve) -> None:
    following = asyncio.get_running_loop().create_task(tunnel.follow())
    try:
        await serve(tunnel)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(tunnel.gone.wait(), _FAREWELL)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
