# ruff: noqa: S101, ARG002 - a fake asserts what a caller must give, and ignores what it cannot use
"""An API server in memory whose exec runs functions, with the wrapper's trailer and every way to lose it."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from hasteward.ports.kubernetes import (
    ApiConflict,
    ApiNotFound,
    Channel,
    ExecStream,
    ExitStatus,
    Json,
    Output,
    PodRef,
    Resource,
    StreamBroken,
    StreamStalled,
)
from hasteward.streams.proof import Algorithm, new_digest
from hasteward.streams.wrapper import FED

_FRAME = 1000


class Loss(StrEnum):
    """Ways in which a stream goes wrong, as seen on real clusters."""

    CUT = "connection cut"
    STALL = "nothing moves any more"
    FALSE_SUCCESS = "Success after truncated data"
    NO_STATUS = "closed without a Status frame"
    FLIP = "one byte changed on the way"
    DUPLICATE = "one byte twice"
    KILLED = "process killed, exit 137"


@dataclass(frozen=True, slots=True)
class StreamFault:
    """Strikes the stream whose wrapped command contains `match`, at byte `at` (of data and trailer)."""

    loss: Loss
    at: int
    match: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What a faked program did."""

    stdout: bytes = b""
    stderr: bytes = b""
    exit_status: int = 0


Program = Callable[[PodRef, Sequence[str], bytes], Result]


def _nothing(_call: str) -> None:
    """No fault."""


@dataclass(slots=True)
class FakeKubernetes:
    """Implements `Kubernetes`. `program` answers every exec (pod, argv inside the wrapper, stdin).

    `on_call` is told every call (``get pods``, ``exec``) and may raise; `denied` lists (verb, plural).
    """

    program: Program
    on_call: Callable[[str], None] = _nothing
    faults: list[StreamFault] = field(default_factory=list)
    denied: set[tuple[str, str]] = field(default_factory=set)
    objects: dict[tuple[str, str, str], Json] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    version: int = 0

    def add(self, resource: Resource, body: Json) -> None:
        """Put an object there, as if somebody else had created it."""
        meta = body["metadata"]
        self._store(resource, meta.get("namespace", ""), meta["name"], body)

    def _store(self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any]) -> Json:
        self.version += 1
        kept: Json = copy.deepcopy(dict(body))
        kept.setdefault("metadata", {})["resourceVersion"] = str(self.version)
        self.objects[resource.title, namespace, name] = kept
        return copy.deepcopy(kept)

    def get(self, resource: Resource, namespace: str, name: str) -> Json:
        """One object."""
        self.on_call(f"get {resource.plural}")
        try:
            return copy.deepcopy(self.objects[resource.title, namespace, name])
        except KeyError:
            raise ApiNotFound(f"{resource.plural} {namespace}/{name} does not exist") from None

    def list(self, resource: Resource, namespace: str, *, labels: str = "") -> list[Json]:
        """Objects whose labels hold every ``key=value`` of the selector."""
        self.on_call(f"list {resource.plural}")
        wanted = dict(part.split("=", 1) for part in labels.split(",") if part)
        found = []
        for (title, where, _), body in self.objects.items():
            have = body["metadata"].get("labels") or {}
            if title == resource.title and namespace in {"", where} and wanted.items() <= have.items():
                found.append(copy.deepcopy(body))
        return found

    def create(self, resource: Resource, namespace: str, body: Mapping[str, Any]) -> Json:
        """Create once."""
        self.on_call(f"create {resource.plural}")
        name = body["metadata"]["name"]
        if (resource.title, namespace, name) in self.objects:
            raise ApiConflict(f"{resource.plural} {name} exists")
        self.writes.append(f"create {resource.plural} {name}")
        return self._store(resource, namespace, name, body)

    def replace(self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any]) -> Json:
        """Compare resourceVersion and swap."""
        self.on_call(f"replace {resource.plural}")
        current = self.objects.get((resource.title, namespace, name))
        if current is None:
            raise ApiNotFound(f"{resource.plural} {name} does not exist")
        if body["metadata"].get("resourceVersion") != current["metadata"]["resourceVersion"]:
            raise ApiConflict(f"{resource.plural} {name} was changed meanwhile")
        self.writes.append(f"replace {resource.plural} {name}")
        return self._store(resource, namespace, name, body)

    def patch(self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any]) -> Json:
        """Merge patch."""
        self.on_call(f"patch {resource.plural}")
        current = self.get(resource, namespace, name)
        self.writes.append(f"patch {resource.plural} {name}")
        return self._store(resource, namespace, name, _merge(current, body))

    def delete(self, resource: Resource, namespace: str, name: str) -> None:
        """Remove."""
        self.on_call(f"delete {resource.plural}")
        if self.objects.pop((resource.title, namespace, name), None) is None:
            raise ApiNotFound(f"{resource.plural} {name} does not exist")
        self.writes.append(f"delete {resource.plural} {name}")

    def watch(
        self, resource: Resource, namespace: str, *, since: str, seconds: int, labels: str = ""
    ) -> Iterator[Json]:
        """Nothing ever happens here."""
        self.on_call(f"watch {resource.plural}")
        assert since is not None
        assert seconds > 0
        yield from ()

    def may(self, verb: str, resource: Resource, namespace: str, subresource: str = "") -> bool:
        """Whether it is not in `denied`."""
        self.on_call(f"may {verb} {resource.plural}")
        name = f"{resource.plural}/{subresource}" if subresource else resource.plural
        return (verb, name) not in self.denied

    @contextlib.contextmanager
    def exec(
        self, pod: PodRef, argv: Sequence[str], *, stdin: bool, stall_seconds: float
    ) -> Iterator[ExecStream]:
        """Run `program` behind a stream."""
        self.on_call("exec")
        assert stdin
        assert stall_seconds > 0
        command = " ".join(argv)
        fault = next((f for f in self.faults if f.match in command), None)
        yield _FakeExec(self.program, pod, argv, fault)


def _merge(current: Any, patch: Any) -> Any:
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(current) if isinstance(current, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged


class _FakeExec:
    """One stream: an upload collects stdin first, a download answers at once."""

    def __init__(self, program: Program, pod: PodRef, argv: Sequence[str], fault: StreamFault | None) -> None:
        # argv: sh -c SCRIPT MARK:RUN:NONCE ALGORITHM LIMIT COMMAND...
        self._program = program
        self._pod = pod
        self._argv = argv
        self._fault = fault
        self._upload = "<&8 3>&-" in argv[2]
        self._input = bytearray()
        self._frames: Iterator[Output | ExitStatus | None] | None = None

    def send(self, data: bytes | memoryview) -> bool:
        fault = self._fault
        if self._upload and fault and fault.loss in {Loss.CUT, Loss.STALL} and len(self._input) > fault.at:
            self._break(fault)
        self._input += data
        return True

    def finish_input(self) -> None:
        """The process may now conclude."""

    @staticmethod
    def _break(fault: StreamFault) -> None:
        if fault.loss is Loss.STALL:
            raise StreamStalled("nothing moved for the stall deadline")
        raise StreamBroken("the connection was lost")

    def receive(self) -> Output | ExitStatus | None:
        if self._frames is None:
            self._frames = self._run()
        return next(self._frames, None)

    def _run(self) -> Iterator[Output | ExitStatus | None]:
        nonce, algorithm = self._argv[3].rpartition(":")[2], self._argv[4]
        arrived = bytes(self._input)
        if FED in self._argv[2]:
            arrived = arrived.partition(b"\n.\n")[2]
        fault = self._fault
        if self._upload and fault is not None:
            arrived, fault = _arrived(arrived, fault)
        result = self._program(self._pod, self._argv[6:], arrived)
        chosen = Algorithm.BLAKE2B_256 if algorithm == "auto" else Algorithm(algorithm)
        digest = new_digest(chosen)
        digest.update(arrived if self._upload else result.stdout)
        trailer = f"{nonce} {chosen:<11} {result.exit_status:>3} {digest.hexdigest():>64}\n".encode()
        data = trailer if self._upload else result.stdout + trailer
        if result.stderr:
            yield Output(Channel.STDERR, memoryview(result.stderr))
        yield from _deliver(data, result.exit_status, fault)


def _arrived(data: bytes, fault: StreamFault) -> tuple[bytes, StreamFault | None]:
    """What an upload fault leaves of the data; the trailer then comes whole."""
    match fault.loss:
        case Loss.FALSE_SUCCESS:
            return data[: fault.at], None
        case Loss.FLIP | Loss.DUPLICATE:
            return _damage(data, fault), None
        case _:
            return data, replace(fault, at=max(0, fault.at - len(data)))


def _damage(data: bytes, fault: StreamFault) -> bytes:
    if fault.at >= len(data):
        return data
    at = fault.at
    if fault.loss is Loss.FLIP:
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    return data[: at + 1] + data[at:]


def _deliver(
    data: bytes, exit_status: int, fault: StreamFault | None
) -> Iterator[Output | ExitStatus | None]:
    if fault is not None and fault.loss in {Loss.FLIP, Loss.DUPLICATE}:
        data, fault = _damage(data, fault), None
    limit = len(data) if fault is None or fault.loss is Loss.NO_STATUS else min(fault.at, len(data))
    for start in range(0, limit, _FRAME):
        yield Output(Channel.STDOUT, memoryview(data[start : min(limit, start + _FRAME)]))
    match fault.loss if fault else None:
        case Loss.CUT:
            raise StreamBroken("the connection was lost")
        case Loss.STALL:
            raise StreamStalled("nothing moved for the stall deadline")
        case Loss.NO_STATUS:
            return
        case Loss.KILLED:
            yield ExitStatus(success=False, exit_code=137, message="command terminated with exit code 137")
        case Loss.FALSE_SUCCESS:
            yield ExitStatus(success=True, exit_code=0, message="")
        case _ if exit_status:
            yield ExitStatus(
                success=False,
                exit_code=exit_status,
                message=f"command terminated with non-zero exit code {exit_status}",
            )
        case _:
            yield ExitStatus(success=True, exit_code=0, message="")
