"""Processes in pods: our own frame pump on the socket of a WebSocket exec.

One thread drives one stream. While `send` waits for room it also reads, so that a process that answers or
ends early is noticed; nothing is ever awaited without the stall deadline. No frame is sent without need:
older API servers reset the connection when one arrives after the status, and the reset discards output.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

from hasteward.adapters.kubernetes.frames import Data, Decoder, Opcode, Ping, ProtocolError, encode
from hasteward.adapters.kubernetes.handshake import connect
from hasteward.adapters.kubernetes.wire import Wire
from hasteward.ports.kubernetes import (
    Channel,
    ExitStatus,
    Output,
    PodRef,
    StreamBroken,
    StreamStalled,
)

_STDIN = 0
_STATUS = 3
_STDOUT = 1
_OUTPUT = {_STDOUT: Channel.STDOUT, 2: Channel.STDERR}
_CLOSE_CHANNEL = 255
_SEND_SIZE = 128 * 1024
_STATUS_LIMIT = 1024 * 1024
_STDERR_KEPT = 256 * 1024
_FAREWELL = b"\x03\xe8"  # 1000, normal closure


class PodExec:
    """Implements `hasteward.ports.kubernetes.ExecStream`.

    Only bytes of the process count as progress: a server that answers nothing but pings has stalled.
    While we send, at most the newest 256 KiB of stderr are kept.
    """

    def __init__(self, wire: Wire, *, stall_seconds: float) -> None:
        self._wire = wire
        self._stall_seconds = stall_seconds
        self._decoder = Decoder(bulk=_STDOUT)
        self._outgoing = memoryview(b"")
        self._pong: bytes | None = None
        self._stderr = bytearray()
        self._status = bytearray()
        self._waiting: Output | ExitStatus | None = None
        #: nothing more can be read, or (deaf) written
        self._lost: StreamBroken | None = None
        self._deaf: StreamBroken | None = None
        self._ended = False
        self._answered = False

    # -- what the port promises --------------------------------------------------------------------------

    def receive(self) -> Output | ExitStatus | None:
        """The next frame; None when the server closed the connection in good order."""
        if self._stderr:
            kept, self._stderr = self._stderr, bytearray()
            return Output(Channel.STDERR, memoryview(kept))
        if (waiting := self._waiting) is not None:
            self._waiting = None
            return waiting
        deadline = self._deadline()
        while True:
            if (item := self._next()) is not None:
                return item
            if self._ended:
                return None
            if self._lost is not None:
                if self._answered:
                    # All there is to know is known; how the connection went down no longer matters.
                    return None
                raise self._lost
            self._flush()
            if not self._fill():
                self._wait(deadline)

    def send(self, data: bytes | memoryview) -> bool:
        """Write all of `data` to the process's stdin; False as soon as it has answered or ended."""
        view = memoryview(data).cast("B")
        for start in range(0, len(view), _SEND_SIZE):
            part = view[start : start + _SEND_SIZE]
            if not self._put(encode(Opcode.BINARY, part, channel=_STDIN)):
                return False
        return True

    def finish_input(self) -> None:
        """Half-close: the process sees end of file. Output and status still follow."""
        self._put(encode(Opcode.BINARY, bytes((_STDIN,)), channel=_CLOSE_CHANNEL), last=True)

    def close(self) -> None:
        """Leave. Never waits: a close frame goes out only if there is room for it now."""
        whole = not (self._outgoing or self._lost or self._deaf or self._ended)
        self._wire.close(encode(Opcode.CLOSE, _FAREWELL) if whole else b"")

    # -- out -----------------------------------------------------------------------------------------------

    def _put(self, frame: bytes, *, last: bool = False) -> bool:
        """Write one frame; False if something for the caller arrived first. The `last` one goes out even so:
        a process that answers while it reads would wait for the end of its input, and we for its own.
        """
        deadline = self._deadline()
        queued = False
        while True:
            moved = self._listen()
            if self._waiting is not None or self._ended:
                if last and not queued and not self._ended:
                    # what does not go now goes while the answer is read
                    self._outgoing = memoryview(bytes(self._outgoing) + frame)
                    self._flush()
                return False
            if (loss := self._lost or self._deaf) is not None:
                raise loss
            moved |= self._flush()
            if not queued and not self._outgoing:
                self._outgoing, queued = memoryview(frame), True
                moved |= self._flush()
            if queued and not self._outgoing:
                return True
            if moved:
                deadline = self._deadline()
            elif self._deaf is None:
                self._wait(deadline)

    def _flush(self) -> bool:
        """Write what is queued as far as it goes; True if bytes went. A loss is noted, not raised:
        what the server said before it may still be there to read.
        """
        moved = False
        if self._deaf is not None:
            return moved
        while True:
            if not self._outgoing:
                if self._pong is None:
                    return moved
                self._outgoing, self._pong = memoryview(encode(Opcode.PONG, self._pong)), None
            try:
                count = self._wire.write(self._outgoing)
            except StreamBroken as error:
                self._outgoing = memoryview(b"")
                self._deaf = error
                return moved
            if not count:
                return moved
            moved = True
            self._outgoing = self._outgoing[count:]

    # -- in ------------------------------------------------------------------------------------------------

    def _listen(self) -> bool:
        """While sending: take what has arrived; True if the process moved."""
        moved = False
        while self._waiting is None and not self._ended:
            item = self._next()
            if item is None:
                if not self._fill():
                    break
            elif isinstance(item, Output) and item.channel is Channel.STDERR:
                self._stderr += item.data
                del self._stderr[:-_STDERR_KEPT]
                moved = True
            else:
                self._waiting = item
        return moved

    def _next(self) -> Output | ExitStatus | None:
        """What the buffer still holds for the caller."""
        try:
            while not self._ended and (event := self._decoder.next()) is not None:
                if isinstance(event, Data):
                    if (item := self._take(event)) is not None:
                        return item
                elif isinstance(event, Ping):
                    # Only the newest wants an answer, so a flood of them takes no memory.
                    self._pong = event.payload
                else:
                    self._ended = True
        except ProtocolError as error:
            self._lost = StreamBroken(f"the server broke the protocol: it sent {error}")
        return None

    def _take(self, event: Data) -> Output | ExitStatus | None:
        if event.channel == _STATUS:
            return self._take_status(event.payload, last=event.last)
        if event.channel not in _OUTPUT:
            raise ProtocolError(f"data on channel {event.channel}")
        # A real server's first message is an empty one on stdout.
        return Output(_OUTPUT[event.channel], event.payload) if event.payload else None

    def _take_status(self, payload: memoryview, *, last: bool) -> ExitStatus | None:
        self._status += payload
        if len(self._status) > _STATUS_LIMIT:
            raise ProtocolError("a status without end")
        status = parse_status(bytes(self._status)) if last else None
        self._answered |= status is not None
        return status

    def _fill(self) -> bool:
        """Read what is there, as far as there is room; False if nothing was. A loss is noted, not raised."""
        if self._lost is not None:
            return False
        try:
            count = self._wire.read_into(self._decoder.space())
        except StreamBroken as error:
            self._lost = error
            # True even for no bytes: there is news, and waiting for more would be for ever.
            return True
        if count is None:
            return False
        self._decoder.filled(count)
        return True

    # -- time ----------------------------------------------------------------------------------------------

    def _deadline(self) -> float:
        return time.monotonic() + self._stall_seconds

    def _wait(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise StreamStalled(f"nothing moved for {self._stall_seconds:g} s")
        self._wire.wait(left, to_write=bool(self._outgoing))


def parse_status(body: bytes) -> ExitStatus | None:
    """Read the Status object of channel 3; None if it is not (yet) one."""
    try:
        status = json.loads(body)
    except ValueError:
        return None
    if not isinstance(status, dict) or "status" not in status:
        return None
    if status["status"] == "Success":
        return ExitStatus(success=True, exit_code=0, message="")
    message = str(status.get("message") or status.get("reason") or "the command failed")
    causes = (status.get("details") or {}).get("causes") or []
    for cause in causes:
        if cause.get("reason") == "ExitCode":
            with contextlib.suppress(TypeError, ValueError):
                return ExitStatus(success=False, exit_code=int(cause.get("message")), message=message)
    return ExitStatus(success=False, exit_code=None, message=message)


@contextlib.contextmanager
def open_exec(
    configuration: Any,
    pod: PodRef,
    argv: Sequence[str],
    *,
    authorization: str,
    stdin: bool,
    stall_seconds: float,
    connect_seconds: float,
) -> Iterator[PodExec]:
    """Start a process; leaving the context closes the connection, whatever happened."""
    sock = connect(
        configuration, pod, argv, authorization=authorization, stdin=stdin, timeout=connect_seconds
    )
    stream = PodExec(Wire(sock), stall_seconds=stall_seconds)
    try:
        yield stream
    finally:
        stream.close()
