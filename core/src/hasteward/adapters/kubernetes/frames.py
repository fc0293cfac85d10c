"""WebSocket frames without a socket: encode what a client sends, decode what a server sends.

Payloads are handed out in pieces as they arrive, as views into one reused buffer: memory stays flat whatever
size of frame the server chooses. Of the channel that carries the bulk, all frames that lie in the buffer
together are one piece: to hand on each by itself would cost more than everything else that is done with it.
"""

from __future__ import annotations

import importlib
import os
import struct
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple


def _xor(data: bytes | memoryview, mask: bytes) -> bytes:
    """Mask in plain Python: a hundred times slower, the same bytes."""
    size = len(data)
    repeated = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big")


_Mask = Callable[[bytes | memoryview, bytes], bytes]


def _fastest_mask() -> _Mask:
    """The C function inside the websockets package. It is not a documented name, hence the way out."""
    try:
        frames = importlib.import_module("websockets.frames")
        mask: _Mask = frames.apply_mask
    except (ImportError, AttributeError):
        return _xor
    return mask


_apply_mask = _fastest_mask()

#: servers refuse more than 32 MiB; one that sends more is not speaking this protocol
FRAME_LIMIT = 33 * 1024 * 1024
_BUFFER = 512 * 1024
_CONTROL_LIMIT = 125
_SHORT = 126
_LONG = 127
_WORD = 0xFFFF
_FIN = 0x80
_RESERVED = 0x70
_OPCODE = 0x0F
_MASKED = 0x80
_WHOLE_BINARY = 0x82


class Opcode(IntEnum):
    """The frame types of RFC 6455."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class ProtocolError(Exception):
    """The server sent what no WebSocket server of this protocol may send."""


class Data(NamedTuple):
    """A piece of a binary message. `payload` is valid until the buffer is filled again.

    `channel` is the message's first byte; `last` tells that the message is complete.
    """

    channel: int
    payload: memoryview
    last: bool


class Ping(NamedTuple):
    """The server wants a pong with the same payload."""

    payload: bytes


class Close(NamedTuple):
    """The server ends the connection in good order."""

    code: int
    reason: str


def encode(opcode: Opcode, payload: bytes | memoryview, *, channel: int | None = None) -> bytes:
    """One final, masked client frame. With `channel` that byte goes before the payload."""
    mask = os.urandom(4)
    size = len(payload) + (channel is not None)
    if size < _SHORT:
        head = struct.pack("!BB", _FIN | opcode, _MASKED | size)
    elif size <= _WORD:
        head = struct.pack("!BBH", _FIN | opcode, _MASKED | _SHORT, size)
    else:
        head = struct.pack("!BBQ", _FIN | opcode, _MASKED | _LONG, size)
    if channel is None:
        return b"".join((head, mask, _apply_mask(payload, mask)))
    # The mask goes by position: after the channel byte it is one step further.
    first = bytes((channel ^ mask[0],))
    return b"".join((head, mask, first, _apply_mask(payload, mask[1:] + mask[:1])))


class Decoder:
    """Takes bytes as they come from the socket and tells what they mean.

    Read into `space()`, say how much with `filled()`, then call `next()` until it answers None. Messages on
    channel `bulk` are a stream: where one ends does not matter, so several may come as one piece.
    """

    def __init__(self, bulk: int | None = None) -> None:
        self._bulk = bulk
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)
        self._start = 0
        self._end = 0
        #: bytes of the current data frame that are still to come
        self._left = 0
        self._final = True
        self._channel: int | None = None
        self._in_message = False

    def space(self) -> memoryview:
        """Where the next bytes go. Never empty once `next()` has answered None."""
        if self._start:
            # What is left over is part of a header or of a control frame: a few bytes.
            rest = bytes(self._view[self._start : self._end])
            self._view[: len(rest)] = rest
            self._start, self._end = 0, len(rest)
        return self._view[self._end :]

    def filled(self, count: int) -> None:
        """`count` bytes were written to the start of `space()`."""
        self._end += count

    def next(self) -> Data | Ping | Close | None:
        """What comes next; None when more bytes are needed. Raises ProtocolError."""
        while True:
            if self._left:
                if self._start == self._end:
                    return None
                return self._piece()
            if (header := self._header()) is None:
                return None
            opcode, final, size, length = header
            if opcode >= Opcode.CLOSE:
                if self._end - self._start < size + length:
                    return None
                body = bytes(self._view[self._start + size : self._start + size + length])
                self._start += size + length
                if (event := _control(opcode, body)) is not None:
                    return event
                continue
            self._start += size
            self._begin(opcode, final=final, length=length)
            if not length and (done := self._finish(self._view[:0])) is not None:
                return done

    def _header(self) -> tuple[int, bool, int, int] | None:
        """Opcode, FIN, size of the header and length of the payload, if the header is there."""
        have = self._end - self._start
        if have < 2:  # noqa: PLR2004 - the two bytes every frame has
            return None
        first, second = self._buffer[self._start], self._buffer[self._start + 1]
        opcode = first & _OPCODE
        if first & _RESERVED:
            raise ProtocolError("a frame with reserved bits")
        if second & _MASKED:
            raise ProtocolError("a masked frame")
        length, size = second, 2
        if length == _SHORT:
            size = 4
        elif length == _LONG:
            size = 10
        if have < size:
            return None
        if size > 2:  # noqa: PLR2004 - as above
            length = int.from_bytes(self._view[self._start + 2 : self._start + size], "big")
        if opcode >= Opcode.CLOSE and (length > _CONTROL_LIMIT or not first & _FIN):
            raise ProtocolError("a control frame that is fragmented or too long")
        if length > FRAME_LIMIT:
            raise ProtocolError(f"a frame of {length} bytes")
        return opcode, bool(first & _FIN), size, length

    def _begin(self, opcode: int, *, final: bool, length: int) -> None:
        if opcode == Opcode.CONTINUATION:
            if not self._in_message:
                raise ProtocolError("a continuation of nothing")
        elif opcode != Opcode.BINARY:
            raise ProtocolError(f"a frame with opcode {opcode} where binary was agreed")
        elif self._in_message:
            raise ProtocolError("a new message inside another")
        else:
            self._channel = None
        self._in_message = True
        self._final = final
        self._left = length

    def _piece(self) -> Data:
        if self._channel is None:
            self._channel = self._buffer[self._start]
            self._start += 1
            self._left -= 1
        size = min(self._left, self._end - self._start)
        payload = self._view[self._start : self._start + size]
        self._start += size
        self._left -= size
        channel = self._channel
        last = not self._left and self._finish(payload) is not None
        if last and channel == self._bulk:
            return self._gather(channel, self._start - size, self._start)
        return Data(channel, payload, last)

    def _gather(self, channel: int, begin: int, end: int) -> Data:
        """Move what follows on the same channel up against the piece from `begin` to `end`.

        Only whole frames of the plainest kind, each a message; whatever else comes is left to `next`.
        """
        buffer, view, have = self._buffer, self._view, self._end
        at = self._start
        while at + 1 < have and buffer[at] == _WHOLE_BINARY and not buffer[at + 1] & _MASKED:
            length, start = buffer[at + 1], at + 2
            if length >= _SHORT:
                start += 2 if length == _SHORT else 8
                length = int.from_bytes(view[at + 2 : start], "big")
            if not length or start + length > have or buffer[start] != channel:
                break
            view[end : end + length - 1] = view[start + 1 : start + length]
            end += length - 1
            at = start + length
        self._start = at
        return Data(channel, view[begin:end], last=True)

    def _finish(self, payload: memoryview) -> Data | None:
        """The frame is complete; tell so if the message is, too, and was not empty."""
        if not self._final:
            return None
        self._in_message = False
        if self._channel is None:
            return None
        return Data(self._channel, payload, last=True)


def _control(opcode: int, body: bytes) -> Ping | Close | None:
    match opcode:
        case Opcode.PING:
            return Ping(body)
        case Opcode.PONG:
            return None
        case Opcode.CLOSE:
            if len(body) == 1:
                raise ProtocolError("a close frame of one byte")
            code = int.from_bytes(body[:2], "big") if body else 1005
            return Close(code, body[2:].decode("utf-8", "replace"))
        case _:
            raise ProtocolError(f"a frame with opcode {opcode}")
