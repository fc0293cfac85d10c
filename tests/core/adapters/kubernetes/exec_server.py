"""An API server reduced to exec: raw TLS sockets, so that it can cut, stall and lie at any byte.

A test gives it a play: a function that is called with a `Peer` for every connection.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import hashlib
import ipaddress
import json
import os
import signal
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

V5 = "v5.channel.k8s.io"
_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_NO_STATUS = 9999


class Gone(Exception):
    """The client left."""


def make_certificates(folder: Path) -> None:
    """ca.pem, server.pem, client.pem (certificate and key in one file each) and strange.pem, another CA."""
    now = dt.datetime.now(dt.UTC)

    def build(
        name: str, file: str, issuer: x509.Name, signer: ec.EllipticCurvePrivateKey | None
    ) -> ec.EllipticCurvePrivateKey:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        )
        if name == "server":
            names = [x509.DNSName("kube.example"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(signer or key, hashes.SHA256())
        pem = serialization.Encoding.PEM
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (folder / file).write_bytes(certificate.public_bytes(pem) + private)
        return key

    authority = build("authority", "ca.pem", _named("authority"), None)
    build("server", "server.pem", _named("authority"), authority)
    build("client", "client.pem", _named("authority"), authority)
    build("stranger", "strange.pem", _named("stranger"), None)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@dataclass
class Peer:
    """One connection, seen from the server. Channel data, statuses and accidents are methods."""

    sock: socket.socket
    path: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    rest: bytes = b""

    @property
    def argv(self) -> list[str]:
        return parse_qs(urlsplit(self.path).query)["command"]

    def read_request(self) -> None:
        while b"\r\n\r\n" not in self.rest:
            self._more()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        self.path = first.split(" ")[1]
        self.headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}

    def answer(self, code: int, body: bytes = b"", *, typed: bool = True) -> None:
        """Plain HTTP instead of an upgrade."""
        head = f"HTTP/1.1 {code} Reason\r\n"
        if typed:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self.sock.sendall(head.encode() + b"\r\n" + body)

    def upgrade(self, protocol: str | None = V5) -> None:
        key = self.headers["sec-websocket-key"] + _MAGIC
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()  # noqa: S324 - RFC 6455
        head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        head += f"Sec-WebSocket-Accept: {accept}\r\n"
        head += f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol else ""
        self.sock.sendall(head.encode() + b"\r\n")

    # -- what a server sends -------------------------------------------------------------------------------

    def frame(self, payload: bytes, *, opcode: int = 2, fin: bool = True) -> None:
        self.sock.sendall(server_frame(payload, opcode=opcode, fin=fin))

    def out(self, data: bytes, *, size: int = 32768, channel: int = 1) -> None:
        for start in range(0, len(data), size):
            self.frame(bytes((channel,)) + data[start : start + size])

    def status(self, exit_code: int = 0, *, message: str = "command terminated", causes: bool = True) -> None:
        status: dict[str, object] = {"status": "Success"}
        if exit_code:
            cause = {"causes": [{"reason": "ExitCode", "message": str(exit_code)}]} if causes else {}
            status = {"status": "Failure", "message": message, "reason": "NonZeroExitCode", "details": cause}
        self.frame(b"\x03" + json.dumps(status).encode())

    def close(self, code: int = 1000, reason: str = "") -> None:
        self.frame(struct.pack("!H", code) + reason.encode(), opcode=8)
        self.linger()

    def linger(self) -> None:
        """Wait for the client to leave, so that our last words are not lost in a reset."""
        with contextlib.suppress(OSError, Gone):
            while True:
                self.rest = b""
                self._more()

    def reset(self) -> None:
        """RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # -- what it receives ----------------------------------------------------------------------------------

    def _more(self) -> None:
        chunk = self.sock.recv(262144)
        if not chunk:
            raise Gone
        self.rest += chunk

    def _exactly(self, count: int) -> bytes:
        while len(self.rest) < count:
            self._more()
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def read_frame(self) -> tuple[int, bytes]:
        """Opcode and unmasked payload."""
        first, second = self._exactly(2)
        size = second & 0x7F
        if size > 125:
            size = int.from_bytes(self._exactly(2 if size == 126 else 8), "big")
        assert second & 0x80, "a client must mask"
        mask = self._exactly(4)
        masked = self._exactly(size)
        repeated = (mask * (size // 4 + 1))[:size]
        plain = int.from_bytes(masked, "big") ^ int.from_bytes(repeated, "big")
        return first & 0x0F, plain.to_bytes(size, "big")

    def input(self) -> Iterator[bytes]:
        """What the client writes to stdin, until it half-closes or leaves."""
        while True:
            opcode, payload = self.read_frame()
            if opcode == 8:
                raise Gone
            if opcode == 2 and payload == b"\xff\x00":
                return
            if opcode == 2:
                assert payload[0] == 0
                yield payload[1:]


def server_frame(payload: bytes, *, opcode: int = 2, fin: bool = True) -> bytes:
    size = len(payload)
    first = (0x80 if fin else 0) | opcode
    if size < 126:
        return struct.pack("!BB", first, size) + payload
    if size < 65536:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload


Play = Callable[[Peer], None]


class Server:
    """Accepts connections and lets each play its part in a thread of its own."""

    def __init__(self, play: Play, certificates: Path | None, *, ask_client: bool = False) -> None:
        self._play = play
        self._context: ssl.SSLContext | None = None
        if certificates is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificates / "server.pem")
            if ask_client:
                self._context.load_verify_locations(certificates / "ca.pem")
                self._context.verify_mode = ssl.CERT_REQUIRED
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.errors: list[BaseException] = []
        self._socks: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http{'s' if self._context else ''}://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            # As servers written in Go do; else small last words wait for an ACK and die in a reset.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(sock,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True, suppress_ragged_eofs=True)
            self._socks.append(sock)
            peer = Peer(sock)
            peer.read_request()
            self._play(peer)
        except (OSError, Gone):
            pass
        except BaseException as error:  # noqa: BLE001 - shown by the fixture
            self.errors.append(error)
        finally:
            sock.close()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._socks:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive(), "a connection of the test server did not end"


@dataclass
class Kubelet:
    """A play that runs the given argv here, with accidents: what a runtime really does to a stream.

    `cut` ends stdout after so many bytes, by `accident` ("fin", "reset" or "success", a false one); `flip`
    turns one bit of stdout; `swallow` loses stdin from that byte on, as a runtime that was restarted.
    """

    cut: int | None = None
    accident: str = "fin"
    flip: int | None = None
    swallow: int | None = None

    def __call__(self, peer: Peer) -> None:
        peer.upgrade()
        peer.frame(b"\x01")
        process = subprocess.Popen(
            peer.argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        feeder = threading.Thread(target=self._feed, args=(peer, process.stdin))
        feeder.start()
        done = 0
        try:
            while chunk := os.read(process.stdout.fileno(), 32768):
                if self.flip is not None and done <= self.flip < done + len(chunk):
                    at = self.flip - done
                    chunk = chunk[:at] + bytes((chunk[at] ^ 1,)) + chunk[at + 1 :]
                if self.cut is not None and done + len(chunk) >= self.cut:
                    peer.out(chunk[: self.cut - done])
                    self._have_accident(peer)
                    return
                peer.out(chunk)
                done += len(chunk)
            peer.out(process.stderr.read(), channel=2)
            peer.status(process.wait())
            peer.frame(struct.pack("!H", 1000), opcode=8)
        finally:
            with contextlib.suppress(OSError):
                # The reader below ends when the client leaves; after an accident it ends now.
                if self.cut is not None:
                    peer.sock.shutdown(socket.SHUT_RD if self.accident == "reset" else socket.SHUT_RDWR)
            feeder.join()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()
            process.stderr.close()

    def _feed(self, peer: Peer, stdin: object) -> None:
        taken = 0
        with contextlib.suppress(OSError, Gone, ValueError), contextlib.closing(stdin):  # type: ignore[type-var]
            for data in peer.input():
                keep = data if self.swallow is None else data[: max(0, self.swallow - taken)]
                taken += len(data)
                stdin.write(keep)  # type: ignore[attr-defined]
                stdin.flush()  # type: ignore[attr-defined]
            stdin.close()  # type: ignore[attr-defined]
        # Also when the process no longer reads: what it said must not be lost in a reset.
        peer.linger()

    def _have_accident(self, peer: Peer) -> None:
        match self.accident:
            case "success":
                peer.status(0)
                peer.frame(struct.pack("!H", 1000), opcode=8)
            case "reset":
                # Closing is left to the end of the connection: a reader still holds the socket.
                peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            case _:
                pass
