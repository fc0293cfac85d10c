"""The TLS socket against the standard library's own, over a pair of sockets."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hasteward.adapters.kubernetes.tls import TlsSocket
from hasteward.adapters.kubernetes.wire import Wire
from hasteward.ports.kubernetes import StreamBroken

Serve = Callable[[ssl.SSLSocket], None]


@contextmanager
def served(
    certificates: Path,
    serve: Serve,
    *,
    trust: str = "ca.pem",
    tls: str = "",
    failed: list[BaseException] | None = None,
) -> Iterator[TlsSocket]:
    """Our end of a connection; `serve` plays the other in a thread. How that failed is raised or told."""
    ours, theirs = socket.socketpair()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    server.load_cert_chain(certificates / "server.pem")
    client.load_verify_locations(certificates / trust)
    if tls:
        client.maximum_version = ssl.TLSVersion[tls]
    errors: list[BaseException] = []

    def other() -> None:
        try:
            with theirs, server.wrap_socket(theirs, server_side=True) as sock:
                serve(sock)
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    thread = threading.Thread(target=other)
    thread.start()
    ours.settimeout(10)
    try:
        with ours:
            yield TlsSocket(ours, client, "kube.example")
    finally:
        thread.join(10)
        assert not thread.is_alive()
        if failed is not None:
            failed += errors
    if errors:
        raise errors[0]


def read_all(wire: Wire) -> bytes:
    """Everything, to the end of the connection."""
    got, space = bytearray(), memoryview(bytearray(100_000))
    while True:
        try:
            count = wire.read_into(space)
        except StreamBroken:
            return bytes(got)
        if count is None:
            wire.wait(10, to_write=False)
        else:
            got += space[:count]


@pytest.mark.parametrize("tls", ["TLSv1_2", "TLSv1_3"])
@pytest.mark.parametrize("farewell", [True, False], ids=["in good order", "cut"])
def test_every_byte_before_the_end_is_read(certificates: Path, tls: str, farewell: bool) -> None:
    data = os.urandom(3_000_001)

    def serve(sock: ssl.SSLSocket) -> None:
        sock.sendall(data)
        if farewell:
            # Says that nothing follows, and hears the same from nobody.
            with pytest.raises(ssl.SSLError):
                sock.unwrap()

    with served(certificates, serve, tls=tls) as sock:
        first = sock.recv(1)
        assert first + read_all(Wire(sock)) == data


def test_what_waits_for_room_goes_while_the_answer_is_read(certificates: Path) -> None:
    """The other side reads nothing until it has spoken; then the whole of what was sent must come."""
    spoken = threading.Event()
    got = hashlib.sha256()

    def serve(sock: ssl.SSLSocket) -> None:
        assert spoken.wait(10)
        sock.sendall(b"now")
        left = size
        while left:
            part = sock.recv(65536)
            assert part, "the end came too early"
            got.update(part)
            left -= len(part)
        sock.sendall(b"thanks")

    part = os.urandom(200_000)
    with served(certificates, serve) as sock:
        wire, size = Wire(sock), 0
        sent = hashlib.sha256()
        while count := wire.write(memoryview(part)):
            # All or nothing: what has been sealed cannot be sealed again.
            assert count == len(part)
            sent.update(part)
            size += count
        assert sock.unsent
        spoken.set()
        said, space = b"", memoryview(bytearray(1000))
        while said != b"nowthanks":
            if (more := wire.read_into(space)) is None:
                wire.wait(10, to_write=False)
            else:
                said += bytes(space[:more])
        assert not sock.unsent
    assert got.digest() == sent.digest()


def test_a_record_that_was_changed_on_the_way_is_no_data(certificates: Path) -> None:
    def serve(sock: ssl.SSLSocket) -> None:
        sock.sendall(b"whole")
        # Past TLS: bytes that nobody sealed.
        os.write(sock.fileno(), b"\x17\x03\x03\x00\x20" + bytes(32))

    with served(certificates, serve) as sock:
        wire = Wire(sock)
        assert read_all(wire) == b"whole"
        with pytest.raises(StreamBroken, match=r"(?i)bad.record.mac"):
            wire.read_into(memoryview(bytearray(1)))


def test_the_other_side_is_told_why_its_certificate_was_not_accepted(certificates: Path) -> None:
    told: list[BaseException] = []
    with (
        pytest.raises(ssl.SSLCertVerificationError),
        served(certificates, lambda _: None, trust="strange.pem", failed=told),
    ):
        pass
    assert "alert unknown ca" in str(told[0])


def test_a_server_that_leaves_or_says_nothing_in_the_handshake_is_an_error_of_the_connection() -> None:
    context = ssl.create_default_context()
    ours, theirs = socket.socketpair()
    with ours:
        theirs.close()
        with pytest.raises(OSError, match=r"(?i)eof|reset|broken pipe"):
            TlsSocket(ours, context, "kube.example")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0.1)
        with pytest.raises(TimeoutError):
            TlsSocket(ours, context, "kube.example")
