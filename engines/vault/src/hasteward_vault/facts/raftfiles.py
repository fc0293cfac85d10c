"""What Raft keeps in its files: who the peers are, and how far the log goes. Pure, given the blocks.

``vault.db`` holds what was applied and the servers' configuration, ``raft/raft.db`` the log. Both are written
by libraries that Vault and OpenBao share (protobuf in the one, MessagePack in the other).
"""

from __future__ import annotations

from collections.abc import Iterator

from hasteward_vault.evidence import Peer, RaftLog
from hasteward_vault.facts.bolt import BoltError, Bucket

STORE, LOG = "vault.db", "raft/raft.db"
_SERVERS = 2
_ONE_BYTE = 0x7F


def parse_log(store: Bucket, log: Bucket) -> RaftLog:
    """Both files in one; BoltError where something that every server has is not there."""
    config = store.bucket(b"config")
    text = config.get(b"latest_config") or b""
    rows = (row for number, row in _fields(text) if number == _SERVERS)
    peers = tuple(_peer(row) for row in rows if isinstance(row, bytes))
    if not peers:
        raise BoltError(f"{STORE} holds no configuration that names a server")
    applied = {n: v for n, v in _fields(config.get(b"latest_indexes") or b"") if isinstance(v, int)}
    term, index = applied.get(1, 0), applied.get(2, 0)
    last = log.bucket(b"logs").last()
    if last is not None:
        at = int.from_bytes(last[0], "big")
        # a log that was cut off after a snapshot may be empty, or end before what was applied
        term, index = max((term, index), (_term(last[1], at), at))
    return RaftLog(peers, term, index)


def _peer(row: bytes) -> Peer:
    found = dict(_fields(row))
    suffrage = found.get(1, 0)
    ident, address = found.get(2, b""), found.get(3, b"")
    if not isinstance(ident, bytes) or not isinstance(address, bytes) or not ident:
        raise BoltError("a server of the configuration has no name")
    return Peer(ident.decode(), address.decode(), voter=suffrage == 0, leader=False)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protobuf message, numbers and texts only."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        value, at = _varint(data, at)
        match key & 7:
            case 0:
                yield key >> 3, value
            case 2 if at + value <= len(data):
                yield key >> 3, data[at : at + value]
                at += value
            case _:
                raise BoltError("a message was not understood")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data):
        byte = data[at]
        value |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if byte < 0x80:  # noqa: PLR2004  the last byte of a number
            return value, at
    raise BoltError("a number has no end")


def _term(entry: bytes, index: int) -> int:
    """The term of a log entry, which has to be entry number `index`."""
    found = _map(entry)
    if found.get(b"Index") != index or not isinstance(found.get(b"Term"), int):
        raise BoltError(f"entry {index} of {LOG} was not understood")
    return int(found[b"Term"] or 0)


def _map(data: bytes) -> dict[bytes, int | bytes | None]:
    """A MessagePack map of texts to numbers, texts or nothing."""
    if not data or data[0] & 0xF0 != 0x80:  # noqa: PLR2004  a short map
        raise BoltError("a log entry was not understood")
    at, found = 1, dict[bytes, int | bytes | None]()
    for _ in range(data[0] & 0x0F):
        key, at = _item(data, at)
        value, at = _item(data, at)
        if isinstance(key, bytes):
            found[key] = value
    return found


#: the first byte of an item: how many bytes its length, or its value, takes
_TEXTS = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_NUMBERS = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
_NIL, _SHORT_TEXT, _SHORT_TEXT_END = 0xC0, 0xA0, 0xC0


def _item(data: bytes, at: int) -> tuple[int | bytes | None, int]:
    if at >= len(data):
        raise BoltError("a log entry ends too early")
    kind, at = data[at], at + 1
    if kind <= _ONE_BYTE:
        return kind, at
    if kind == _NIL:
        return None, at
    if kind in _NUMBERS:
        end = at + _NUMBERS[kind]
        return int.from_bytes(data[at:end], "big"), end
    if _SHORT_TEXT <= kind < _SHORT_TEXT_END:
        begin, size = at, kind & 0x1F
    elif kind in _TEXTS:
        begin = at + _TEXTS[kind]
        size = int.from_bytes(data[at:begin], "big")
    else:
        raise BoltError("a log entry was not understood")
    return data[begin : begin + size], begin + size
