"""Writing to a process that is slow, deaf, chatty or gone."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from exec_server import Peer

from hasteward.ports.kubernetes import (
    Channel,
    ExecStream,
    ExitStatus,
    Output,
    PodRef,
    StreamBroken,
    StreamStalled,
)

POD = PodRef("db", "pg-1", "postgres")
STALL = 0.3
DONE = ExitStatus(success=True, exit_code=0, message="")
Connect = Callable[..., Any]


def run(api: Any, *argv: str, stall: float = STALL) -> Any:
    return api.exec(POD, argv or ["true"], stdin=True, stall_seconds=stall)


def drain(stream: ExecStream) -> tuple[bytes, bytes, list[ExitStatus]]:
    """Everything until the connection closes in good order."""
    out = {Channel.STDOUT: bytearray(), Channel.STDERR: bytearray()}
    statuses = []
    while (frame := stream.receive()) is not None:
        if isinstance(frame, Output):
            assert len(frame.data)
            out[frame.channel] += frame.data
        else:
            statuses.append(frame)
    return bytes(out[Channel.STDOUT]), bytes(out[Channel.STDERR]), statuses


@pytest.mark.parametrize("size", [0, 1, 125, 126, 131072, 131073, 3_000_000])
@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
def test_input_arrives_whole_and_then_ends(api: Connect, size: int, tls: bool) -> None:
    data = os.urandom(size)
    got = bytearray()

    def play(peer: Peer) -> None:
        peer.upgrade()
        peer.frame(b"\x01")
        for part in peer.input():
            got.extend(part)
        peer.out(b"thanks")
        peer.status()
        peer.close()

    with run(api(play, tls=tls), stall=5) as stream:
        assert stream.send(memoryview(data))
        stream.finish_input()
        assert drain(stream) == (b"thanks", b"", [DONE])
    assert bytes(got) == data


def test_a_slow_reader_is_waited_for_as_long_as_it_moves(api: Connect) -> None:
    total = 0

    def play(peer: Peer) -> None:
        nonlocal total
        peer.upgrade()
        for number, part in enumerate(peer.input()):
            total += len(part)
            if number % 16 == 0:
                time.sleep(0.05)
        peer.status()
        peer.close()

    with run(api(play), stall=1.0) as stream:
        assert all(stream.send(bytes(1_000_000)) for _ in range(24))
        stream.finish_input()
        assert drain(stream)[2] == [DONE]
    assert total == 24_000_000


def send_until_told(stream: ExecStream) -> int:
    sent = 0
    while stream.send(bytes(1_000_000)):
        sent += 1
        assert sent < 200, "nothing stopped us"
    return sent


def test_a_reader_that_stops_is_a_stall(api: Connect) -> None:
    def play(peer: Peer) -> None:
        peer.upgrade()
        threading.Event().wait(1.0)

    with run(api(play)) as stream, pytest.raises(StreamStalled):
        send_until_told(stream)


@pytest.mark.parametrize("reads", [True, False], ids=["while reading on", "and reads no more"])
@pytest.mark.parametrize("answer", ["stdout", "status", "close"])
def test_an_early_answer_ends_the_sending(api: Connect, answer: str, reads: bool) -> None:
    def play(peer: Peer) -> None:
        peer.upgrade()
        peer.read_frame()
        if answer == "stdout":
            peer.out(b"enough")
        if answer != "close":
            peer.status(1)
        peer.frame(b"\x03\xe8", opcode=8)
        if reads:
            peer.linger()
        else:
            threading.Event().wait(0.3)

    with run(api(play), stall=5) as stream:
        send_until_told(stream)
        assert not stream.send(b"again")
        out, _, statuses = drain(stream)
    assert out == (b"enough" if answer == "stdout" else b"")
    assert [status.exit_code for status in statuses] == ([] if answer == "close" else [1])


def test_an_answer_followed_by_a_reset_is_still_heard(api: Connect) -> None:
    """The process ended early; the server says so and drops the connection with our input unread."""

    def play(peer: Peer) -> None:
        peer.upgrade()
        peer.read_frame()
        peer.out(b"no room left", channel=2)
        peer.status(1)
        threading.Event().wait(0.2)

    with run(api(play), stall=5) as stream:
        send_until_told(stream)
        frame = stream.receive()
        assert isinstance(frame, Output)
        assert bytes(frame.data) == b"no room left"
        status = stream.receive()
        assert isinstance(status, ExitStatus)
        assert status.exit_code == 1


def test_chatter_on_stderr_neither_stops_nor_blocks_the_sending(api: Connect) -> None:
    def play(peer: Peer) -> None:
        peer.upgrade()
        for number, _ in enumerate(peer.input()):
            peer.out(b"NOTICE %06d\n" % number * 3000, channel=2)
        peer.status()
        peer.close()

    with run(api(play), stall=5) as stream:
        assert all(stream.send(bytes(1_000_000)) for _ in range(16))
        stream.finish_input()
        out, err, statuses = drain(stream)
    assert out == b""
    assert statuses == [DONE]
    assert err.endswith(b"\n")
    assert len(err) <= 16 * 8 * 3000 * 14


@pytest.mark.parametrize("accident", ["fin", "reset"])
def test_a_connection_lost_while_sending_is_broken(api: Connect, accident: str) -> None:
    def play(peer: Peer) -> None:
        peer.upgrade()
        peer.read_frame()
        if accident == "reset":
            peer.reset()

    with run(api(play), stall=5) as stream, pytest.raises(StreamBroken):
        send_until_told(stream)


def test_leaving_never_hangs_and_says_goodbye_when_it_can(api: Connect) -> None:
    heard: list[tuple[int, bytes]] = []
    left = threading.Event()

    def play(peer: Peer) -> None:
        peer.upgrade()
        peer.out(b"x")
        heard.append(peer.read_frame())
        left.set()

    with run(api(play), stall=60) as stream:
        stream.receive()
    assert left.wait(5)
    assert heard == [(8, b"\x03\xe8")]

    def deaf(peer: Peer) -> None:
        peer.upgrade()
        threading.Event().wait(1.0)

    began = time.monotonic()
    with run(api(deaf)) as stream, pytest.raises(StreamStalled):
        send_until_told(stream)
    assert time.monotonic() - began < 1.0


def test_an_error_of_the_caller_passes_through_and_closes_the_connection(api: Connect) -> None:
    ended = threading.Event()

    def play(peer: Peer) -> None:
        peer.upgrade()
        try:
            peer.linger()
        finally:
            ended.set()

    with pytest.raises(ZeroDivisionError), run(api(play)):
        raise ZeroDivisionError
    assert ended.wait(5)
