"""Reads single values out of a BoltDB file, page by page: what a server without a leader does not tell.

Raft's log and the servers' configuration lie in such files. A file is a tree of pages; every write makes new
pages and then changes one of the two first ones, so what the newest of those leads to is whole as long as
it does not change.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

#: reads `count` blocks of `BLOCK` bytes from block number `first` on
Blocks = Callable[[int, int], bytes]

BLOCK = 4096
_MAGIC, _VERSION = 0xED0CDAED, 2
_HEAD = struct.Struct("<QHHI")  # id, flags, count, how many more pages it takes
_META = struct.Struct(
    "<IIII QQ QQQ"
)  # magic, version, page size, flags, root, sequence, freelist, size, write
_SUM = struct.Struct("<Q")
_BRANCH_ROW = struct.Struct("<IIQ")  # place, key's length, page
_LEAF_ROW = struct.Struct("<IIII")  # flags, place, key's length, value's length
_BRANCH, _LEAF, _IS_BUCKET = 0x01, 0x02, 0x01
_BUCKET = struct.Struct("<QQ")  # root (0: the page follows), sequence
_DEEPEST = 20
_LARGEST_PAGE = 65536


class BoltError(ValueError):
    """These bytes are not what a BoltDB file holds; the message says why."""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest of the first two pages. `write` counts the writes: equal twice, nothing was written."""

    page_size: int
    root: int
    write: int


def head(first: bytes) -> Head:
    """Out of the file's beginning, at least two pages; BoltError when neither is whole."""
    found = [meta for at in _places(first) if (meta := _meta(first, at)) is not None]
    if not found:
        raise BoltError("neither of its first two pages is whole")
    return max(found, key=lambda meta: meta.write)


def _places(first: bytes) -> Iterator[int]:
    """Where a meta page may begin: at 0, and at the size of a page, whatever that is."""
    at = 0
    while at <= min(len(first) - _HEAD.size, _LARGEST_PAGE):
        yield at
        at = at * 2 or BLOCK


def _meta(first: bytes, at: int) -> Head | None:
    begin = at + _HEAD.size
    if len(first) < begin + _META.size + _SUM.size:
        return None
    magic, version, size, _, root, _, _, _, write = _META.unpack_from(first, begin)
    (stored,) = _SUM.unpack_from(first, begin + _META.size)
    whole = _fnv(first[begin : begin + _META.size]) == stored
    if not whole or (magic, version) != (_MAGIC, _VERSION) or size % BLOCK or not size:
        return None
    return Head(size, root, write)


def _fnv(data: bytes) -> int:
    """FNV-1a, 64 bits: the sum that a first page carries."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


@dataclass(frozen=True, slots=True)
class Bucket:
    """A tree of keys: its root page, or the page itself where it is small enough to lie in its parent."""

    blocks: Blocks
    page_size: int
    root: int
    inline: bytes = b""

    def bucket(self, name: bytes) -> Bucket:
        """The bucket called `name` in this one; BoltError when there is none."""
        found = self._find(name)
        if found is None or not found[0]:
            raise BoltError(f"it has no bucket {name.decode()}")
        root, _ = _row(_BUCKET, found[1], 0)
        return Bucket(self.blocks, self.page_size, root, found[1][_BUCKET.size :] if not root else b"")

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`, None when there is none."""
        found = self._find(key)
        return found[1] if found is not None and not found[0] else None

    def last(self) -> tuple[bytes, bytes] | None:
        """The greatest key with its value; None when the bucket is empty."""
        page = self._down(lambda rows: rows[-1][1])
        rows = _leaf(page)
        return (rows[-1][1], rows[-1][2]) if rows else None

    def _find(self, key: bytes) -> tuple[bool, bytes] | None:
        def way(rows: list[tuple[bytes, int]]) -> int:
            before = [page for first, page in rows if first <= key]
            return before[-1] if before else rows[0][1]

        return next(((nested, value) for nested, name, value in _leaf(self._down(way)) if name == key), None)

    def _down(self, way: Callable[[list[tuple[bytes, int]]], int]) -> bytes:
        """The leaf page that `way` leads to."""
        page = self.inline or self._page(self.root)
        for _ in range(_DEEPEST):
            if _flags(page) & _LEAF:
                return page
            rows = _branch(page)
            if not rows:
                raise BoltError("a branch leads nowhere")
            page = self._page(way(rows))
        raise BoltError("its tree has no end")

    def _page(self, number: int) -> bytes:
        per = self.page_size // BLOCK
        page = self.blocks(number * per, per)
        if len(page) < _HEAD.size:
            raise BoltError(f"page {number} is beyond its end")
        there, flags, _, more = _HEAD.unpack_from(page)
        if there != number or not flags & (_BRANCH | _LEAF):
            raise BoltError(f"page {number} is not what it should be")
        return page + self.blocks((number + 1) * per, more * per) if more else page


def _row(shape: struct.Struct, page: bytes, at: int) -> tuple[int, ...]:
    if at + shape.size > len(page):
        raise BoltError("a row is beyond the end of its page")
    return shape.unpack_from(page, at)


def _flags(page: bytes) -> int:
    return _row(_HEAD, page, 0)[1]


def _branch(page: bytes) -> list[tuple[bytes, int]]:
    found = []
    for row in range(_row(_HEAD, page, 0)[2]):
        at = _HEAD.size + row * _BRANCH_ROW.size
        place, length, number = _row(_BRANCH_ROW, page, at)
        found.append((page[at + place : at + place + length], number))
    return found


def _leaf(page: bytes) -> list[tuple[bool, bytes, bytes]]:
    found = []
    for row in range(_row(_HEAD, page, 0)[2]):
        at = _HEAD.size + row * _LEAF_ROW.size
        flags, place, length, size = _row(_LEAF_ROW, page, at)
        begin = at + place
        key, value = page[begin : begin + length], page[begin + length : begin + length + size]
        if len(value) < size:
            raise BoltError("a value is beyond the end of its page")
        found.append((bool(flags & _IS_BUCKET), key, value))
    return found


def root(blocks: Blocks) -> tuple[Head, Bucket]:
    """The file's own bucket, and the head that it rests on."""
    found = head(blocks(0, 2 * _LARGEST_PAGE // BLOCK))
    return found, Bucket(blocks, found.page_size, found.root)
