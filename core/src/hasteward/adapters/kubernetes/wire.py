"""A socket that never blocks, plain or TLS. One thread only: a TLS connection must not be used from two."""

from __future__ import annotations

import math
import select
import socket

from hasteward.adapters.kubernetes.tls import TlsSocket
from hasteward.ports.kubernetes import StreamBroken

Socket = socket.socket | TlsSocket


class Wire:
    """Reads and writes what goes at once, and waits for more to go."""

    def __init__(self, sock: Socket) -> None:
        sock.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        self._sock = sock
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        #: why nothing more can be read, while what came before it is taken
        self._loss: StreamBroken | None = None

    def read_into(self, space: memoryview) -> int | None:
        """Bytes read, as many as there are; None if there are none now. Raises StreamBroken at the end of the
        connection. TLS gives 16 KiB at a time, so all that is done for each is done here.
        """
        if self._loss is not None:
            raise self._loss
        total, size, receive = 0, len(space), self._sock.recv_into
        try:
            while total < size and (count := receive(space[total:], size - total)):
                total += count
        except BlockingIOError:
            return total or None
        except OSError as error:
            self._loss = _lost(error)
        if total:
            return total
        raise self._loss or StreamBroken("the connection ended without a close frame")

    def write(self, data: memoryview) -> int:
        """Bytes written, 0 if none go now. Raises StreamBroken."""
        total, size, send = 0, len(data), self._sock.send
        try:
            while total < size:
                total += send(data[total:])
        except BlockingIOError:
            pass
        except OSError as error:
            raise _lost(error) from error
        return total

    def wait(self, seconds: float, *, to_write: bool) -> None:
        """Sleep until a read (or with `to_write` a write) may go on, or the time is over."""
        to_write |= isinstance(self._sock, TlsSocket) and self._sock.unsent
        self._poll.modify(self._sock, select.POLLIN | (select.POLLOUT if to_write else 0))
        self._poll.poll(max(0, math.ceil(seconds * 1000)))

    def close(self, farewell: bytes = b"") -> None:
        """Close now. The farewell is sent if it goes at once; nothing here can block or fail."""
        try:
            if farewell:
                self._sock.send(farewell)
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        finally:
            self._sock.close()


def _lost(error: OSError) -> StreamBroken:
    reason = getattr(error, "reason", None) or error.strerror or str(error) or type(error).__name__
    return StreamBroken(f"the connection was lost ({reason})")
