"""What a trailer says, and how it is told apart from the data before it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

NONCE_BYTES = 16
_TRAILER = re.compile(rb"([0-9a-f]{32}) ([a-z0-9-]{1,11}) *([0-9 ]{3}) +([0-9a-z]{1,64})\n")
PIECE_BYTES = 256 * 1024
TAIL_BYTES = 512
TRAILER_LENGTH = NONCE_BYTES * 2 + 1 + 11 + 1 + 3 + 1 + 64 + 1


class Algorithm(StrEnum):
    """How a stream is digested; chosen by what the pod has, recorded by name."""

    BLAKE2B_256 = "blake2b-256"
    SHA256 = "sha256"


class Digest(Protocol):
    """The part of hashlib that we use."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Take more bytes."""

    def hexdigest(self) -> str:
        """The digest of everything so far."""

    def copy(self) -> Digest:
        """Another one that begins with what this one has taken."""


_NEW: Mapping[Algorithm, Callable[[], Digest]] = {
    Algorithm.BLAKE2B_256: lambda: hashlib.blake2b(digest_size=32),
    Algorithm.SHA256: hashlib.sha256,
}


def new_digest(algorithm: Algorithm) -> Digest:
    """A running digest of the kind the pod computes."""
    return _NEW[algorithm]()


class TailDigest:
    """A digest that can also be told for all but some of the last bytes, and has these at hand."""

    def __init__(self, algorithm: Algorithm) -> None:
        self._digest = new_digest(algorithm)
        self.tail = b""

    def update(self, data: bytes | memoryview) -> None:
        """Take more bytes."""
        size = len(data)
        if size < TAIL_BYTES:
            data = self.tail + bytes(data)
            size = len(data)
        else:
            self._digest.update(self.tail)
        cut = max(0, size - TAIL_BYTES)
        self._digest.update(data[:cut])
        self.tail = bytes(data[cut:])

    def hexdigest(self, *, without: int = 0) -> str:
        """The digest of everything so far but the last `without` bytes, of which there are at most 512."""
        digest = self._digest.copy()
        digest.update(self.tail[: len(self.tail) - without])
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Trailer:
    """The wrapper's last words: the producer's exit status and the digest computed beside it."""

    algorithm: Algorithm
    exit_status: int
    digest: str


@dataclass(frozen=True, slots=True)
class StreamProof:
    """A stream whose every byte was accounted for. `length` is in bytes."""

    length: int
    algorithm: Algorithm
    digest: str


def parse_trailer(tail: bytes, nonce: str) -> Trailer | None:
    """Read the last `TRAILER_LENGTH` bytes of a stream; None if they are not our trailer."""
    match = _TRAILER.fullmatch(tail)
    if match is None or match[1].decode() != nonce or match[2].decode() not in set(Algorithm):
        return None
    return Trailer(Algorithm(match[2].decode()), int(match[3]), match[4].decode())


class TrailerHold:
    """Passes a stream on, always holding back as many of its last bytes as a trailer has.

    What it passes on is gathered into pieces that are worth a digest and a system call each: handing every
    frame of 32 KiB from one to the next by itself costs as much as digesting it. A chunk that is worth it by
    itself is passed on without being copied.
    """

    def __init__(self, piece: int = PIECE_BYTES) -> None:
        self._view = memoryview(bytearray(piece + TRAILER_LENGTH))
        self._size = 0
        self._worth = piece // 4 + TRAILER_LENGTH

    def feed(self, chunk: memoryview) -> Iterator[memoryview]:
        """Take `chunk`; every piece that is now complete. A piece is valid until the next is asked for."""
        if len(chunk) >= self._worth:
            if self._size:
                yield self._view[: self._size]
            yield chunk[:-TRAILER_LENGTH]
            chunk, self._size = chunk[-TRAILER_LENGTH:], 0
        while len(chunk):
            part = chunk[: len(self._view) - self._size]
            self._view[self._size : self._size + len(part)] = part
            self._size += len(part)
            chunk = chunk[len(part) :]
            if self._size == len(self._view):
                yield self._view[:-TRAILER_LENGTH]
                self._view[:TRAILER_LENGTH] = self._view[-TRAILER_LENGTH:]
                self._size = TRAILER_LENGTH

    def end(self) -> tuple[memoryview, bytes]:
        """The stream is over: its last piece, and the bytes that may be a trailer."""
        cut = max(0, self._size - TRAILER_LENGTH)
        return self._view[:cut], bytes(self._view[cut : self._size])
