r"""What psql is fed: that it runs no command of its own, then the section.

psql's backslash commands run programs beside the database. A file needs none of them but ``\restrict``
itself, which newer versions of pg_dump write around their output with a key that is in the file. We set a
key of our own, new for each stream, and leave those two lines out; whatever else begins with a backslash
then stops the load.

The section itself is sent as it is stored, so that one digest of it serves for the store and for the way to
the database: the first of those lines is left out where psql runs, and only the few bytes with the second
one are sent changed.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator

from hasteward.domain.errors import Unproven
from hasteward.ports.context import SectionBytes
from hasteward.streams.proof import Digest
from hasteward.streams.wrapper import FED_DESCRIPTOR

_EDGE = 512
_OPEN = re.compile(rb"\A(?:--[^\n]*\n|\n)*\\restrict ([A-Za-z0-9]+)\n")
_CLOSE = re.compile(rb"\n(\\unrestrict ([A-Za-z0-9]+)\n)\n*\Z")

#: the first versions whose psql knows the command
_RESTRICTED_FROM = {13: 130022, 14: 140019, 15: 150014, 16: 160010, 17: 170006}
_ALL_FROM = 180000

#: $1 is where psql's standard input comes from (a password, or nothing), $2 how many lines of the data are
#: left out, then psql. The shell reads a pipe byte by byte, so what follows those lines is still there.
_SCRIPT = """i=$1 n=$2; shift 2
exec 8<&0 <"$i"
while [ "$n" -gt 0 ]; do IFS= read -r l <&8 || exit 1; n=$((n - 1)); done
exec "$@" -f /dev/fd/8
"""


def restricts(version_number: int) -> bool:
    r"""Whether psql of this version has ``\restrict``."""
    first = _RESTRICTED_FROM.get(version_number // 10000)
    return version_number >= (_ALL_FROM if first is None else first)


def restriction(*, restricted: bool) -> list[str]:
    """The options that make psql run no command of the section."""
    return ["-c", f"\\restrict {secrets.token_hex(16)}"] if restricted else []


def replaying(psql: list[str], *, left_out: int, fed: bool) -> list[str]:
    """`psql` for a stream of a section: it leaves so many lines out, and reads a password if it is `fed`."""
    given = FED_DESCRIPTOR if fed else "/dev/null"
    return ["sh", "-c", _SCRIPT, "replay", given, str(left_out), *psql]


class Replayed:
    r"""A section as it is sent: without its ``\unrestrict``.

    `opening` is how many lines at its begin are to be left out where it arrives, comments and its own
    ``\restrict``. `left_out` counts the bytes that were not sent.
    """

    def __init__(self, stored: SectionBytes, length: int) -> None:
        self._stored = stored
        self._pieces = iter(stored)
        #: of what was sent, once the last bytes are in sight; they are digested by us
        self._sent: Digest | None = None
        self._last = max(0, length - _EDGE)
        self._position = 0
        self._tail = b""
        self._head = b""
        self.left_out = 0
        while self._position < min(_EDGE, length) and (piece := self._pull()) is not None:
            self._head += bytes(piece)
        found = _OPEN.match((self._head + self._tail)[:_EDGE])
        self._key = found[1] if found else None
        self.opening = found[0].count(b"\n") if found else 0

    def _pull(self) -> memoryview | None:
        """The next piece, but for what belongs to the end: that is kept."""
        piece = next(self._pieces, None)
        if piece is None:
            return None
        cut = max(0, self._last - self._position)
        self._position += len(piece)
        if self._position <= self._last:
            return piece
        if self._sent is None:
            self._sent = self._stored.digest()
            self._sent.update(piece[:cut])
        self._tail += bytes(piece[cut:])
        return piece[:cut]

    def __iter__(self) -> Iterator[bytes | memoryview]:
        """In order. Only the edges are looked at: what lies between is passed on as it comes."""
        if self._head:
            yield self._head
        while (piece := self._pull()) is not None:
            if len(piece):
                yield piece
        closed = self._closed()
        self.digest().update(closed)
        yield closed

    def digest(self) -> Digest:
        """Of all that was sent."""
        if self._sent is None:
            self._sent = self._stored.digest()
        return self._sent

    def _closed(self) -> bytes:
        if self._key is None:
            return self._tail
        found = _CLOSE.search(self._tail)
        if found is None or found[2] != self._key:
            raise Unproven("a section begins restricted and does not end so", code="restore.restrict")
        self.left_out = len(found[1])
        return self._tail[: found.start(1)] + self._tail[found.end(1) :]
