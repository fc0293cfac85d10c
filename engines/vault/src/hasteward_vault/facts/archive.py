"""A Raft snapshot as it is stored: a tar that vouches for itself by its own ``SHA256SUMS``.

It is looked at while it flows by, so nothing of it is held but the few lines of its small members.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

_BLOCK = 512
META, STATE, SUMS, SEALED = "meta.json", "state.bin", "SHA256SUMS", "SHA256SUMS.sealed"
_NEEDED = (META, STATE, SUMS, SEALED)
_SMALL = 1024 * 1024
_REGULAR = (b"0", b"\0")


@dataclass(frozen=True, slots=True)
class Meta:
    """What the snapshot says of itself: `index` and `term` of its last entry, `peers` by id."""

    index: int
    term: int
    size: int
    peers: tuple[str, ...]


class ArchiveError(Exception):
    """These bytes are not a whole Raft snapshot; the message says why."""


class Archive:
    """Takes the bytes of a tar in order and knows at the end whether it was a whole snapshot."""

    def __init__(self) -> None:
        self._rest = b""  # of a header, or of a small member
        self._left = 0  # bytes of the member at hand that are still to come
        self._padding = 0
        self._name = ""
        self._digest = hashlib.sha256()
        self._digests: dict[str, str] = {}
        self._lengths: dict[str, int] = {}
        self._texts: dict[str, bytes] = {}
        self._ended = False
        #: where the member that proves the others begins; a copy that ends before it is refused everywhere
        self.proof_offset = 0
        self.length = 0

    def feed(self, data: bytes | memoryview) -> None:
        """Take more bytes; ArchiveError as soon as they cannot be a snapshot's."""
        view = memoryview(data)
        self.length += len(view)
        while view:
            if self._ended:
                if any(view):
                    raise ArchiveError("something follows after its end")
                return
            view = self._member(view) if self._left or self._padding else self._header(view)

    def _member(self, view: memoryview) -> memoryview:
        part = view[: self._left]
        if len(part):
            self._digest.update(part)
            self._left -= len(part)
            if self._name != STATE:
                self._texts[self._name] = self._texts.get(self._name, b"") + bytes(part)
            if not self._left:
                self._digests[self._name] = self._digest.hexdigest()
            return view[len(part) :]
        skipped = min(self._padding, len(view))
        if any(view[:skipped]):
            raise ArchiveError(f"something follows its {self._name}")
        self._padding -= skipped
        return view[skipped:]

    def _header(self, view: memoryview) -> memoryview:
        need = _BLOCK - len(self._rest)
        self._rest += bytes(view[:need])
        if len(self._rest) == _BLOCK:
            block, self._rest = self._rest, b""
            self._begin(block, self.length - len(view) + need - _BLOCK)
        return view[need:]

    def _begin(self, block: bytes, offset: int) -> None:
        if not any(block):
            self._ended = True
            return
        try:
            size = int(block[124:136].rstrip(b"\0 ") or b"0", 8)
            expected = int(block[148:156].rstrip(b"\0 "), 8)
        except ValueError:
            raise ArchiveError("it is no tar") from None
        if sum(block[:148]) + sum(block[156:]) + 8 * ord(" ") != expected:
            raise ArchiveError("a header of the tar is damaged")
        name = block[:100].rstrip(b"\0").decode("utf-8", "replace")
        if block[156:157] not in _REGULAR or name not in _NEEDED or name in self._lengths:
            raise ArchiveError(f"it holds {name!r}, which a Raft snapshot does not")
        if name != STATE and size > _SMALL:
            raise ArchiveError(f"its {name} has {size} bytes")
        if name == SUMS:
            self.proof_offset = offset
        self._name, self._left, self._padding = name, size, -size % _BLOCK
        self._lengths[name] = size
        self._digest = hashlib.sha256()
        if not size:
            self._digests[name] = self._digest.hexdigest()

    def conclude(self) -> Meta:
        """What the snapshot says of itself; ArchiveError unless all of it came and fits its own sums."""
        if not self.length:
            raise ArchiveError("it is empty")
        lacking = [name for name in _NEEDED if name not in self._digests]
        if lacking or not self._ended:
            raise ArchiveError(f"it ends too early: {', '.join(lacking) or 'its end'} is missing")
        self._check_sums()
        try:
            body = json.loads(self._texts[META])
            servers = (body.get("Configuration") or {}).get("Servers") or []
            meta = Meta(
                index=int(body["Index"]),
                term=int(body["Term"]),
                size=int(body["Size"]),
                peers=tuple(str(server["ID"]) for server in servers),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ArchiveError("its meta.json is not understood") from None
        if meta.size != self._lengths[STATE]:
            raise ArchiveError(
                f"its meta.json says {meta.size} bytes of state, it has {self._lengths[STATE]}"
            )
        if not meta.index or not meta.size:
            raise ArchiveError("it holds no entry")
        return meta

    def _check_sums(self) -> None:
        lines = self._texts.get(SUMS, b"").decode("utf-8", "replace").splitlines()
        sums = {words[1]: words[0] for line in lines if len(words := line.split()) == 2}  # noqa: PLR2004  sum and name
        for name in (META, STATE):
            if sums.get(name) != self._digests[name]:
                raise ArchiveError(f"its {name} is not what its SHA256SUMS says")
        if not self._lengths[SEALED]:
            raise ArchiveError("its SHA256SUMS.sealed is empty")
