"""What the files of a server without a leader say, and that nothing else is ever read out of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vault_files import bolt, entry, log, store

from hasteward_vault.evidence import Peer, RaftLog
from hasteward_vault.facts.bolt import BLOCK, BoltError, Bucket, head, root
from hasteward_vault.facts.raftfiles import parse_log


def blocks(content: bytes) -> Callable[[int, int], bytes]:
    return lambda first, count: content[first * BLOCK : (first + count) * BLOCK]


def opened(content: bytes) -> Bucket:
    return root(blocks(content))[1]


def peers(*names: str) -> tuple[Peer, ...]:
    return tuple(Peer(name, f"{name}.bao-internal:8201", voter=True, leader=False) for name in names)


@pytest.mark.parametrize("page", [4096, 16384, 65536])
@pytest.mark.parametrize("entries", [1, 30, 900])
def test_the_peers_and_the_end_of_the_log_are_read_whatever_the_size(page: int, entries: int) -> None:
    of_store = opened(store({"bao-0": True, "bao-1": True}, 3, 950, page=page))
    of_log = opened(log(4, 1000, entries, page=page))

    assert parse_log(of_store, of_log) == RaftLog(peers("bao-0", "bao-1"), 4, 1000)


def test_a_peer_without_a_vote_is_told_apart() -> None:
    found = parse_log(opened(store({"bao-0": True, "bao-1": False}, 1, 1)), opened(log(1, 1)))

    assert [(peer.id, peer.voter) for peer in found.peers] == [("bao-0", True), ("bao-1", False)]


def test_an_empty_log_ends_where_the_store_does() -> None:
    """After a snapshot was installed the log is cut off."""
    empty = bolt({b"conf": {}, b"logs": {}})

    assert parse_log(opened(store({"bao-0": True}, 5, 70)), opened(empty)) == RaftLog(peers("bao-0"), 5, 70)


def test_a_long_log_of_an_old_term_is_older_than_a_short_one_of_a_new_term() -> None:
    found = parse_log(opened(store({"bao-0": True}, 5, 70)), opened(log(4, 90)))

    assert found.end == (5, 70)


def test_the_newer_of_the_two_first_pages_counts_and_a_torn_one_does_not() -> None:
    whole = store({"bao-0": True}, 1, 1, write=8)
    torn = bytearray(whole)
    torn[40] ^= 1

    assert head(whole).write == 8
    assert head(bytes(torn)).write == 7


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 8192,
        b"no database" * 1000,
        store({}, 1, 1),
        bolt({b"data": {}}),
        store({"a": True}, 1, 1)[:8192],
    ],
)
def test_what_is_no_store_of_a_server_is_no_answer(content: bytes) -> None:
    with pytest.raises(BoltError):
        parse_log(opened(content), opened(log(1, 1)))


def test_a_last_entry_that_is_not_understood_is_no_answer() -> None:
    wrong = bolt({b"logs": {(9).to_bytes(8, "big"): entry(1, 8)}})

    with pytest.raises(BoltError, match=r"entry 9 of raft/raft\.db was not understood"):
        parse_log(opened(store({"bao-0": True}, 1, 1)), opened(wrong))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_flipped_bit_gives_the_truth_or_an_error_of_its_own_and_never_hangs(data: st.DataObject) -> None:
    """Only the first pages have sums; what else is flipped may read wrongly, but never crashes the reader."""
    content = bytearray(log(3, 60))
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = parse_log(opened(store({"bao-0": True}, 3, 60)), opened(bytes(content)))
    except (BoltError, UnicodeDecodeError):
        return
    assert isinstance(found, RaftLog)
