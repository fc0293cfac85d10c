"""SPDY as kubectl speaks it; the transcripts show the rest."""

from __future__ import annotations

import struct
import zlib

from hasteward_lab.api.wire import spdy


def syn_stream(number: int, deflate: zlib._Compress, **headers: str) -> bytes:
    words = [word.encode() for pair in headers.items() for word in pair]
    plain = struct.pack("!I", len(headers)) + b"".join(struct.pack("!I", len(word)) + word for word in words)
    packed = deflate.compress(plain) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return spdy.control(spdy.SYN_STREAM, struct.pack("!IIBB", number, 0, 0, 0) + packed)


def test_the_dictionary_is_the_one_of_the_specification() -> None:
    assert (len(spdy.DICTIONARY), zlib.adler32(spdy.DICTIONARY)) == (1423, 0xE3C6A7C2)


def test_frames_are_put_together_however_they_arrive() -> None:
    deflate = zlib.compressobj(zdict=spdy.DICTIONARY)
    wire = syn_stream(1, deflate, streamType="stdin") + syn_stream(3, deflate, streamType="error")
    wire += spdy.data(1, b"hello") + spdy.data(1, b"", last=True) + spdy.control(spdy.PING, b"\0\0\0\7")
    expected = [
        spdy.Frame(spdy.SYN_STREAM, 1, headers={"streamtype": "stdin"}),
        spdy.Frame(spdy.SYN_STREAM, 3, headers={"streamtype": "error"}),
        spdy.Frame(spdy.DATA, 1, 0, b"hello"),
        spdy.Frame(spdy.DATA, 1, spdy.FIN),
        spdy.Frame(spdy.PING, 7, 0, b"\0\0\0\7"),
    ]
    for step in (1, 7, len(wire)):
        codec = spdy.Codec()
        pieces = [wire[start : start + step] for start in range(0, len(wire), step)]
        assert [frame for piece in pieces for frame in codec.feed(piece)] == expected
