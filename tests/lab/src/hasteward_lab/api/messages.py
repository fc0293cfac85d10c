"""The channels of an exec, and what is said on them."""

from __future__ import annotations

import struct

STDIN, STDOUT, STDERR, ERROR, CLOSE = 0, 1, 2, 3, 255
PAYLOAD = 32 << 10
MAX_FRAME = 32 << 20


def frames(channel: int, data: bytes) -> bytes:
    """Data as binary WebSocket frames of at most 32 KiB payload, ready for the wire."""
    parts: list[bytes | memoryview] = []
    view = memoryview(data)
    for start in range(0, len(data), PAYLOAD):
        piece = view[start : start + PAYLOAD]
        size = len(piece) + 1
        head = struct.pack("!BB", 0x82, size) if size < 126 else struct.pack("!BBH", 0x82, 126, size)
        parts += [head, bytes((channel,)), piece]
    return b"".join(parts)


def exit_status(code: int) -> dict[str, object]:
    """The Status of an ended process; one killed by a signal counts as 128 + signal."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    shown = 128 - code if code < 0 else code
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {shown}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(shown)}]},
    }
