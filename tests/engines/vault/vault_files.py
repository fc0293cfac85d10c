"""The files of a Raft server, small: just enough of BoltDB for what the engine reads in them."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from functools import cache

PAGE = 4096


def _sum(data: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def _leaf(number: int, rows: Sequence[tuple[bool, bytes, bytes]]) -> bytes:
    head = struct.pack("<QHHI", number, 2, len(rows), 0)
    place, table, heap = 16 * len(rows), b"", b""
    for row, (nested, key, value) in enumerate(rows):
        table += struct.pack("<IIII", nested, place - 16 * row + len(heap), len(key), len(value))
        heap += key + value
    return head + table + heap


def bolt(buckets: Mapping[bytes, Mapping[bytes, bytes]], *, write: int = 7, page: int = PAGE) -> bytes:
    """A file whose buckets lie in the root page, or in pages of their own where they are large."""
    pages: list[bytes] = []
    rows = []
    for name, content in sorted(buckets.items()):
        leaf = _leaf(0, [(False, key, content[key]) for key in sorted(content)])
        if len(leaf) < page // 4:
            rows.append((True, name, struct.pack("<QQ", 0, 0) + leaf))
            continue
        number = 3 + len(pages)
        rows.append((True, name, struct.pack("<QQ", number, 0)))
        pages += tree(number, sorted(content.items()), page)
    metas = []
    for number in (0, 1):
        body = struct.pack("<IIIIQQQQQ", 0xED0CDAED, 2, page, 0, 2, 0, 2, 3 + len(pages), write - number)
        metas.append(struct.pack("<QHHI", number, 4, 0, 0) + body + struct.pack("<Q", _sum(body)))
    return b"".join(part.ljust(page, b"\0") for part in (*metas, _leaf(2, rows), *pages))


def tree(number: int, content: Sequence[tuple[bytes, bytes]], page: int) -> list[bytes]:
    """A branch with as many leaves as it takes, its first page at `number`."""
    leaves: list[list[tuple[bool, bytes, bytes]]] = [[]]
    for key, value in content:
        if sum(16 + len(k) + len(v) for _, k, v in leaves[-1]) + len(key) + len(value) > page - 64:
            leaves.append([])
        leaves[-1].append((False, key, value))
    table, heap = b"", b""
    for row, rows in enumerate(leaves):
        first = rows[0][1]
        table += struct.pack("<IIQ", 16 * len(leaves) - 16 * row + len(heap), len(first), number + 1 + row)
        heap += first
    branch = struct.pack("<QHHI", number, 1, len(leaves), 0) + table + heap
    return [branch, *(_leaf(number + 1 + row, rows) for row, rows in enumerate(leaves))]


def _field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return bytes([number << 3]) + _varint(value)
    return bytes([number << 3 | 2]) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    found = b""
    while value > 0x7F:
        found += bytes([value & 0x7F | 0x80])
        value >>= 7
    return found + bytes([value])


def store(peers: Mapping[str, bool], term: int, index: int, **change: int) -> bytes:
    """``vault.db``: who the peers are (and whether each has a vote), and what was applied."""
    return _store(tuple(peers.items()), term, index, **change)


@cache
def _store(peers: tuple[tuple[str, bool], ...], term: int, index: int, **change: int) -> bytes:
    rows = b"".join(
        _field(
            2,
            (b"" if voter else _field(1, 1))
            + _field(2, name.encode())
            + _field(3, f"{name}.bao-internal:8201".encode()),
        )
        for name, voter in peers
    )
    config = {
        b"latest_config": _field(1, 1) + rows,
        b"latest_indexes": _field(1, term) + _field(2, index),
        b"local_node_config": b"\n\x05voter",
    }
    return bolt({b"config": config, b"data": {b"core/x": b"secret"}}, **change)


def entry(term: int, index: int, data: bytes = b"x" * 40) -> bytes:
    """One entry of the log, as the server writes it."""
    text = b"\xda" + len(data).to_bytes(2, "big") + data
    at = b"\xce" + index.to_bytes(4, "big") if index > 0x7F else bytes([index])
    return (
        b"\x86\xaaAppendedAt\xa8" + b"t" * 8 + b"\xa4Data" + text + b"\xaaExtensions\xc0"
        b"\xa5Index" + at + b"\xa4Term" + bytes([term]) + b"\xa4Type\x00"
    )


@cache  # sweeps ask for the same few logs many thousand times
def log(term: int, index: int, entries: int = 30, **change: int) -> bytes:
    """``raft.db``: the last entries of the log."""
    rows = {
        number.to_bytes(8, "big"): entry(term, number)
        for number in range(max(1, index - entries + 1), index + 1)
    }
    return bolt({b"conf": {b"CurrentTerm": term.to_bytes(8, "big")}, b"logs": rows}, **change)
