"""What can become of the frames of one exec, as a pure function: tests on fakes and on the lab share it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Channel = Literal["stdout", "stderr", "status", "close"]
Act = Literal["send", "half", "cut", "abort", "stall"]
DAMAGES = ("cut", "abort", "stall", "flip", "duplicate", "missing", "early", "late", "false")
PLACES = ("first", "middle", "last")
SUCCESS = b'{"metadata": {}, "status": "Success"}'
NORMAL_CLOSE = b"\x03\xe8"
CHATTER = b"NOTICE:  the program says something on stderr\n"


@dataclass(frozen=True, slots=True)
class Frame:
    """One message of the server; a `close` carries its code, and `act` says what is done with it.

    `half` sends the first half of its bytes; `cut`, `abort` and `stall` are what then happens to the
    connection: closed without a close frame, reset, or silent for ever.
    """

    channel: Channel
    payload: bytes
    act: Act = "send"


def damaged(frames: Sequence[Frame], channel: Channel, damage: str, place: str = "middle") -> list[Frame]:
    """The same frames with one accident.

    `frames` are a whole exec: output, one status, one close. The accident strikes the `place` frame of
    `channel`; a process that was silent on stderr is given something to say there first.
    """
    whole = list(frames)
    if channel == "stderr" and not any(frame.channel == "stderr" for frame in whole):
        whole.insert(0, Frame("stderr", CHATTER))
    mine = [index for index, frame in enumerate(whole) if frame.channel == channel]
    index = {"first": mine[0], "middle": mine[len(mine) // 2], "last": mine[-1]}[place]
    before, struck, after = whole[:index], whole[index], whole[index + 1 :]
    return [*before[:-1], *_accident(before[-1:], struck, after, damage, place)]


def _accident(
    before: list[Frame], struck: Frame, after: list[Frame], damage: str, place: str
) -> Sequence[Frame]:
    """What is told from the frame before the one that is struck to the end."""
    channel = struck.channel
    told: Sequence[Frame]
    match damage:
        case "cut" | "abort" | "stall":
            half = [] if place == "first" else [Frame(channel, struck.payload, "half")]
            told = [*before, *half, Frame(channel, b"", damage)]
        case "flip":
            told = [*before, Frame(channel, _flipped(struck.payload, place)), *after]
        case "duplicate":
            told = [*before, struck, struck, *after]
        case "missing":
            # a close that never comes is a connection that ends without one
            told = [*before, *(after or [Frame("close", b"", "cut")])]
        case "early":
            told = [struck, *before, *after]
        case "late":
            told = [*before, *(after[:1] or [Frame("close", b"", "stall")]), struck, *after[1:]]
        case "false":
            told = [*before, *_lie(struck)]
        case _:
            raise ValueError(f"unknown damage: {damage!r}")
    return told


def _lie(struck: Frame) -> list[Frame]:
    """How a runtime that was restarted ends a stream: Success, whatever was lost; or it only closes."""
    close = Frame("close", NORMAL_CLOSE)
    if struck.channel == "close":
        return [close]
    if struck.channel == "status":
        return [Frame("status", SUCCESS), close]
    return [
        Frame(struck.channel, struck.payload[: len(struck.payload) // 2]),
        Frame("status", SUCCESS),
        close,
    ]


def _flipped(payload: bytes, place: str) -> bytes:
    at = {"first": 0, "middle": len(payload) // 2, "last": len(payload) - 1}[place]
    return payload[:at] + bytes((payload[at] ^ 1,)) + payload[at + 1 :]
