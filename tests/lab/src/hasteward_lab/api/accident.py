"""What the server makes of a stream when a fault of the kind `frames` strikes it."""

from __future__ import annotations

import asyncio
import json
import struct
from typing import IO, TYPE_CHECKING, cast

from hasteward_lab.api.messages import ERROR, STDERR, STDOUT, exit_status, frames
from hasteward_lab.damage import NORMAL_CLOSE, Channel, Frame, damaged

if TYPE_CHECKING:
    import subprocess

    from hasteward_lab.faults import Fault

#: small, so that even a short stream has several frames
_PIECE = 1000


async def accident(process: subprocess.Popen[bytes], fault: Fault) -> list[Frame]:
    """Keep all output until the process has ended; the frames to tell, with their accident."""
    err, out = await asyncio.gather(
        asyncio.to_thread(_all_of, process.stderr), asyncio.to_thread(_all_of, process.stdout)
    )
    status = json.dumps(exit_status(await asyncio.to_thread(process.wait))).encode()
    whole = [*_pieces("stderr", err), *_pieces("stdout", out)]
    whole += [Frame("status", status), Frame("close", NORMAL_CLOSE)]
    return damaged(whole, cast("Channel", fault.stream), fault.damage, fault.place)


def _all_of(pipe: IO[bytes] | None) -> bytes:
    return pipe.read() if pipe else b""


def _pieces(channel: Channel, data: bytes) -> list[Frame]:
    return [Frame(channel, data[start : start + _PIECE]) for start in range(0, len(data), _PIECE)]


def on_the_wire(frame: Frame) -> bytes:
    """A frame as the WebSocket carries it."""
    if frame.channel == "close":
        return struct.pack("!BB", 0x88, len(frame.payload)) + frame.payload
    return frames({"stdout": STDOUT, "stderr": STDERR, "status": ERROR}[frame.channel], frame.payload)


def stdin_damage(data: bytes, keep: int, damage: str) -> bytes:
    """What is left of input when the byte at `keep` meets with `damage`."""
    match damage:
        case "duplicate":
            return data[: keep + 1] + data[keep:]
        case "missing":
            return data[:keep] + data[keep + 1 :]
        case _:
            return data[:keep]
