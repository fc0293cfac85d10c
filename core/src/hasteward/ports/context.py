"""What an engine is given to work with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any, Protocol

from hasteward.domain.events import Event
from hasteward.domain.manifest import Manifest, Section
from hasteward.domain.option import Value
from hasteward.domain.plan import Plan
from hasteward.domain.repair import Record
from hasteward.ports.host import Host, HostRef, NoHost
from hasteward.ports.kubernetes import Kubernetes


class Clock(Protocol):
    """Time, so that tests can own it."""

    def now(self) -> datetime:
        """The wall clock, in UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    def sleep(self, seconds: float) -> None:
        """Wait."""

    def every(self, seconds: float, act: Callable[[], None]) -> Callable[[], None]:
        """Call `act` again and again beside what else happens, first after `seconds`; it must not raise.

        Call the answer to end it: once that returns, `act` is not running and is never called again.
        """


class Reporter(Protocol):
    """Where events go."""

    def emit(self, event: Event) -> None:
        """Take one event; never raises."""


class Approve(Protocol):
    """Shows the plan and decides whether to go on. The same call in a dry run, which always answers no."""

    def __call__(self, plan: Plan) -> bool:
        """True to act. Raises Refused when the plan gives something up and nobody said yes."""


@dataclass(frozen=True, slots=True)
class Run:
    """One invocation. `job` is the start time as the `job` tag writes it (``20060102T150405Z``)."""

    id: str
    started: datetime

    @property
    def job(self) -> str:
        """Groups the snapshots of one run."""
        return self.started.strftime("%Y%m%dT%H%M%SZ")


@dataclass(frozen=True, slots=True)
class Tuning:
    """Deadlines, in seconds. There is no total deadline on a stream, only on its standing still."""

    stall_seconds: float = 300.0
    lock_seconds: float = 60.0
    heal_seconds: float = 600.0
    delete_seconds: float = 300.0


class Depth(IntEnum):
    """How far triage may go to read what does not answer."""

    #: through the API and exec; creates nothing
    PLAIN = 0
    #: also by read-only helper pods on volumes that nobody uses
    DEEP = 1
    #: may also stop a database to look
    STOP = 2


def _no_lease() -> None:
    """Reads need no Lease."""


@dataclass(frozen=True, slots=True)
class EngineContext:
    """Handed to every hook.

    `check_lease` raises Refused when the cluster's Lease may have passed to another run: call it right before
    every destructive act. `options` are the engine's own, by name, as it declared them. `via` is set when the
    run goes without Kubernetes: commands are run on that host, and `kubernetes` MUST NOT be asked.
    """

    kubernetes: Kubernetes
    clock: Clock
    reporter: Reporter
    run: Run
    approve: Approve
    tuning: Tuning = field(default_factory=Tuning)
    check_lease: Callable[[], None] = _no_lease
    depth: Depth = Depth.PLAIN
    options: Mapping[str, Value] = field(default_factory=dict)
    host: Host = field(default_factory=NoHost)
    via: HostRef | None = None


class DumpSink(Protocol):
    """Where a dump goes. Bytes written are not yet a backup: that takes the pipeline's word."""

    @property
    def position(self) -> int:
        """Bytes written so far."""

    def write(self, data: bytes | memoryview) -> None:
        """Hand over bytes in order."""


@dataclass(frozen=True, slots=True)
class DumpOptions:
    """`instance` names the member to dump (for a diverged capture); None lets the engine choose."""

    instance: int | None = None


@dataclass(frozen=True, slots=True)
class DumpProof:
    """What an engine returns from `dump`: every byte it wrote belongs to a proven section.

    `planned_only` is True when the plan was not approved (a dry run): nothing was written.
    """

    member: str
    server_version: str
    sections: tuple[Section, ...]
    catalog: dict[str, Any] = field(default_factory=dict)
    planned_only: bool = False


class SectionBytes(Protocol):
    """The bytes of a stored section, in pieces. Each is valid until the next is asked for."""

    def __iter__(self) -> Iterator[memoryview]:
        """All of them in order, once. Unproven after the last one if they are not those that were proven."""

    def fed(self) -> Iterator[memoryview]:
        """Instead of that: all but the section's `closing`, and compared with nothing. Whoever takes these
        MUST have them digested where they arrive and compare that with `Section.fed_digest`: `upload` does,
        if it is told the digest.
        """


class RestoreSource(Protocol):
    """A proven snapshot, read by sections."""

    @property
    def snapshot_id(self) -> str:
        """Which one."""

    @property
    def manifest(self) -> Manifest:
        """Its proof."""

    def read(self, keys: Collection[str]) -> Iterator[tuple[Section, SectionBytes]]:
        """The wanted sections in the order they are stored; each must be read to its end before the next.

        Raises Unproven when a section's bytes are not the ones that were proven.
        """


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """`databases` limits the restore to some (empty: all). `keep_old` leaves the replaced data beside.

    `as_superuser` lets whatever is in the dump act with all rights of the database; without it an engine MUST
    load content with no more than that content needs, or refuse.
    """

    instance: int | None = None
    databases: tuple[str, ...] = ()
    keep_old: bool = True
    force: bool = False
    as_superuser: bool = False


@dataclass(frozen=True, slots=True)
class RestoreOutcome:
    """What became of a restore. `planned_only` is True when the plan was not approved.

    `restored` names what is live now, `kept` where the replaced data stayed, `checks` what was verified.
    """

    restored: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    planned_only: bool = False


@dataclass(frozen=True, slots=True)
class NativeOutcome:
    """A backup that the database's own operator has finished; `planned_only`: the plan was not approved.

    `name` is the operator's object, `method` the way the cluster declares, `details` what the operator says
    of the backup (where it lies, from when to when), never a secret. Times are the operator's own words.
    """

    name: str
    method: str
    member: str = ""
    started: str = ""
    stopped: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    planned_only: bool = False


@dataclass(frozen=True, slots=True)
class PutBack:
    """What became of taking a restore back; `run` is the run that was, empty when none had left anything.

    `undone` says in words what was taken back, `kept` is where what was live meanwhile stayed.
    """

    run: str = ""
    undone: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    planned_only: bool = False


class Journal(Protocol):
    """The record of one treatment, stored in the cluster before each act and after it."""

    @property
    def record(self) -> Record:
        """As it is stored now."""

    def begin(self, index: int, memo: Mapping[str, str]) -> None:
        """Act number `index` is about to begin; what undo will need is in `memo`."""

    def end(self, index: int) -> None:
        """It is done."""

    def postpone(self, index: int) -> None:
        """It is not possible yet, and changed nothing."""

    def release(self, index: int) -> None:
        """It was taken back as a part of going forward."""

    def taken_back(self, index: int) -> None:
        """It was undone."""


class Captures(Protocol):
    """Saves what a member holds as a proven snapshot of type ``diverged``, before it is overwritten."""

    def save(
        self, ordinal: int, file: str, dump_format: str, produce: Callable[[DumpSink], DumpProof]
    ) -> str:
        """Run `produce` into ``<ns>/<cluster>/<ordinal>-<file>``; the id of the proven snapshot."""


class Direction(IntEnum):
    """Which way the acts are walked."""

    FORWARD = 1
    BACK = -1


@dataclass(frozen=True, slots=True)
class Order:
    """What `heal` is handed. `journal` holds the acts and how far each has come, whoever began it."""

    journal: Journal
    captures: Captures
    direction: Direction = Direction.FORWARD
