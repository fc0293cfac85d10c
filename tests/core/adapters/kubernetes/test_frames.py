"""The frame codec, without a socket."""

from __future__ import annotations

import os
import struct

import pytest
from exec_server import server_frame
from hypothesis import given, settings
from hypothesis import strategies as st

from hasteward.adapters.kubernetes import frames
from hasteward.adapters.kubernetes.frames import Close, Data, Decoder, Opcode, Ping, ProtocolError, encode

SIZES = [1, 2, 125, 126, 127, 65535, 65536, 32 * 1024 * 1024]


def decode(stream: bytes, cuts: list[int] | None = None, *, bulk: int | None = None) -> list[object]:
    """Feed a stream in pieces; join the data per message and keep control frames in place."""
    decoder = Decoder(bulk)
    found: list[object] = []
    message = bytearray()
    position = 0
    steps = iter(cuts or [])
    while position < len(stream):
        space = decoder.space()
        count = min(len(space), next(steps, len(stream)), len(stream) - position)
        space[:count] = stream[position : position + count]
        decoder.filled(count)
        position += count
        while (event := decoder.next()) is not None:
            if isinstance(event, Data):
                message += event.payload
                if event.last:
                    found.append((event.channel, bytes(message)))
                    message.clear()
            else:
                found.append(event)
    return found


def unmask(frame: bytes) -> tuple[int, bytes]:
    size, at = frame[1] & 0x7F, 2
    if size > 125:
        width = 2 if size == 126 else 8
        size, at = int.from_bytes(frame[2 : 2 + width], "big"), 2 + width
    mask, masked = frame[at : at + 4], frame[at + 4 :]
    assert frame[1] & 0x80
    assert len(masked) == size
    repeated = (mask * (size // 4 + 1))[:size]
    plain = int.from_bytes(masked, "big") ^ int.from_bytes(repeated, "big")
    return frame[0], plain.to_bytes(size, "big")


@pytest.mark.parametrize("size", SIZES)
def test_a_frame_of_any_size_arrives_whole(size: int) -> None:
    payload = b"\x01" + os.urandom(size - 1)
    assert decode(server_frame(payload)) == [(1, payload[1:])]


@pytest.mark.parametrize("size", SIZES[:-1])
@pytest.mark.parametrize("channel", [None, 0, 255])
def test_what_we_send_is_one_masked_final_frame(size: int, channel: int | None) -> None:
    data = os.urandom(size)
    head = b"" if channel is None else bytes((channel,))
    assert unmask(encode(Opcode.BINARY, memoryview(data), channel=channel)) == (0x82, head + data)


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 1000])
def test_the_mask_in_plain_python_makes_the_same_bytes(size: int) -> None:
    data, mask = os.urandom(size), os.urandom(4)
    assert frames._xor(memoryview(data), mask) == frames._apply_mask(data, mask)


@settings(max_examples=150, deadline=None)
@given(
    messages=st.lists(
        st.tuples(st.sampled_from([1, 2, 3]), st.binary(max_size=400), st.integers(1, 200), st.booleans()),
        max_size=8,
    ),
    cuts=st.lists(st.integers(1, 150), max_size=60),
)
def test_random_fragments_and_random_reads_give_the_same_messages(
    messages: list[tuple[int, bytes, int, bool]], cuts: list[int]
) -> None:
    stream, expected = b"", []
    for channel, data, size, ping in messages:
        whole = bytes((channel,)) + data
        parts = [whole[i : i + size] for i in range(0, len(whole), size)]
        for number, part in enumerate(parts):
            stream += server_frame(part, opcode=0 if number else 2, fin=number == len(parts) - 1)
            if ping and number == 0:
                stream += server_frame(b"beat", opcode=9)
        expected += [(channel, data)]
    found = decode(stream, cuts)
    assert [item for item in found if isinstance(item, tuple) and type(item) is tuple] == expected
    assert sum(isinstance(item, Ping) for item in found) == sum(ping for *_, ping in messages)
    gathered = decode(stream, cuts, bulk=1)
    assert streams(gathered) == streams(found)


def streams(found: list[object]) -> list[object]:
    """The same where it does not matter how messages of channel 1 that follow each other are cut."""
    joined: list[object] = []
    for item in found:
        before = joined[-1] if joined else None
        if type(item) is tuple and type(before) is tuple and item[0] == before[0] == 1:
            joined[-1] = (1, before[1] + item[1])
        else:
            joined.append(item)
    return joined


@pytest.mark.parametrize("size", [1, 2, 125, 126, 4000, 65534, 65535, 70000])
def test_frames_of_the_bulk_that_came_together_are_one_piece(size: int) -> None:
    data = os.urandom(size)
    stream = server_frame(b"\x01" + data) * 3
    decoder = Decoder(bulk=1)
    space = decoder.space()
    space[: len(stream)] = stream
    decoder.filled(len(stream))
    event = decoder.next()
    assert isinstance(event, Data)
    assert (event.channel, bytes(event.payload)) == (1, data * 3)
    assert decoder.next() is None


def test_a_close_frame_tells_its_code_and_reason() -> None:
    assert decode(server_frame(struct.pack("!H", 1011) + b"gone", opcode=8)) == [Close(1011, "gone")]
    assert decode(server_frame(b"", opcode=8)) == [Close(1005, "")]


def test_an_empty_message_and_a_pong_mean_nothing() -> None:
    assert decode(server_frame(b"") + server_frame(b"x", opcode=10) + server_frame(b"\x01a")) == [(1, b"a")]


@pytest.mark.parametrize(
    "stream",
    [
        server_frame(b"text", opcode=1),
        server_frame(b"more", opcode=0),
        server_frame(b"\x01a", fin=False) + server_frame(b"\x01b"),
        server_frame(b"x" * 126, opcode=9),
        server_frame(b"x", opcode=9, fin=False),
        server_frame(b"x", opcode=8),
        server_frame(b"x", opcode=11),
        server_frame(b"x", opcode=3),
        b"\xc2\x01x",
        b"\x82\x81aaaax",
        struct.pack("!BBQ", 0x82, 127, 33 * 1024 * 1024 + 1),
    ],
    ids=[
        "text",
        "continuation",
        "nested",
        "long ping",
        "cut ping",
        "close of one byte",
        "opcode 11",
        "opcode 3",
        "compressed",
        "masked",
        "too big",
    ],
)
def test_l82_what_no_server_may_send_is_refused(stream: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(stream)
