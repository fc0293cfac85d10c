"""TLS on a socket whose bytes are fetched and sent in large pieces.

The standard library's TLS socket asks the kernel twice for every record of 16 KiB. Here it is asked once for
many of them, which is a tenth of all the processor time that a download takes.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import Any

#: what is asked of the kernel at a time
_FETCHED = 512 * 1024


class TlsSocket:
    """The part of a socket that a WebSocket's handshake and `Wire` need; the TLS handshake is done by then.

    Raises what a plain socket raises: BlockingIOError (never SSLWantReadError) or TimeoutError, as it was
    set, and ssl.SSLError, an OSError, for what TLS does not allow.
    """

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, server_hostname: str | None) -> None:
        self._sock = sock
        self._fetched, self._sealed = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._fetched, self._sealed, server_hostname=server_hostname)
        self._space = memoryview(bytearray(_FETCHED))
        #: sealed, and not yet taken by the kernel
        self._unsent = memoryview(b"")
        try:
            self._shake_hands()
        except OSError:
            # the alert that says why we leave
            with contextlib.suppress(OSError):
                self._flush()
            raise

    @property
    def unsent(self) -> bool:
        """Whether bytes wait for room: they go with the next read or write after there is some."""
        return bool(self._unsent)

    def recv(self, size: int) -> bytes:
        """At most so many bytes; none at the end of the connection."""
        space = bytearray(size)
        return bytes(space[: self.recv_into(memoryview(space), size)])

    def recv_into(self, space: memoryview, size: int) -> int:
        """Bytes read, of one record at most; 0 at the end of the connection, in good order or not."""
        while True:
            try:
                # into a buffer: it answers with a count
                return self._tls.read(size, space)  # type: ignore[return-value]
            except ssl.SSLWantReadError:
                # TLS itself may have something to say. Should that fail, reading tells what became of us.
                with contextlib.suppress(OSError):
                    self._flush()
                self._fetch()
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
                return 0

    def send(self, data: bytes | memoryview) -> int:
        """Take all of `data`, once everything before it has gone."""
        self._flush()
        view, total = memoryview(data), 0
        while total < len(view):
            total += self._tls.write(view[total:])
        with contextlib.suppress(BlockingIOError):
            self._flush()
        return total

    def fileno(self) -> int:
        """The socket's own."""
        return self._sock.fileno()

    def gettimeout(self) -> float | None:
        """The socket's own."""
        return self._sock.gettimeout()

    def settimeout(self, seconds: float | None) -> None:
        """The socket's own."""
        self._sock.settimeout(seconds)

    def setblocking(self, flag: bool) -> None:
        """The socket's own."""
        self._sock.setblocking(flag)

    def shutdown(self, how: int) -> None:
        """The socket's own: no farewell of TLS, which could block."""
        self._sock.shutdown(how)

    def close(self) -> None:
        """The socket's own."""
        self._sock.close()

    def _shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._fetch()
            else:
                self._flush()
                return

    def _fetch(self) -> None:
        if count := self._sock.recv_into(self._space):
            self._fetched.write(self._space[:count])
        else:
            self._fetched.write_eof()

    def _flush(self) -> None:
        while self._unsent or self._sealed.pending:
            self._unsent = self._unsent or memoryview(self._sealed.read())
            self._unsent = self._unsent[self._sock.send(self._unsent) :]


class TlsContext:
    """Makes them where websocket-client wants an SSLContext: behind a proxy it opens the connection."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def wrap_socket(self, sock: socket.socket, *, server_hostname: str | None, **_: Any) -> TlsSocket:
        """What SSLContext has by this name."""
        return TlsSocket(sock, self._context, server_hostname)
