"""Processes in pods, as functions: with the wrapper's trailer, and every way to lose it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from hasteward.ports.kubernetes import Channel, ExitStatus, Output, PodRef, StreamBroken, StreamStalled
from hasteward.streams.proof import Algorithm, new_digest
from hasteward.streams.wrapper import FED, READ_MARK, STREAM_MARK

_FRAME = 1000
#: sh -c SCRIPT MARK:RUN:NONCE ALGORITHM LIMIT COMMAND...
_SCRIPT, _NAME, _ALGORITHM, _COMMAND = 2, 3, 4, 6
#: only a wrapper whose stdin is data digests it
_TAKES_DATA = '"$p" <&8'


class Loss(StrEnum):
    """Ways in which a stream goes wrong, as seen on real clusters."""

    CUT = "connection cut"
    STALL = "nothing moves any more"
    FALSE_SUCCESS = "Success after truncated data"
    NO_STATUS = "closed without a Status frame"
    FLIP = "one byte changed on the way"
    DUPLICATE = "one byte twice"
    KILLED = "process killed, exit 137"
    EXIT = "the program does nothing and exits with 1"


@dataclass(frozen=True, slots=True)
class StreamFault:
    """Strikes the streams whose wrapped command contains `match`, at byte `at` (of data and trailer).

    A program that fails by itself (`EXIT`) does so at once, wherever `at` is.

    `nth` counts every exec from 1 and means that one alone; 0 means all that match.
    """

    loss: Loss
    at: int
    match: str = ""
    nth: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """What a faked program did."""

    stdout: bytes = b""
    stderr: bytes = b""
    exit_status: int = 0


#: pod, argv (inside the wrapper), all of stdin; it raises FileNotFoundError when there is no such program
Program = Callable[[PodRef, Sequence[str], bytes], Result]
Frames = Iterator[Output | ExitStatus | None]


class FakeExec:
    """One process. It runs when it has its whole input: at once if it takes none, else at end of file.

    A client that leaves looks like a clean end of file to the process, as it does on a real cluster: what it
    was sent so far is then its whole input.
    """

    def __init__(
        self,
        program: Program,
        pod: PodRef,
        argv: Sequence[str],
        *,
        stdin: bool,
        fault: StreamFault | None,
        on_call: Callable[[str], None],
    ) -> None:
        self._program = program
        self._pod = pod
        self._argv = argv
        self._fault = fault
        self._on_call = on_call
        self._wrapped = len(argv) > _COMMAND and argv[_NAME].startswith((STREAM_MARK, f"{READ_MARK}:"))
        self._upload = self._wrapped and _TAKES_DATA in argv[_SCRIPT]
        #: text for the program comes first, up to a line with a single dot; then an upload's data
        self._hungry = self._wrapped and FED in argv[_SCRIPT]
        self._input = bytearray()
        self._frames: Frames | None = None
        self._lost: StreamBroken | None = None
        self._dead = False
        if not stdin or (self._wrapped and not self._upload and not self._hungry):
            self._frames = self._run(b"")

    def receive(self) -> Output | ExitStatus | None:
        """The next frame."""
        self._on_call("exec.receive")
        if self._lost is not None:
            raise self._lost
        if self._frames is None:
            raise StreamStalled("nothing moved for the stall deadline: the process waits for its input")
        return next(self._frames, None)

    def send(self, data: bytes | memoryview) -> bool:
        """Take input until the fault strikes or the process has answered."""
        self._on_call("exec.send")
        if self._frames is not None:
            return False
        self._input += data
        if self._hungry:
            self._eat()
            return True
        fault = self._fault
        return True if fault is None or len(self._input) <= fault.at else self._strike(fault)

    def _eat(self) -> None:
        text, dot, rest = bytes(b"\n" + self._input).partition(b"\n.\n")
        if not dot:
            return
        self._hungry = False
        if self._upload:
            self._input[:] = rest
        else:
            self._frames = self._run(text[1:] + b"\n")

    def finish_input(self) -> None:
        """End of file: the process runs."""
        self._on_call("exec.finish_input")
        if self._frames is None:
            self._frames = self._run(bytes(self._input))

    def leave(self) -> None:
        """The connection is closed, whoever did it."""
        if self._frames is None and not self._dead:
            self._frames = self._run(bytes(self._input))

    def _strike(self, fault: StreamFault) -> bool:
        """What becomes of an upload whose fault lies within its data."""
        match fault.loss:
            case Loss.FLIP | Loss.DUPLICATE:
                self._input[:] = _damage(bytes(self._input), fault)
                self._fault = None
                return True
            case Loss.CUT | Loss.STALL:
                del self._input[fault.at :]
                self._lost = _broken(fault.loss)
                raise self._lost
            case Loss.FALSE_SUCCESS:
                del self._input[fault.at :]
                self._run(bytes(self._input))
                self._frames = iter([_status(0)])
                return False
            case Loss.KILLED:
                self._dead = True
                self._frames = iter([_status(137)])
                return False
            case Loss.NO_STATUS | Loss.EXIT:
                return True

    def _run(self, data: bytes) -> Frames:
        """Let the program do its work, and lay out what it answers."""
        command = self._argv[_COMMAND:] if self._wrapped else self._argv
        fault = self._fault
        try:
            if fault is not None and fault.loss is Loss.EXIT:
                fault, result = None, Result(stderr=b"injected: it does not work", exit_status=1)
            else:
                result = self._program(self._pod, command, data)
        except FileNotFoundError as error:
            return iter([ExitStatus(success=False, exit_code=None, message=f"cannot start {error.filename}")])
        if self._upload and fault is not None:
            fault = replace(fault, at=max(0, fault.at - len(data)))
        return self._answer(result, data, fault)

    def _answer(self, result: Result, data: bytes, fault: StreamFault | None) -> Frames:
        out = result.stdout
        err = result.stderr
        if self._wrapped:
            if self._upload:
                err, out = err + out, b""
            trailer = self._trailer(result.exit_status, data if self._upload else out)
            out += trailer
        if err:
            yield Output(Channel.STDERR, memoryview(err))
        yield from _deliver(out, result.exit_status, fault)

    def _trailer(self, exit_status: int, data: bytes) -> bytes:
        nonce, algorithm = self._argv[_NAME].rpartition(":")[2], self._argv[_ALGORITHM]
        chosen = Algorithm.BLAKE2B_256 if algorithm == "auto" else Algorithm(algorithm)
        digest = new_digest(chosen)
        digest.update(data)
        return f"{nonce} {chosen:<11} {exit_status:>3} {digest.hexdigest():>64}\n".encode()


def _status(code: int) -> ExitStatus:
    if code == 0:
        return ExitStatus(success=True, exit_code=0, message="")
    message = f"command terminated with non-zero exit code: exit code {code}"
    return ExitStatus(success=False, exit_code=code, message=message)


def _broken(loss: Loss) -> StreamBroken:
    if loss is Loss.STALL:
        return StreamStalled("nothing moved for the stall deadline")
    return StreamBroken("the connection was lost")


def _damage(data: bytes, fault: StreamFault) -> bytes:
    if fault.at >= len(data):
        return data
    at = fault.at
    if fault.loss is Loss.FLIP:
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    return data[: at + 1] + data[at:]


def _deliver(data: bytes, exit_status: int, fault: StreamFault | None) -> Frames:
    if fault is not None and fault.loss in {Loss.FLIP, Loss.DUPLICATE}:
        data, fault = _damage(data, fault), None
    limit = len(data) if fault is None or fault.loss is Loss.NO_STATUS else min(fault.at, len(data))
    for start in range(0, limit, _FRAME):
        yield Output(Channel.STDOUT, memoryview(data[start : min(limit, start + _FRAME)]))
    match fault.loss if fault else None:
        case Loss.CUT | Loss.STALL as loss:
            raise _broken(loss)
        case Loss.NO_STATUS:
            return
        case Loss.KILLED:
            yield _status(137)
        case Loss.FALSE_SUCCESS:
            yield _status(0)
        case _:
            yield _status(exit_status)
