"""The manager's two small servers: probes and status over TLS for all, the rest for its own programs."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

from .settings import CERTIFICATES, LOCAL_PORT, STATUS_PORT

Answer = tuple[int, str | dict[str, Any]]
# Path, and whether the caller showed a client certificate.
Handler = Callable[[str, bool], Answer]

_PATIENCE = 5.0
_LONGEST_REQUEST = 65536


def serve(handler: Handler) -> None:
    """Answer on both ports; returns at once."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATES / "server.crt", CERTIFICATES / "server.key")
    tls.load_verify_locations(CERTIFICATES / "client-ca.crt")
    tls.verify_mode = ssl.CERT_OPTIONAL
    for host, port, context in (("0.0.0.0", STATUS_PORT, tls), ("127.0.0.1", LOCAL_PORT, None)):
        listening = socket.create_server((host, port), backlog=64)
        threading.Thread(target=_accept, args=(listening, context, handler), daemon=True).start()


def _accept(listening: socket.socket, tls: ssl.SSLContext | None, handler: Handler) -> None:
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=_answer, args=(connection, tls, handler), daemon=True).start()


def _answer(connection: socket.socket, tls: ssl.SSLContext | None, handler: Handler) -> None:
    connection.settimeout(_PATIENCE)
    with contextlib.suppress(OSError), connection:
        certified = tls is None
        stream = connection
        if tls:
            stream = tls.wrap_socket(connection, server_side=True)
            certified = bool(stream.getpeercert())
        with stream:
            path = _path(stream)
            if path:
                _send(stream, handler(path, certified))


def _path(stream: socket.socket) -> str:
    data = b""
    while b"\r\n\r\n" not in data:
        block = stream.recv(4096)
        if not block or len(data) > _LONGEST_REQUEST:
            return ""
        data += block
    parts = data.split(b" ", 2)
    return parts[1].decode(errors="replace").split("?")[0] if len(parts) > 1 else ""


def _send(stream: socket.socket, answer: Answer) -> None:
    code, said = answer
    kind = "text/plain; charset=utf-8" if isinstance(said, str) else "application/json"
    body = (said if isinstance(said, str) else json.dumps(said)).encode()
    words = {200: "OK", 401: "Unauthorized", 404: "Not Found", 500: "Internal Server Error"}
    head = (
        f"HTTP/1.1 {code} {words.get(code, 'Error')}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    stream.sendall(head.encode() + body)
