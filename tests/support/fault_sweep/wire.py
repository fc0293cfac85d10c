# ruff: noqa: ARG002 - nobody waits here
"""The real frame pump on a wire in memory: every byte of the protocol, no socket, no waiting."""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from hasteward.adapters.kubernetes.exec import PodExec
from hasteward.ports.kubernetes import Channel, ExecStream, ExitStatus, Output, PodRef, StreamBroken
from hasteward.testing.kubernetes import FakeKubernetes
from hasteward_lab.damage import NORMAL_CLOSE, SUCCESS, Frame, damaged

_NUMBER = {"stdout": 1, "stderr": 2, "status": 3}
_NAME: dict[Channel, Any] = {Channel.STDOUT: "stdout", Channel.STDERR: "stderr"}
#: the pump reads before it looks at the clock, so this only shortens a real stall
_STALL_SECONDS = 0.001
_LOST = {
    "cut": "the connection ended without a close frame",
    "abort": "the connection was lost (Connection reset by peer)",
}


@dataclass(frozen=True, slots=True)
class Accident:
    """Strikes the exec whose command contains `match`; of stdin at the `place` byte of `size`."""

    match: str
    channel: str
    damage: str
    place: str = "middle"
    size: int = 0

    @property
    def at(self) -> int:
        return {"first": 0, "middle": self.size // 2, "last": self.size - 1}[self.place]


class WireKubernetes(FakeKubernetes):
    """`FakeKubernetes` whose exec speaks the real protocol. `accident` is struck once it is there."""

    accident: Accident | None = None
    #: told every command before it runs
    on_exec: Any = staticmethod(lambda _command: None)

    @contextlib.contextmanager
    def exec(
        self, pod: PodRef, argv: Sequence[str], *, stdin: bool, stall_seconds: float
    ) -> Iterator[ExecStream]:
        command = " ".join(argv)
        self.on_exec(command)
        accident = self.accident if self.accident and self.accident.match in command else None
        with super().exec(pod, argv, stdin=stdin, stall_seconds=stall_seconds) as inner:
            wire = Wire(inner, accident, upload="<&8 3>&-" in argv[2])
            stream = PodExec(cast("Any", wire), stall_seconds=_STALL_SECONDS)
            try:
                yield stream
            finally:
                stream.close()


class Wire:
    """Implements the adapter's `Wire` in front of a fake process."""

    def __init__(self, process: ExecStream, accident: Accident | None, *, upload: bool) -> None:
        self._process = process
        self._accident = accident
        self._input = bytearray()
        self._told: list[Frame] = []
        self._bytes = bytearray()
        self._lost = ""
        self._silent = False
        if not upload:
            self._conclude()

    # -- the client's side

    def write(self, data: memoryview) -> int:
        if self._lost in _LOST:
            raise StreamBroken(_LOST[self._lost])
        if self._silent:
            return 0
        opcode, payload = _client_frame(bytes(data))
        if opcode == 2 and payload == b"\xff\x00":
            self._conclude()
        elif opcode == 2:
            self._take(payload[1:])
        return len(data)

    def read_into(self, space: memoryview) -> int | None:
        if not self._bytes and self._told:
            self._tell(self._told.pop(0))
        if self._bytes:
            count = min(len(space), len(self._bytes))
            space[:count] = self._bytes[:count]
            del self._bytes[:count]
            return count
        if self._lost:
            raise StreamBroken(_LOST[self._lost])
        return None

    def wait(self, seconds: float, *, to_write: bool) -> None:
        assert self._silent or self._told or self._bytes, "nothing will ever come"

    def close(self, farewell: bytes = b"") -> None:
        pass

    # -- the server's side

    def _take(self, data: bytes) -> None:
        accident = self._accident
        before = len(self._input)
        self._input += data
        if accident is None or accident.channel != "stdin" or not before <= accident.at < len(self._input):
            return
        at = accident.at
        match accident.damage:
            case "flip":
                self._input[at] ^= 1
            case "duplicate":
                self._input[at:at] = self._input[at : at + 1]
            case "missing":
                del self._input[at]
            case "false":
                self._told = [Frame("status", SUCCESS), Frame("close", NORMAL_CLOSE)]
            case "stall":
                self._silent = True
            case lost:
                del self._input[at:]
                self._conclude()  # the process saw a plain end of file
                self._told, self._lost = [], lost

    def _conclude(self) -> None:
        self._process.send(bytes(self._input))
        self._process.finish_input()
        frames = list(_frames(self._process))
        accident = self._accident
        if accident is not None and accident.channel != "stdin":
            channel = cast("Any", accident.channel)
            frames = damaged(frames, channel, accident.damage, accident.place)
        self._told = frames

    def _tell(self, frame: Frame) -> None:
        if frame.act == "stall":
            self._silent, self._told = True, []
        elif frame.act in {"cut", "abort"}:
            self._lost, self._told = frame.act, []
        else:
            wire = _server_frame(frame)
            self._bytes += wire[: len(wire) // 2] if frame.act == "half" else wire


def _frames(process: ExecStream) -> Iterator[Frame]:
    """What a process says, as messages of the protocol."""
    while (item := process.receive()) is not None:
        match item:
            case Output(channel, data):
                yield Frame(_NAME[channel], bytes(data))
            case ExitStatus(success=True):
                yield Frame("status", SUCCESS)
            case ExitStatus(exit_code=code, message=message):
                causes = {"causes": [{"reason": "ExitCode", "message": str(code)}]}
                status = {"status": "Failure", "message": message, "details": causes}
                yield Frame("status", json.dumps(status).encode())
    yield Frame("close", NORMAL_CLOSE)


def _server_frame(frame: Frame) -> bytes:
    if frame.channel == "close":
        return struct.pack("!BB", 0x88, len(frame.payload)) + frame.payload
    body = bytes((_NUMBER[frame.channel],)) + frame.payload
    head = (
        struct.pack("!BB", 0x82, len(body)) if len(body) < 126 else struct.pack("!BBH", 0x82, 126, len(body))
    )
    return head + body


def _client_frame(data: bytes) -> tuple[int, bytes]:
    """Opcode and unmasked payload; the pump writes whole frames."""
    size, start = data[1] & 0x7F, 2
    if size > 125:
        start = 4 if size == 126 else 10
        size = int.from_bytes(data[2:start], "big")
    mask, masked = data[start : start + 4], data[start + 4 :]
    assert len(masked) == size
    repeated = (mask * (size // 4 + 1))[:size]
    plain = int.from_bytes(masked, "big") ^ int.from_bytes(repeated, "big")
    return data[0] & 0x0F, plain.to_bytes(size, "big")
