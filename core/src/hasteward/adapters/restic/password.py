"""The repository's password: held as a way to get it, handed over by descriptor, never printed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hasteward.domain.errors import InvalidInput

#: what fits into any pipe without a reader
_LONGEST = 4096


class Password:
    """`obtain` fetches the value each time it is needed; `source` says where from, for messages."""

    __slots__ = ("_obtain", "source")

    def __init__(self, obtain: Callable[[], str], source: str = "RESTIC_PASSWORD") -> None:
        self._obtain = obtain
        self.source = source

    def __repr__(self) -> str:
        return f"Password(source={self.source!r})"

    def reveal(self) -> str:
        """The value itself; for the descriptor and for redaction only."""
        # restic trims what it reads from a password file, so the value is what remains
        value = self._obtain().strip()
        if not value:
            raise InvalidInput(
                f"the repository password from {self.source} is empty", code="repository.no_password"
            )
        if len(value.encode()) >= _LONGEST:
            raise InvalidInput(
                f"the repository password from {self.source} is longer than {_LONGEST} bytes",
                code="repository.no_password",
            )
        return value


@contextmanager
def password_descriptor(value: str) -> Iterator[int]:
    """A pipe that holds the password and its end. One restic reads it once; then it is empty, so that
    nothing restic starts can find it there.
    """
    reader, writer = os.pipe()
    try:
        try:
            os.write(writer, value.encode() + b"\n")
        finally:
            os.close(writer)
        yield reader
    finally:
        os.close(reader)
