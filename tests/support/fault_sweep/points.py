"""Where a backup, a restore and an export can be struck: one table, which a driver for each world plays.

`tests/core/pipelines/test_fault_sweep.py` plays all of it on fakes, `tests/scenarios/faults` a sample (and
`make test-long` all) on the lab. A point says what happens, and the exit statuses that are a true answer to
it; what must hold beside them is the same for every point and is asserted by the drivers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product

KILLED = -9
#: what the end of the process may be when the work failed, or when the proof did
FAILED, UNPROVEN, REFUSED, STOPPED = 1, 22, 21, 130
DEPENDENCY, NO_REPOSITORY, LOCKED, WRONG_PASSWORD = 4, 10, 11, 12


@dataclass(frozen=True, slots=True)
class Frame:
    """Something happens to the frames of one exec: see `hasteward_lab.damage`. `stream` names the exec."""

    stream: str
    channel: str
    damage: str
    place: str = "middle"


@dataclass(frozen=True, slots=True)
class Dies:
    """The dump program writes something and ends with `status`; with `lie` the server calls it Success."""

    status: int
    lie: bool = False


@dataclass(frozen=True, slots=True)
class Api:
    """A call of the API is answered with `code`."""

    call: str
    code: int


@dataclass(frozen=True, slots=True)
class Store:
    """A call of the repository meets with `trouble`."""

    call: str
    trouble: str


@dataclass(frozen=True, slots=True)
class Signal:
    """`process` gets `signal` at `moment`."""

    process: str
    signal: str
    moment: str


@dataclass(frozen=True, slots=True)
class Clock:
    """At `moment` the wall clock jumps by `seconds`; with `asleep` the machine was suspended for so long."""

    seconds: int
    moment: str
    asleep: bool = False


@dataclass(frozen=True, slots=True)
class Gone:
    """`what` goes away at `moment`."""

    what: str
    moment: str


Injection = Frame | Dies | Api | Store | Signal | Clock | Gone


@dataclass(frozen=True, slots=True)
class Point:
    """One fault: in which verb, what, and the exit statuses that answer it truly."""

    verb: str
    injection: Injection
    exits: frozenset[int]

    @property
    def id(self) -> str:
        """``verb/what/details``."""
        values = [getattr(self.injection, name) for name in self.injection.__slots__]
        words = (str(value).lower().replace(" ", "-") for value in values)
        return "/".join([self.verb, type(self.injection).__name__.lower(), *words])


ALL = ("first", "middle", "last")
LOSSES = ("cut", "abort", "stall")


def _points(verb: str, injections: Iterable[Injection], *exits: int) -> Iterator[Point]:
    return (Point(verb, injection, frozenset(exits)) for injection in injections)


def _frames(stream: str, channel: str, damages: Iterable[str], places: Iterable[str]) -> list[Injection]:
    return [Frame(stream, channel, damage, place) for damage, place in product(damages, places)]


def _answers(verb: str, stream: str) -> Iterator[Point]:
    """Losses of stderr, status and close, which every exec has."""
    for channel in ("stderr", "status"):
        yield from _points(verb, _frames(stream, channel, LOSSES, ["middle"]), UNPROVEN)
    # stderr is only words: a change to them is no loss of data
    yield from _points(
        verb, _frames(stream, "stderr", ("flip", "duplicate", "missing", "early", "late"), ["middle"]), 0
    )
    yield from _points(verb, _frames(stream, "stderr", ("false",), ["middle"]), UNPROVEN)
    yield from _points(verb, _frames(stream, "status", ("flip",), ALL), UNPROVEN)
    yield from _points(verb, _frames(stream, "status", ("missing", "late", "early"), ["middle"]), UNPROVEN)
    yield from _points(verb, _frames(stream, "status", ("duplicate", "false"), ["middle"]), 0)
    # all is said before the close
    how = (*LOSSES, "flip", "duplicate", "missing", "late", "false")
    yield from _points(verb, _frames(stream, "close", how, ["middle"]), 0)
    yield from _points(verb, _frames(stream, "close", ("early",), ["middle"]), UNPROVEN)


def _dump() -> Iterator[Point]:
    damages = (*LOSSES, "flip", "duplicate", "missing", "false", "late")
    yield from _points("backup", _frames("dump", "stdout", damages, ALL), UNPROVEN)
    yield from _points("backup", _frames("dump", "stdout", ("early",), ALL[1:]), UNPROVEN)
    yield from _answers("backup", "dump")
    codes = (1, 2, 3, 64, 100, 126, 127, 129, 130, 134, 137, 139, 141, 143)
    yield from _points("backup", [Dies(code) for code in codes], FAILED)
    yield from _points("backup", [Dies(code, lie=True) for code in (1, 137)], FAILED)


def _load() -> Iterator[Point]:
    damages = (*LOSSES, "flip", "duplicate", "missing", "false")
    yield from _points("restore", _frames("load", "stdin", damages, ALL), FAILED, UNPROVEN)
    whole = (*LOSSES, "flip", "duplicate", "missing", "late", "false")
    yield from _points("restore", _frames("load", "stdout", whole, ["middle"]), UNPROVEN)
    yield from _answers("restore", "load")
    # a lost answer to the swap leaves the new data live or the old; which, the engine may be able to find out
    for channel in ("stdout", "status"):
        injections = _frames("swap", channel, (*LOSSES, "flip", "missing"), ["middle"])
        yield from _points("restore", injections, 0, FAILED, UNPROVEN)


def _api() -> Iterator[Point]:
    reads, codes = ("cluster.get", "lease.get"), (401, 403, 409, 429, 500, 503)
    for verb, streams in (("backup", ("dump",)), ("restore", ("load", "swap"))):
        yield from _points(verb, [Api(*pair) for pair in product(reads, codes)], FAILED, DEPENDENCY, REFUSED)
        for code in codes:
            taken = REFUSED if code == 409 else DEPENDENCY
            yield from _points(verb, [Api("lease.take", code)], taken)
            # the work is done when the Lease is given back; that this failed costs the next run some waiting
            yield from _points(verb, [Api("lease.release", code)], 0)
            for stream in streams:
                yield from _points(verb, [Api(f"exec.{stream}", code)], FAILED, DEPENDENCY)


_OPEN = {
    "missing": (DEPENDENCY,),
    "replaced": (DEPENDENCY,),
    "killed": (FAILED,),
    "timeout": (DEPENDENCY,),
    "500": (DEPENDENCY,),
    "403": (DEPENDENCY,),
    "no repository": (NO_REPOSITORY,),
    "wrong password": (WRONG_PASSWORD,),
}
_READING = {"killed": (FAILED,), "timeout": (DEPENDENCY,), "500": (DEPENDENCY,), "403": (DEPENDENCY,)}
_SAVING = _READING | {"full": (FAILED, DEPENDENCY)}
_ROTTEN = {
    "flip": (FAILED, UNPROVEN),
    "short": (FAILED, UNPROVEN),
    "lost": (FAILED, UNPROVEN),
}
#: the calls of the repository in each verb, and what they can meet with
STORE_TROUBLES = {
    "backup": {
        "open": _OPEN,
        "save": _SAVING | {"locked": (LOCKED,)},
        "manifest": _SAVING,
        "commit": _SAVING,
    },
    "restore": {"open": _OPEN, "snapshots": _READING, "manifest": _READING, "read": _READING | _ROTTEN},
    "export": {"open": _OPEN, "snapshots": _READING, "manifest": _READING, "read": _READING | _ROTTEN},
}


def _store() -> Iterator[Point]:
    for verb, calls in STORE_TROUBLES.items():
        for call, troubles in calls.items():
            for trouble, exits in troubles.items():
                yield from _points(verb, [Store(call, trouble)], *exits)


#: for each moment of a verb the processes that are at work then
AT_WORK = {
    ("backup", "open"): ("hasteward",),
    ("backup", "dump"): ("hasteward", "restic", "helper", "producer"),
    ("backup", "manifest"): ("hasteward", "restic", "helper"),
    ("backup", "commit"): ("hasteward", "restic"),
    ("restore", "open"): ("hasteward",),
    ("restore", "load"): ("hasteward", "restic", "consumer"),
    ("restore", "swap"): ("hasteward",),
    ("export", "open"): ("hasteward",),
    ("export", "read"): ("hasteward", "restic"),
}


def _signals() -> Iterator[Point]:
    for (verb, moment), processes in AT_WORK.items():
        for process, name in product(processes, ("SIGINT", "SIGTERM", "SIGKILL")):
            if process == "hasteward":
                exits: tuple[int, ...] = (KILLED if name == "SIGKILL" else STOPPED,)
            else:
                exits = (FAILED, DEPENDENCY, UNPROVEN)
            yield from _points(verb, [Signal(process, name, moment)], *exits)


def _clocks() -> Iterator[Point]:
    day, hour = 86400, 3600
    for verb, moment in (("backup", "dump"), ("restore", "load")):
        jumps: list[Injection] = [Clock(seconds, moment) for seconds in (day, -day, hour, -hour)]
        yield from _points(verb, jumps, 0)
    # a backup gives up nothing to a run that took the Lease meanwhile; a restore must not swap any more
    yield from _points("backup", [Clock(120, "dump", asleep=True)], 0)
    yield from _points("restore", [Clock(120, "load", asleep=True)], REFUSED)


def _gone() -> Iterator[Point]:
    for verb, moment in (("backup", "dump"), ("restore", "load")):
        for what in ("pod", "container", "kubelet", "api"):
            yield from _points(verb, [Gone(what, moment)], FAILED, DEPENDENCY, UNPROVEN)
        yield from _points(verb, [Gone("api", "open")], DEPENDENCY)


POINTS: tuple[Point, ...] = (
    *_dump(),
    *_load(),
    *_api(),
    *_store(),
    *_signals(),
    *_clocks(),
    *_gone(),
)
