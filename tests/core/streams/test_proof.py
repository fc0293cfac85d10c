"""The trailer is found only where it is, and never imitated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasteward.streams.proof import (
    TAIL_BYTES,
    TRAILER_LENGTH,
    Algorithm,
    TailDigest,
    TrailerHold,
    new_digest,
    parse_trailer,
)

NONCE = "0123456789abcdef" * 2


def trailer(algorithm: str = "blake2b-256", status: int = 0, digest: str = "a" * 64) -> bytes:
    return f"{NONCE} {algorithm:<11} {status:>3} {digest:>64}\n".encode()


@given(st.binary(max_size=2000), st.lists(st.integers(1, 700), max_size=12), st.integers(4, 900))
def test_any_fragmentation_releases_all_but_the_trailer(data: bytes, cuts: list[int], size: int) -> None:
    whole = data + trailer()
    hold = TrailerHold(size)
    released = []
    position, longest = 0, size
    for cut in [*cuts, len(whole)]:
        piece = whole[position : position + cut]
        position += len(piece)
        longest = max(longest, len(piece))
        released += [bytes(part) for part in hold.feed(memoryview(piece))]

    last, tail = hold.end()
    assert b"".join(released) + last == data
    assert tail == trailer()
    assert all(0 < len(part) <= max(longest, TRAILER_LENGTH) for part in released)


@pytest.mark.parametrize(("more_than_a_trailer", "uncopied"), [(3, []), (4, [True])])
def test_a_chunk_of_a_quarter_piece_and_a_trailer_is_passed_on_uncopied(
    more_than_a_trailer: int, uncopied: list[bool]
) -> None:
    chunk = bytearray(more_than_a_trailer + TRAILER_LENGTH)

    assert [part.obj is chunk for part in TrailerHold(19).feed(memoryview(chunk))] == uncopied


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_a_trailer_is_read_back(algorithm: Algorithm) -> None:
    found = parse_trailer(trailer(algorithm, 137), NONCE)

    assert found is not None
    assert (found.algorithm, found.exit_status, found.digest) == (algorithm, 137, "a" * 64)


@pytest.mark.parametrize(
    "tail",
    [
        b"",
        trailer()[1:],
        trailer()[:-1],
        trailer().replace(b"0", b"1", 1),
        trailer("md5"),
        trailer().replace(b"\n", b" "),
    ],
)
def test_anything_else_is_no_trailer(tail: bytes) -> None:
    assert parse_trailer(tail, NONCE) is None


@given(st.binary(min_size=TRAILER_LENGTH, max_size=TRAILER_LENGTH))
def test_random_bytes_are_no_trailer(tail: bytes) -> None:
    assert parse_trailer(tail, NONCE) is None


def test_digests_are_those_of_the_tools_in_the_pod() -> None:
    blake, sha = new_digest(Algorithm.BLAKE2B_256), new_digest(Algorithm.SHA256)
    blake.update(b"abc")
    sha.update(b"abc")

    assert blake.hexdigest() == "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"
    assert sha.hexdigest() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@given(st.lists(st.integers(0, 1500)), st.integers(0, TAIL_BYTES), st.sampled_from(Algorithm))
def test_a_digest_of_all_but_the_last_bytes(sizes: list[int], without: int, algorithm: Algorithm) -> None:
    whole = (bytes(range(251)) * (sum(sizes) // 251 + 1))[: sum(sizes)]
    without = min(without, len(whole))
    digest, position = TailDigest(algorithm), 0
    for size in sizes:
        digest.update(memoryview(whole)[position : position + size])
        position += size

    expected = new_digest(algorithm)
    expected.update(whole[: len(whole) - without])

    assert digest.tail == whole[-TAIL_BYTES:]
    assert digest.hexdigest(without=without) == expected.hexdigest()
    expected.update(whole[len(whole) - without :])
    assert digest.hexdigest() == expected.hexdigest()
