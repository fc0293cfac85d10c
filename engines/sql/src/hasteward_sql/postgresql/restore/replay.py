r"""What psql is fed: that it runs no command of its own, then the section.

psql's backslash commands run programs beside the database. A file needs none of them but ``\restrict``
itself, which newer versions of pg_dump write around their output with a key that is in the file. We set a
key of our own, new for each stream, and leave those two lines out; whatever else begins with a backslash
then stops the load.

The section itself is sent as it is stored, so that the digest in its manifest serves for the store and for
the way to the database: the first of those lines is left out where psql runs, and with the second one begins
what closes a section and is not fed.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator

from hasteward.domain.errors import Unproven
from hasteward.domain.manifest import Section
from hasteward.ports.context import SectionBytes
from hasteward.streams.wrapper import FED_DESCRIPTOR

_EDGE = 512
_OPEN = re.compile(rb"\A(?:--[^\n]*\n|\n)*\\restrict ([A-Za-z0-9]+)\n")

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
    r"""A section as it is fed, without what closes it; its `digest` is that of what is sent.

    `opening` is how many lines at its begin are to be left out where it arrives: comments and its own
    ``\\restrict``. Raises Unproven for a section that begins with one and has no end that is left out.
    """

    def __init__(self, stored: SectionBytes, section: Section) -> None:
        self._pieces = stored.fed()
        self._head = b""
        while len(self._head) < _EDGE and (piece := next(self._pieces, None)) is not None:
            self._head += bytes(piece)
        found = _OPEN.match(self._head[:_EDGE])
        if found and not section.closing:
            raise Unproven("a section begins restricted and does not end so", code="restore.restrict")
        self.opening = found[0].count(b"\n") if found else 0
        self.digest = section.fed_digest

    def __iter__(self) -> Iterator[bytes | memoryview]:
        """In order. Only the begin is looked at: what follows is passed on as it comes."""
        if self._head:
            yield self._head
        yield from self._pieces
