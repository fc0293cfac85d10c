"""Just enough of PostgreSQL's protocol to ask a server on its socket: no driver, no fork per question."""

from __future__ import annotations

import socket
import ssl
import struct
from typing import Self

from .settings import CERTIFICATES, REPLICATION_USER, SOCKETS

Row = list[str | None]

_CANNOT_CONNECT_NOW = "57P03"
_PROTOCOL, _SSL_REQUEST = 196608, 80877103


class ServerError(Exception):
    """The server refused; `code` is the SQLSTATE."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code


class Connection:
    """One session: of the superuser over the local socket, or with a host as the replication user.

    Close it soon: idle ones delay a shutdown.
    """

    def __init__(self, host: str = "", timeout: float = 5.0) -> None:
        self._socket = _remote(host, timeout) if host else _local(timeout)
        user = REPLICATION_USER if host else "postgres"
        try:
            words = ("user", user, "database", "postgres", "application_name", "cnpg-instance-manager")
            body = struct.pack("!i", _PROTOCOL) + b"".join(w.encode() + b"\0" for w in words) + b"\0"
            self._socket.sendall(struct.pack("!i", len(body) + 4) + body)
            self._stream = self._socket.makefile("rb")
            self._until_ready()
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the session."""
        try:
            self._socket.sendall(b"X\0\0\0\4")
        except OSError:
            pass
        finally:
            self._stream.close()
            self._socket.close()

    def query(self, sql: str) -> list[Row]:
        """Run SQL and return the rows of all its statements."""
        body = sql.encode() + b"\0"
        self._socket.sendall(b"Q" + struct.pack("!i", len(body) + 4) + body)
        return self._until_ready()

    def _until_ready(self) -> list[Row]:
        rows: list[Row] = []
        error: ServerError | None = None
        while True:
            head = self._stream.read(5)
            if len(head) < 5:
                raise error or ConnectionError("the server closed the connection")
            kind, length = head[:1], struct.unpack("!i", head[1:])[0]
            body = self._stream.read(length - 4)
            if kind == b"Z":
                if error:
                    raise error
                return rows
            if kind == b"D":
                rows.append(_row(body))
            elif kind == b"E":
                error = _error(body)


def _local(timeout: float) -> socket.socket:
    found = socket.socket(socket.AF_UNIX)
    found.settimeout(timeout)
    try:
        found.connect(str(SOCKETS / ".s.PGSQL.5432"))
    except OSError:
        found.close()
        raise
    return found


def _remote(host: str, timeout: float) -> socket.socket:
    found = socket.create_connection((host, 5432), timeout=timeout)
    try:
        found.sendall(struct.pack("!ii", 8, _SSL_REQUEST))
        if found.recv(1) != b"S":
            raise ConnectionError("the server has no TLS")
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        tls.check_hostname = False
        tls.load_verify_locations(CERTIFICATES / "server-ca.crt")
        stem = f"{CERTIFICATES}/{REPLICATION_USER}"
        tls.load_cert_chain(f"{stem}.crt", f"{stem}.key")
        return tls.wrap_socket(found)
    except BaseException:
        found.close()
        raise


def _row(body: bytes) -> Row:
    (count,) = struct.unpack_from("!h", body)
    row: Row = []
    offset = 2
    for _ in range(count):
        (size,) = struct.unpack_from("!i", body, offset)
        offset += 4
        if size < 0:
            row.append(None)
        else:
            row.append(body[offset : offset + size].decode(errors="replace"))
            offset += size
    return row


def _error(body: bytes) -> ServerError:
    fields = {part[:1]: part[1:].decode(errors="replace") for part in body.split(b"\0") if part}
    return ServerError(fields.get(b"C", ""), fields.get(b"M", ""))


def ping() -> str:
    """What `pg_isready` would say: accepting, rejecting or no response."""
    try:
        Connection(timeout=3.0).close()
    except ServerError as error:
        return "rejecting" if error.code == _CANNOT_CONNECT_NOW else "accepting"
    except OSError:
        return "no response"
    return "accepting"
