"""No byte of a Raft snapshot can be missing, other or more without its being refused."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vault_kit import archive

from hasteward_vault.facts.archive import Archive, ArchiveError, Meta

WHOLE = archive(state=b"\x07\x08" * 600)
#: where the last byte is that says something; what follows is the tar's own end of zeros
SAID = len(WHOLE.rstrip(b"\0"))


def judge(data: bytes, pieces: int = 1000) -> Meta:
    found = Archive()
    for start in range(0, len(data), pieces):
        found.feed(data[start : start + pieces])
    return found.conclude()


@given(st.integers(1, len(WHOLE)))
def test_a_whole_snapshot_is_whole_however_it_is_cut_into_pieces(pieces: int) -> None:
    assert judge(WHOLE, pieces) == Meta(index=50, term=3, size=1200, peers=("bao-0",))


def test_every_truncation_is_refused() -> None:
    for length in range(0, SAID + 1, 7):
        with pytest.raises(ArchiveError):
            judge(WHOLE[:length])


@given(st.integers(0, SAID - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused_or_changes_nothing_that_counts(at: int, by: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[at] ^= by
    try:
        meta = judge(bytes(damaged))
    except ArchiveError:
        return
    # Only the sealed sums are opaque to us: the server checks those with the cluster's key.
    assert meta == judge(WHOLE)
    assert at >= WHOLE.index(b"SHA256SUMS.sealed")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it is empty"),
        (gzip.compress(WHOLE), "no tar|damaged|too early"),
        (bytes(2048), "ends too early: meta.json"),
        (WHOLE + b"more", "something follows"),
        (archive(SHA256SUMS_sealed=b""), "sealed is empty"),
        (archive(state=b""), "holds no entry"),
        (archive(index=0), "holds no entry"),
        (archive(meta_json=b"{}"), "not what its SHA256SUMS says"),
        (b"<html>504 Gateway Time-out</html>" * 40, "no tar|damaged"),
    ],
)
def test_what_is_no_snapshot_is_told_apart(data: bytes, words: str) -> None:
    with pytest.raises(ArchiveError, match=words):
        judge(data)
