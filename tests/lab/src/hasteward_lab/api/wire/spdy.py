"""SPDY/3.1 as far as Kubernetes speaks it: frames, and headers that are compressed along one connection."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY = 1, 2, 3, 6, 7
DATA = 0
FIN = 0x01
_VERSION = 0x8003
_HEAD = 8

# The dictionary both sides know, from the specification of SPDY/3: words with their lengths, then plain text.
_LIST = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges "
    "age allow authorization cache-control connection content-base content-encoding content-language "
    "content-length content-location content-md5 content-range content-type date etag expect expires from "
    "host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified location "
    "max-forwards pragma proxy-authenticate proxy-authorization range referer retry-after server te trailer "
    "transfer-encoding upgrade user-agent vary via warning www-authenticate method get status"
)
_MORE = ("200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin")
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
    "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _sized(text: str) -> bytes:
    return struct.pack("!I", len(text)) + text.encode()


DICTIONARY = b"".join(map(_sized, (*_LIST.split(), *_MORE))) + _TAIL.encode()


@dataclass(frozen=True)
class Frame:
    """One frame: DATA, or a control frame of that kind."""

    kind: int
    stream: int = 0
    flags: int = 0
    data: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Codec:
    """Both directions of one connection; the order of frames matters: headers are one compressed stream."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)
        self._held = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take bytes as they come; yield the frames that are complete."""
        self._held += data
        while len(self._held) >= _HEAD:
            first, rest = struct.unpack_from("!II", self._held)
            size = _HEAD + (rest & 0xFFFFFF)
            if len(self._held) < size:
                return
            body, self._held = self._held[_HEAD:size], self._held[size:]
            yield self._frame(first, rest >> 24, body)

    def _frame(self, first: int, flags: int, body: bytes) -> Frame:
        if not first & 0x80000000:
            return Frame(DATA, first, flags, body)
        kind = first & 0xFFFF
        stream = struct.unpack_from("!I", body)[0] & 0x7FFFFFFF if len(body) >= 4 else 0
        if kind == SYN_STREAM:
            return Frame(kind, stream, flags, headers=self._headers(body[10:]))
        return Frame(kind, stream, flags, body)

    def _headers(self, packed: bytes) -> dict[str, str]:
        plain = self._inflate.decompress(packed)
        (count,), place = struct.unpack_from("!I", plain), 4
        words = []
        for _ in range(2 * count):
            (size,) = struct.unpack_from("!I", plain, place)
            words.append(plain[place + 4 : place + 4 + size].decode())
            place += 4 + size
        return {name.lower(): value for name, value in zip(words[::2], words[1::2], strict=True)}

    def reply(self, stream: int) -> bytes:
        """The answer that takes a stream, without headers."""
        packed = self._deflate.compress(struct.pack("!I", 0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return control(SYN_REPLY, struct.pack("!I", stream) + packed)


def control(kind: int, body: bytes, flags: int = 0) -> bytes:
    """A control frame."""
    return struct.pack("!HHI", _VERSION, kind, flags << 24 | len(body)) + body


def data(stream: int, content: bytes, *, last: bool = False) -> bytes:
    """A data frame."""
    return struct.pack("!II", stream, (FIN if last else 0) << 24 | len(content)) + content
