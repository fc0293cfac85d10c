r"""What psql is fed: that it runs no command of its own, then the section.

psql's backslash commands run programs beside the database. A file needs none of them but ``\restrict``
itself, which newer versions of pg_dump write around their output with a key that is in the file. We set a
key of our own, new for each stream, and leave those two lines out; whatever else begins with a backslash
then stops the load.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator

from hasteward.domain.errors import Unproven

_EDGE = 512
_OPEN = re.compile(rb"\A(?:--[^\n]*\n|\n)*(\\restrict ([A-Za-z0-9]+)\n)")
_CLOSE = re.compile(rb"\n(\\unrestrict ([A-Za-z0-9]+)\n)\n*\Z")

#: the first versions whose psql knows the command
_RESTRICTED_FROM = {13: 130022, 14: 140019, 15: 150014, 16: 160010, 17: 170006}
_ALL_FROM = 180000


def restricts(version_number: int) -> bool:
    r"""Whether psql of this version has ``\restrict``."""
    first = _RESTRICTED_FROM.get(version_number // 10000)
    return version_number >= (_ALL_FROM if first is None else first)


def prelude(*, restricted: bool) -> bytes:
    """What comes before a section."""
    return f"\\restrict {secrets.token_hex(16)}\n".encode() if restricted else b""


class Replayed:
    r"""A section without its own ``\restrict`` and ``\unrestrict``; counts the bytes it left out."""

    def __init__(self, chunks: Iterable[bytes | memoryview], length: int) -> None:
        self._chunks = chunks
        self._length = length
        self.left_out = 0

    def __iter__(self) -> Iterator[bytes | memoryview]:
        """In order. Only the edges are looked at: what lies between is passed on as it comes."""
        if self._length <= 2 * _EDGE:
            head, key = self._opened(b"".join(bytes(chunk) for chunk in self._chunks))
            yield self._closed(head, key)
            return
        first, last = _EDGE, self._length - _EDGE
        head, tail = b"", b""
        key = None
        position = 0
        for chunk in self._chunks:
            begin, position = position, position + len(chunk)
            if begin < first:
                head += bytes(chunk[: first - begin])
                if len(head) == first:
                    head, key = self._opened(head)
                    yield head
            middle = chunk[max(0, first - begin) : max(0, last - begin)]
            if len(middle):
                yield middle
            tail += bytes(chunk[max(0, last - begin) :])
        yield self._closed(tail, key)

    def _opened(self, data: bytes) -> tuple[bytes, bytes | None]:
        found = _OPEN.match(data)
        if found is None:
            return data, None
        self.left_out += len(found[1])
        return data[: found.start(1)] + data[found.end(1) :], found[2]

    def _closed(self, data: bytes, key: bytes | None) -> bytes:
        if key is None:
            return data
        found = _CLOSE.search(data)
        if found is None or found[2] != key:
            raise Unproven("a section begins restricted and does not end so", code="restore.restrict")
        self.left_out += len(found[1])
        return data[: found.start(1)] + data[found.end(1) :]
