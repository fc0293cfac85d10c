"""Faults a test asks for: which call they hit, how often, and what then goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from hasteward_lab.damage import DAMAGES, PLACES

Kind = Literal[
    "cut",
    "stall",
    "false-success",
    "no-status",
    "flip",
    "orphan",
    "frames",
    "exit",
    "http",
    "delay",
    "forbid",
    "watch-drop",
    "watch-blackhole",
    "unschedulable",
]
Stream = Literal["stdout", "stdin", "stderr", "status", "close"]
STREAM_KINDS: tuple[Kind, ...] = (
    "cut",
    "stall",
    "false-success",
    "no-status",
    "flip",
    "orphan",
    "frames",
    "exit",
)
WATCH_KINDS: tuple[Kind, ...] = ("watch-drop", "watch-blackhole")


@dataclass(frozen=True)
class Call:
    """One call as the API server sees it."""

    user: str
    verb: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    command: str = ""


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    The empty matchers match everything, but a `resource` without a `subresource` does not mean its
    subresources, as in a Role; `*` means all of them. `nth` counts the matching calls from 1; 0 hits all.

    - `cut`: the TCP connection is reset after `after` bytes of `stream` of an exec.
    - `stall`: no byte of `stream` moves any more after `after` bytes; the connection stays.
    - `false-success`: after `after` bytes of `stream` the server says Success and closes with 1000, and the
      process stays, waiting on its open stdin (containerd killed); below v5 as `cut`.
    - `no-status`: all data comes, then `seconds` of silence and close 1000 without a status.
    - `flip`: one bit of the byte at offset `after` of `stream` is wrong.
    - `orphan`: as `cut`, and the process stays for ever, waiting on its open stdin (kubelet killed).
    - `frames`: the `place` frame of `stream` (or its close) meets with `damage`: see `hasteward_lab.damage`;
      all output is kept until the process has ended, then told. Of stdin it is the byte at `after` that is
      sent twice (`duplicate`), is lost (`missing`), or after which the connection ends (`cut`) or the
      server says Success (`false`).
    - `exit`: instead of the program that begins with `command` one runs that writes `after` bytes and
      ends with `code`; with the `damage` false the server calls that a Success.
    - `http`: the call is answered with `code` (an exec: instead of the upgrade).
    - `delay`: the call waits `seconds` first.
    - `forbid`: the user has no right to it: 403, and access reviews say so too.
    - `watch-drop`: a watch loses its connection after `after` events and `seconds`; with `nth` 0 the
      watches that are already open as well.
    - `watch-blackhole`: no event comes any more after `after` of them, for `seconds` (0: for ever).
    - `unschedulable`: pods whose name begins with `name` find no node.
    """

    kind: Kind
    command: str = ""
    user: str = ""
    verb: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    nth: int = 0
    after: int = 0
    stream: Stream = "stdout"
    code: int = 500
    seconds: float = 0.0
    damage: str = ""
    place: str = "middle"

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"unknown kind of fault: {self.kind!r}")
        if self.stream not in get_args(Stream):
            raise ValueError(f"unknown stream: {self.stream!r}")
        if self.damage and self.damage not in DAMAGES:
            raise ValueError(f"unknown damage: {self.damage!r}")
        if self.place not in PLACES:
            raise ValueError(f"unknown place: {self.place!r}")

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Fault:
        """Read a fault from JSON; ValueError for what is no field."""
        unknown = set(data) - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"unknown fields: {', '.join(sorted(unknown))}")
        return cls(**data)

    def to_json(self) -> dict[str, Any]:
        """The fault as JSON."""
        return asdict(self)

    def matches(self, call: Call) -> bool:
        """Say whether this fault is about such a call."""
        if (self.kind in STREAM_KINDS or self.command) and call.subresource != "exec":
            return False
        pairs = (
            (self.user, call.user),
            (self.verb, call.verb),
            (self.resource, call.resource),
            (self.name, call.name),
        )
        if self.kind in WATCH_KINDS and call.verb != "watch":
            return False
        if not self._about_subresource(call.subresource):
            return False
        return self.command in call.command and all(wanted in {"", got} for wanted, got in pairs)

    def _about_subresource(self, found: str) -> bool:
        if self.subresource:
            return self.subresource in {"*", found}
        return not found or not self.resource or self.kind in STREAM_KINDS or bool(self.command)


class FaultTable:
    """The faults in force, and how often each was met."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._met: list[int] = []
        self._told: list[Callable[[Fault], None]] = []

    def add(self, fault: Fault) -> None:
        """Put a fault in force."""
        self._faults.append(fault)
        self._met.append(0)
        for listener in list(self._told):
            listener(fault)

    def tell(self, listener: Callable[[Fault], None]) -> None:
        """Call a function with every fault to come."""
        self._told.append(listener)

    def forget(self, listener: Callable[[Fault], None]) -> None:
        """Tell it no more."""
        if listener in self._told:
            self._told.remove(listener)

    def unschedulable(self, pod: str) -> bool:
        """Say whether a pod of this name is to find no node."""
        return any(fault.kind == "unschedulable" and pod.startswith(fault.name) for fault in self._faults)

    def clear(self) -> None:
        """End all faults; streams that stall already go on stalling."""
        self._faults.clear()
        self._met.clear()

    def listing(self) -> list[dict[str, Any]]:
        """The faults in force and how often each was met."""
        pairs = zip(self._faults, self._met, strict=True)
        return [{**fault.to_json(), "met": met} for fault, met in pairs]

    def take(self, call: Call, *kinds: Kind) -> Fault | None:
        """Count the call on every fault about it, and return the first one that strikes now."""
        struck: Fault | None = None
        for index, fault in enumerate(self._faults):
            if fault.kind not in kinds or not fault.matches(call):
                continue
            self._met[index] += 1
            if struck is None and fault.nth in {0, self._met[index]}:
                struck = fault
        return struck

    def forbids(self, call: Call) -> bool:
        """Say whether the user lacks the right, without counting."""
        return any(fault.kind == "forbid" and fault.matches(call) for fault in self._faults)
