"""One exec stream: frames on one side, the pipes of a real process on the other."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import fcntl
import json
import os
import select
import socket as sockets
import struct
import termios
from typing import IO, TYPE_CHECKING

from aiohttp import WSMsgType, web

from hasteward_lab.api.accident import accident, on_the_wire, stdin_damage
from hasteward_lab.api.messages import (
    CLOSE,
    ERROR,
    MAX_FRAME,
    PAYLOAD,
    STDERR,
    STDIN,
    STDOUT,
    exit_status,
    frames,
)
from hasteward_lab.damage import NORMAL_CLOSE, SUCCESS, Frame
from hasteward_lab.waiting import ended, ready

if TYPE_CHECKING:
    import subprocess

    from hasteward_lab.api.runtime import Runtime
    from hasteward_lab.faults import Fault

_READ = 256 << 10
_GONE_POLL = 0.2


class Codec:
    """How channels and bytes are written in one of the subprotocols."""

    def __init__(self, protocol: str) -> None:
        self.base64 = "base64" in protocol
        self.has_status = protocol.startswith(("v4", "v5"))
        self.has_close = protocol.startswith("v5")

    async def send(self, socket: web.WebSocketResponse, channel: int, data: bytes) -> None:
        """Send one message."""
        if self.base64:
            await socket.send_str(str(channel) + base64.b64encode(data).decode())
        else:
            await socket.send_bytes(bytes((channel,)) + data)

    def decode(self, data: bytes | str) -> tuple[int, bytes]:
        """Take a client's message apart; an undecodable one has channel -1."""
        if not data:
            return -1, b""
        if isinstance(data, str) and not self.base64:
            # The official Python client sends text; a real server takes its bytes.
            data = data.encode()
        if isinstance(data, bytes):
            return data[0], data[1:]
        try:
            return int(data[0]), base64.b64decode(data[1:])
        except (ValueError, binascii.Error):
            return -1, b""


class Session:
    """Carries one exec from its first frame to its status."""

    def __init__(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        codec: Codec,
        process: subprocess.Popen[bytes],
        *,
        runtime: Runtime,
        fault: Fault | None,
    ) -> None:
        self._request = request
        self._socket = socket
        self._codec = codec
        self._process = process
        self._runtime = runtime
        self._fault = fault
        self._moved = {"stdin": 0, "stdout": 0}
        self._gone = asyncio.Event()
        # The runtime died in mid-stream: what the client is told next is no proof of anything.
        self._early = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def run(self) -> None:
        """Carry the stream until the process is done or the client is gone."""
        await self._codec.send(self._socket, STDOUT, b"")
        process = self._process
        receiving = self._loop.create_task(self._receive())
        watching = self._loop.create_task(self._watch_client())
        work = self._loop.create_task(self._output())
        leaving = [self._loop.create_task(event.wait()) for event in (self._gone, self._early)]
        await asyncio.wait({work, *leaving}, return_when=asyncio.FIRST_COMPLETED)
        for task in (*leaving, watching):
            task.cancel()
        ended_well = work.done() and work.exception() is None
        if not self._gone.is_set() and (ended_well or self._early.is_set()):
            # aiohttp's close would not wait for the client's answer while somebody else receives.
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)
            with contextlib.suppress(ConnectionError, TimeoutError):
                await self._finish(ended_well and not self._early.is_set())
        work.cancel()
        await asyncio.gather(work, *leaving, watching, return_exceptions=True)
        # What arrived before the client left still goes in; then comes a clean end of file.
        await asyncio.gather(receiving, return_exceptions=True)
        pipes = [process.stdout, process.stderr]
        if self._early.is_set() or (self._fault and self._fault.kind == "orphan" and self._gone.is_set()):
            # Kubelet or runtime are gone: nobody closes the input, so the process waits on it for ever.
            pipes.append(process.stdin)
        else:
            _close(process.stdin)
        held = [pipe for pipe in pipes if pipe]
        self._runtime.adopt(process, held)

    async def _output(self) -> bool:
        """Carry stdout and stderr to their end; True when the process is done too."""
        fault = self._fault
        if fault and fault.kind == "frames" and fault.stream != "stdin":
            for frame in await accident(self._process, fault):
                await self._tell(frame)
            await self._gone.wait()
            return False
        pumps = [self._loop.create_task(self._pump(pipe, channel)) for pipe, channel in self._outputs()]
        try:
            await asyncio.gather(*pumps)
        except _EarlyEnd:
            return False
        finally:
            for pump in pumps:
                pump.cancel()
        await ended(self._process)
        return True

    async def _tell(self, frame: Frame) -> None:
        """Do with one frame what it says."""
        transport = self._request.transport
        if transport is None or frame.act == "stall":
            await self._gone.wait()
        elif frame.act == "abort":
            await self._reset()
        elif frame.act == "cut":
            transport.close()
            self._gone.set()
        else:
            wire = on_the_wire(frame)
            transport.write(wire[: len(wire) // 2] if frame.act == "half" else wire)

    def _outputs(self) -> list[tuple[IO[bytes], int]]:
        pairs = ((self._process.stdout, STDOUT), (self._process.stderr, STDERR))
        return [(pipe, channel) for pipe, channel in pairs if pipe]

    async def _finish(self, complete: bool) -> None:
        """Tell how it ended, and close."""
        kind = self._fault.kind if self._fault else ""
        if self._codec.has_status and not (complete and kind == "no-status"):
            lie = not complete or (kind == "exit" and self._fault and self._fault.damage == "false")
            status = exit_status(0 if lie else self._process.returncode)
            await self._codec.send(self._socket, ERROR, json.dumps(status).encode())
        elif self._fault:
            await asyncio.sleep(self._fault.seconds)
        await self._socket.close(code=1000)

    async def _pump(self, pipe: IO[bytes], channel: int) -> None:
        descriptor = pipe.fileno()
        os.set_blocking(descriptor, False)
        while True:
            try:
                data = os.read(descriptor, _READ)
            except BlockingIOError:
                await ready(descriptor, write=False)
                continue
            if not data:
                return
            if channel == STDOUT:
                data = await self._strike("stdout", data)
            await self._send(channel, data)
            if channel == STDOUT:
                await self._struck("stdout")

    async def _send(self, channel: int, data: bytes) -> None:
        if self._codec.base64:
            for start in range(0, len(data), PAYLOAD):
                await self._codec.send(self._socket, channel, data[start : start + PAYLOAD])
            return
        transport = self._request.transport
        if transport is None or transport.is_closing():
            self._gone.set()
            await asyncio.Event().wait()
            return
        # Frames go straight to the transport: one write for many of them is what makes it fast.
        transport.write(frames(channel, data))
        if self._request.protocol.writing_paused:
            try:
                await self._request.protocol._drain_helper()
            except ConnectionError:
                self._gone.set()
        else:
            await asyncio.sleep(0)

    async def _receive(self) -> None:
        """Carry stdin, and notice when the client leaves."""
        while True:
            message = await self._socket.receive()
            if message.type not in {WSMsgType.BINARY, WSMsgType.TEXT}:
                self._gone.set()
                return
            if len(message.data) > MAX_FRAME:
                await self._too_big()
                return
            channel, data = self._codec.decode(message.data)
            if channel == STDIN and data:
                data = await self._strike("stdin", data)
                await self._feed(data)
                await self._struck("stdin")
            elif channel == CLOSE and self._codec.has_close and data[:1] == b"\x00":
                _close(self._process.stdin)

    async def _too_big(self) -> None:
        self._gone.set()
        if self._codec.has_close:
            await self._socket.close(code=1000)
        elif self._request.transport:
            self._request.transport.abort()

    async def _feed(self, data: bytes) -> None:
        pipe = self._process.stdin
        if pipe is None or pipe.closed:
            return
        descriptor = pipe.fileno()
        os.set_blocking(descriptor, False)
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(descriptor, view) :]
            except BlockingIOError:
                await ready(descriptor, write=True)
            except BrokenPipeError:
                return

    async def _watch_client(self) -> None:
        """Notice a client that left even while nothing is read from it."""
        transport = self._request.transport
        socket = transport.get_extra_info("socket") if transport else None
        if socket is None:
            self._gone.set()
            return
        poll = select.poll()
        poll.register(socket.fileno(), select.POLLRDHUP)
        while not poll.poll(0) and socket.fileno() >= 0:  # noqa: ASYNC110 - the kernel tells it only when asked
            await asyncio.sleep(_GONE_POLL)
        self._gone.set()

    async def _strike(self, stream: str, data: bytes) -> bytes:
        """Shorten or change data where the fault says so."""
        fault = self._fault
        before = self._moved[stream]
        self._moved[stream] = before + len(data)
        if fault is None or fault.stream != stream or fault.after > before + len(data):
            return data
        keep = fault.after - before
        if fault.kind == "frames" and 0 <= keep < len(data):
            return stdin_damage(data, keep, fault.damage)
        if fault.kind == "flip" and 0 <= keep < len(data):
            return data[:keep] + bytes((data[keep] ^ 1,)) + data[keep + 1 :]
        if fault.kind in {"cut", "stall", "false-success", "orphan"}:
            return data[:keep]
        return data

    async def _struck(self, stream: str) -> None:
        """End or hold the stream when its fault is due."""
        fault = self._fault
        if fault is None or fault.stream != stream or self._moved[stream] < fault.after:
            return
        if fault.kind == "false-success" and self._codec.has_close:
            self._early.set()
            raise _EarlyEnd
        if fault.kind == "stall":
            await self._gone.wait()
            raise _EarlyEnd
        if fault.kind == "frames":
            await self._end_input(fault.damage)
        if fault.kind in {"cut", "orphan", "false-success"}:
            await self._reset()
            raise _EarlyEnd

    async def _end_input(self, damage: str) -> None:
        """An accident of the input: the connection is cut, or Success comes before its time."""
        if damage == "false":
            for frame in (Frame("status", SUCCESS), Frame("close", NORMAL_CLOSE)):
                await self._tell(frame)
        if damage in {"cut", "false"}:
            if self._request.transport:
                self._request.transport.close()
            self._gone.set()
            raise _EarlyEnd

    async def _reset(self) -> None:
        """Reset the TCP connection once what was sent has left."""
        transport = self._request.transport
        if transport is None:
            return
        socket = transport.get_extra_info("socket")
        for _ in range(500):
            unsent = struct.unpack("i", fcntl.ioctl(socket.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0]
            if not unsent and not transport.get_write_buffer_size():
                break
            await asyncio.sleep(0.01)
        socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        self._gone.set()


class _EarlyEnd(Exception):
    """The fault says: that was all."""


def _close(pipe: IO[bytes] | None) -> None:
    if pipe and not pipe.closed:
        with contextlib.suppress(OSError):
            pipe.close()
