"""The frame pump against a server that does everything wrong a server can do."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from exec_server import Peer

from hasteward.domain.errors import DependencyError, InvalidInput
from hasteward.ports.kubernetes import (
    ApiForbidden,
    ApiNotFound,
    ApiUnauthorized,
    ApiUnavailable,
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


@pytest.mark.parametrize("size", [1, 124, 125, 126, 4096, 32768, 65534, 65535, 65536])
@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
def test_output_of_any_frame_size_arrives_with_status_and_close(api: Connect, size: int, tls: bool) -> None:
    data = os.urandom(min(size * 300, 3_000_000))

    def play(peer: Peer) -> None:
        peer.upgrade()
        peer.frame(b"\x01")
        peer.out(data, size=size)
        peer.out(b"warning", channel=2)
        peer.status()
        peer.close()

    with run(api(play, tls=tls), stall=5) as stream:
        assert drain(stream) == (data, b"warning", [DONE])


def test_the_command_container_and_streams_are_in_the_request(api: Connect) -> None:
    seen: list[Peer] = []

    def play(peer: Peer) -> None:
        seen.append(peer)
        peer.upgrade()
        peer.status()
        peer.close()

    with run(api(play), "sh", "-c", "echo 'a & b' $1 ü\n") as stream:
        drain(stream)
    assert seen[0].argv == ["sh", "-c", "echo 'a & b' $1 ü\n"]
    assert seen[0].path.startswith("/api/v1/namespaces/db/pods/pg-1/exec?container=postgres&stdout=true")
    assert seen[0].headers["sec-websocket-protocol"] == "v5.channel.k8s.io"
    assert "origin" not in seen[0].headers


@pytest.mark.parametrize("protocol", ["v4.channel.k8s.io", None])
def test_mode_10_a_server_without_v5_gets_one_clear_refusal(api: Connect, protocol: str | None) -> None:
    with (
        pytest.raises(DependencyError, match=r"needs Kubernetes 1\.30 or newer") as caught,
        run(api(lambda peer: peer.upgrade(protocol))),
    ):
        pass
    assert caught.value.code == "kubernetes.too_old"
    assert not caught.value.retryable


def test_a_bare_403_is_a_kubelet_that_knows_no_v5(api: Connect) -> None:
    with (
        pytest.raises(DependencyError, match=r"needs Kubernetes 1\.30"),
        run(api(lambda peer: peer.answer(403, typed=False))),
    ):
        pass


def status_body(reason: str, message: str, **details: str) -> bytes:
    return json.dumps({"kind": "Status", "reason": reason, "message": message, "details": details}).encode()


def test_refusals_of_the_handshake_become_the_errors_of_the_port(api: Connect) -> None:
    cannot = 'pods "pg-1" is forbidden: User "u" cannot create resource "pods/exec" in API group ""'
    cases: list[tuple[int, bytes, type[Exception], str]] = [
        (401, status_body("Unauthorized", "Unauthorized"), ApiUnauthorized, "credentials"),
        (403, status_body("Forbidden", cannot), ApiForbidden, "not allowed to use pods/exec"),
        (404, status_body("NotFound", "no", name="pg-1"), ApiNotFound, "pod db/pg-1 does not exist"),
        (
            400,
            status_body("BadRequest", "container x is not valid for pod"),
            InvalidInput,
            "container x is not",
        ),
        (500, status_body("InternalError", "error dialing backend"), ApiUnavailable, "dialing"),
        (302, b"", ApiUnavailable, "redirect|Redirect"),
    ]
    for code, body, kind, words in cases:
        with (
            pytest.raises(kind, match=words) as caught,
            run(api(lambda peer, code=code, body=body: peer.answer(code, body))),
        ):
            pass
        if code == 403:
            assert caught.value.hint == (
                'grant: apiGroups [""] resources ["pods/exec"] verbs ["get", "create"]'
            )


def test_nobody_listening_is_unavailable(api: Connect, serve: Connect) -> None:
    client = api(lambda _: None)
    client._configuration.host = "https://127.0.0.1:1"
    with pytest.raises(ApiUnavailable, match="Connection refused"), run(client):
        pass


@pytest.mark.parametrize(
    ("exit_code", "causes", "expected"), [(3, True, 3), (137, True, 137), (126, False, None)]
)
def test_a_failure_tells_its_exit_code_if_there_is_one(
    api: Connect, exit_code: int, causes: bool, expected: int | None
) -> None:
    def play(peer: Peer) -> None:
        peer.upgrade()
        peer.status(exit_code, message="it failed", causes=causes)
        peer.close()

    with run(api(play)) as stream:
        assert stream.receive() == ExitStatus(success=False, exit_code=expected, message="it failed")
        assert stream.receive() is None
        assert stream.receive() is None


def test_a_close_without_status_ends_the_output_in_good_order(api: Connect) -> None:
    def play(peer: Peer) -> None:
        peer.upgrade()
        peer.out(b"half")
        peer.close(1011, "internal error")

    with run(api(play)) as stream:
        assert drain(stream) == (b"half", b"", [])


@pytest.mark.parametrize("accident", ["fin", "reset"])
@pytest.mark.parametrize("sent", [0, 1, 40_000])
@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
def test_a_lost_connection_is_broken_and_not_the_end(
    api: Connect, accident: str, sent: int, tls: bool
) -> None:
    may_go = threading.Event()

    def play(peer: Peer) -> None:
        peer.upgrade()
        peer.out(bytes(sent))
        if accident == "reset":
            may_go.wait(5)
            peer.reset()

    with run(api(play, tls=tls), stall=5) as stream:
        got = 0
        if accident == "reset":
            while got < sent:
                frame = stream.receive()
                assert isinstance(frame, Output)
                got += len(frame.data)
            may_go.set()
        more, loss = count_until_lost(stream)
        assert type(loss) is StreamBroken
        assert got + more == sent


def count_until_lost(stream: ExecStream) -> tuple[int, StreamBroken]:
    count = 0
    try:
        while isinstance(frame := stream.receive(), Output):
            count += len(frame.data)
    except StreamBroken as error:
        return count, error
    pytest.fail(f"{frame} after {count} bytes")


def test_a_frame_cut_in_the_middle_is_broken(api: Connect) -> None:
    def play(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(b"\x82\x7e\x80\x00\x01" + bytes(500))

    with run(api(play)) as stream, pytest.raises(StreamBroken):
        drain(stream)


def test_a_lost_connection_after_the_status_no_longer_matters(api: Connect) -> None:
    def play(peer: Peer) -> None:
        peer.upgrade()
        peer.status()

    with run(api(play)) as stream:
        assert drain(stream) == (b"", b"", [DONE])


@pytest.mark.parametrize("pings", [False, True], ids=["silent", "only pings"])
def test_a_server_that_says_nothing_new_has_stalled(api: Connect, pings: bool) -> None:
    def play(peer: Peer) -> None:
        peer.upgrade()
        peer.out(b"some")
        while pings:
            peer.frame(b"beat", opcode=9)
            time.sleep(0.02)
        peer.linger()

    began = time.monotonic()
    with run(api(play)) as stream, pytest.raises(StreamStalled, match=r"nothing moved for 0\.3 s"):
        drain(stream)
    assert STALL <= time.monotonic() - began < 5


def test_output_that_trickles_has_not_stalled(api: Connect) -> None:
    def play(peer: Peer) -> None:
        peer.upgrade()
        for _ in range(6):
            time.sleep(0.1)
            peer.out(b".")
        time.sleep(0.15)
        peer.status()
        peer.close()

    with run(api(play)) as stream:
        assert drain(stream) == (b"......", b"", [DONE])


def test_mode_07_the_time_the_caller_takes_is_not_the_servers(api: Connect) -> None:
    def play(peer: Peer) -> None:
        peer.upgrade()
        peer.out(b"a")
        time.sleep(0.6)
        peer.out(b"b")
        peer.status()
        peer.close()

    with run(api(play)) as stream:
        stream.receive()
        time.sleep(0.5)
        assert drain(stream) == (b"b", b"", [DONE])


def test_mode_06_a_ping_is_answered_with_its_own_payload(api: Connect) -> None:
    pongs: list[tuple[int, bytes]] = []

    def play(peer: Peer) -> None:
        peer.upgrade()
        peer.frame(b"are you there", opcode=9)
        pongs.append(peer.read_frame())
        peer.status()
        peer.close()

    with run(api(play)) as stream:
        assert drain(stream) == (b"", b"", [DONE])
    assert pongs == [(10, b"are you there")]


def test_no_frame_is_sent_while_output_flows(api: Connect) -> None:
    sent: list[bytes] = []

    def play(peer: Peer) -> None:
        peer.upgrade()
        peer.out(bytes(1_000_000))
        peer.sock.settimeout(0.1)
        with contextlib.suppress(TimeoutError):
            sent.append(peer.sock.recv(1))
        peer.sock.settimeout(None)
        peer.status()
        peer.close()

    with run(api(play), stall=5) as stream:
        drain(stream)
    assert sent == []


@pytest.mark.parametrize("payload", [b"text", b"\x07data", b"\x00data"], ids=["text", "channel 7", "stdin"])
def test_what_the_protocol_does_not_know_breaks_the_stream(api: Connect, payload: bytes) -> None:
    def play(peer: Peer) -> None:
        peer.upgrade()
        peer.frame(payload, opcode=1 if payload == b"text" else 2)
        peer.linger()

    with run(api(play)) as stream, pytest.raises(StreamBroken, match="broke the protocol"):
        drain(stream)


def test_a_status_in_fragments_is_read_when_it_is_whole(api: Connect) -> None:
    def play(peer: Peer) -> None:
        peer.upgrade()
        peer.frame(b'\x03{"status":', fin=False)
        peer.frame(b"beat", opcode=9)
        peer.frame(b'"Success"}', opcode=0)
        peer.close()

    with run(api(play)) as stream:
        assert drain(stream) == (b"", b"", [DONE])
