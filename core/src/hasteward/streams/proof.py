"""What a trailer says, and how it is told apart from the data before it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

NONCE_BYTES = 16
_TRAILER = re.compile(rb"([0-9a-f]{32}) ([a-z0-9-]{1,11}) *([0-9 ]{3}) +([0-9a-z]{1,64})\n")
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


_NEW: Mapping[Algorithm, Callable[[], Digest]] = {
    Algorithm.BLAKE2B_256: lambda: hashlib.blake2b(digest_size=32),
    Algorithm.SHA256: hashlib.sha256,
}


def new_digest(algorithm: Algorithm) -> Digest:
    """A running digest of the kind the pod computes."""
    return _NEW[algorithm]()


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
    """Passes a stream on, always holding back as many of its last bytes as a trailer has."""

    def __init__(self) -> None:
        self._tail = b""

    def feed(self, chunk: memoryview) -> tuple[bytes, memoryview]:
        """The bytes that can no longer be trailer: first the old tail's, then a slice of `chunk`."""
        size = len(chunk)
        if size >= TRAILER_LENGTH:
            released = self._tail
            self._tail = bytes(chunk[size - TRAILER_LENGTH :])
            return released, chunk[: size - TRAILER_LENGTH]
        joined = self._tail + bytes(chunk)
        cut = max(0, len(joined) - TRAILER_LENGTH)
        self._tail = joined[cut:]
        return joined[:cut], chunk[:0]

    @property
    def tail(self) -> bytes:
        """What is held back now."""
        return self._tail
