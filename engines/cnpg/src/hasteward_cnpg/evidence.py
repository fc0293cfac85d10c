"""What was read of a cluster: frozen values, every one of them a Reading or inside one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from hasteward.domain.reading import Absent, Known, Reading, Unread

_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")


@dataclass(frozen=True, slots=True, order=True)
class Lsn:
    """A position in the write-ahead log, in bytes. Comparable within one timeline's history only."""

    position: int

    @classmethod
    def parse(cls, text: str) -> Lsn:
        """Read PostgreSQL's notation (``16/B374D848``); ValueError for anything else."""
        match = _LSN.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a log position")
        return cls((int(match[1], 16) << 32) | int(match[2], 16))

    def __str__(self) -> str:
        return f"{self.position >> 32:X}/{self.position & 0xFFFFFFFF:X}"

    def __sub__(self, other: Lsn) -> int:
        return self.position - other.position


@dataclass(frozen=True, slots=True)
class Fork:
    """A line of a timeline's history: `timeline` was left at `at`."""

    timeline: int
    at: Lsn


@dataclass(frozen=True, slots=True)
class Position:
    """Where a member's valid log ends, on which timeline, and the timelines it came through, oldest first."""

    timeline: int
    end: Lsn
    ancestors: tuple[Fork, ...]


class ContainerState(StrEnum):
    """The three states of a containerStatus, and that there is none."""

    RUNNING = "running"
    WAITING = "waiting"
    TERMINATED = "terminated"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class PodFacts:
    """A member's pod as the API describes it. `reason` is the containerStatus's own word.

    `age` is for how many seconds its container runs, by our own clock; None where that is not known. So is
    `unready`, for how many seconds the pod is not ready; `fresh` says that it has not been since it was made.
    `last` is how its container ended before this start, in words; `unplaced` is why the scheduler found no
    node for it. Both are "" where that is not so.
    """

    phase: str
    terminating: bool
    container: ContainerState
    reason: str
    ready: bool
    restarts: int
    age: float | None = None
    unready: float | None = None
    fresh: bool | None = None
    last: str = ""
    unplaced: str = ""

    @property
    def serving(self) -> bool:
        """Whether the server's container runs and is ready."""
        return self.container is ContainerState.RUNNING and self.ready and not self.terminating


@dataclass(frozen=True, slots=True)
class Receiver:
    """The one row of pg_stat_wal_receiver."""

    status: str
    timeline: int | None
    sender: str


@dataclass(frozen=True, slots=True)
class Standby:
    """A row of pg_stat_replication. `lag_bytes` is sent minus replayed, None when not known."""

    name: str
    state: str
    sync_state: str
    sent: Lsn | None
    written: Lsn | None
    flushed: Lsn | None
    replayed: Lsn | None
    lag_bytes: int | None


@dataclass(frozen=True, slots=True)
class Slot:
    """A row of pg_replication_slots; `database` is empty for a physical one."""

    name: str
    kind: str
    active: bool
    restart: Lsn | None
    database: str
    wal_status: str


@dataclass(frozen=True, slots=True)
class DatabaseSize:
    """A database and its bytes on disk (None while it is being dropped)."""

    name: str
    size: int | None
    connectable: bool


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What one running server said of itself, in one statement.

    `timeline` is the one a primary writes or a standby receives; without either, that of the last
    checkpoint, which may be behind (`checkpoint_timeline` always is that one).
    """

    version: str
    version_number: int
    system_id: str
    in_recovery: bool
    timeline: int
    checkpoint_timeline: int
    current: Lsn | None
    received: Lsn | None
    replayed: Lsn | None
    last_replay: str
    receiver: Receiver | None
    standbys: tuple[Standby, ...]
    slots: tuple[Slot, ...]
    databases: tuple[DatabaseSize, ...]
    #: the history of `timeline`; None where its file is not there, which is not the same as having none
    ancestors: tuple[Fork, ...] | None = None
    segment_bytes: int = 16 * 1024 * 1024
    #: whether a primary_conninfo that an earlier tool left wins over the operator's
    shadowed: bool = False
    #: whether somebody has told it to receive and not to replay
    replay_paused: bool = False

    @property
    def position(self) -> Position | None:
        """Where the log ends and the way it came; None if either is not known."""
        if self.reached is None or self.ancestors is None:
            return None
        return Position(self.timeline, self.reached, self.ancestors)

    @property
    def major(self) -> int:
        """The major version."""
        return self.version_number // 10000

    @property
    def reached(self) -> Lsn | None:
        """The furthest position whose log this server holds, as far as it can say."""
        known = [lsn for lsn in (self.current, self.received, self.replayed) if lsn is not None]
        return max(known) if known else None


@dataclass(frozen=True, slots=True)
class ControlFacts:
    """What pg_controldata says. `state` is its own word (``in production``, ``shut down in recovery``)."""

    system_id: str
    state: str
    timeline: int
    checkpoint: Lsn
    redo: Lsn
    segment_bytes: int

    @property
    def was_writing(self) -> bool:
        """Whether the server wrote its own log when it last ran; a standby only receives."""
        return self.state in {"in production", "shut down", "shutting down"}


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A stopped member as its files tell it. `position` is the end of its *valid* log, not its checkpoint.

    `free` are the bytes left on the volumes of the data and of the log, None where df did not tell.
    """

    control: ControlFacts
    position: Position
    free: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """Commit records in a part of the log; `last` is the time of the last one, as the log writes it."""

    commits: int
    last: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was read of a member and of another, `to`, past the position where their logs part.

    `mine` are the member's commits there, `theirs` the other's. `alike` says whether the last bytes
    before that position are the same in both logs: members that were promoted apart have equal timelines.
    """

    to: str
    fork: Lsn
    mine: Reading[Tally]
    theirs: Reading[Tally]
    alike: Reading[bool]


class Trouble(StrEnum):
    """A known reason for a server not to run or not to stream."""

    NO_CHECKPOINT = "no valid checkpoint"
    NOT_A_CHILD = "not a child of this history"
    WAL_REMOVED = "log already removed"
    DISK_FULL = "disk full"
    CERTIFICATE = "certificate rejected"
    MODE = "its data directory has a mode that its server refuses"
    NEVER_STREAMED = "it has not streamed since its server was started"


class ClaimState(StrEnum):
    """The state of a member's volume claim."""

    BOUND = "bound"
    PENDING = "pending"
    LOST = "lost"
    TERMINATING = "terminating"


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """The Cluster object. `fenced` holds names, or ``*`` for all; `fence_note` says what was unreadable.

    `primary_age` is for how many seconds the primary is named, by our own clock; None where not known.
    """

    instances: int
    instance_names: tuple[str, ...]
    current_primary: str
    target_primary: str
    phase: str
    fenced: frozenset[str]
    fence_note: str
    hibernated: bool
    reconciliation_off: bool = False
    primary_age: float | None = None

    def is_fenced(self, member: str) -> bool:
        """Whether the annotation names the member, alone or with all others."""
        return member in self.fenced or "*" in self.fenced


_NO_CLAIM: Reading[ClaimState] = Unread("the volume claim was not looked at")
_NO_FILES: Reading[FileFacts] = Unread("the files were not looked at")


@dataclass(frozen=True, slots=True)
class MemberEvidence:
    """One member. `named` is True when the Cluster's status lists it."""

    name: str
    named: bool
    pod: Reading[PodFacts]
    server: Reading[ServerFacts]
    claim: Reading[ClaimState] = _NO_CLAIM
    #: Absent only where a mounted volume was listed and holds no data directory, or the claim does not exist
    files: Reading[FileFacts] = _NO_FILES
    comparisons: tuple[Comparison, ...] = ()
    #: what its log names; empty also where the log was not read
    troubles: frozenset[Trouble] = frozenset()

    @property
    def position(self) -> Reading[Position]:
        """Where the log ends. A server that answers is asked; files count only where none does (W2)."""
        match self.server:
            case Known(server, source):
                if server.position is None:
                    return Unread(f"{source} does not tell the way it came")
                return Known(server.position, source)
            case Absent() | Unread():
                pass
        match self.files:
            case Known(files, source):
                return Known(files.position, source)
            case Absent() | Unread():
                return self.files

    def against(self, other: str) -> Comparison | None:
        """How its log was held against that of `other`, if it was."""
        return next((found for found in self.comparisons if found.to == other), None)

    @property
    def system_id(self) -> str:
        """The identity of its database system, "" where it is not known."""
        if isinstance(self.server, Known):
            return self.server.value.system_id
        return self.files.value.control.system_id if isinstance(self.files, Known) else ""

    @property
    def writes(self) -> bool:
        """Whether its log is its own work, now or when it last ran."""
        if isinstance(self.server, Known):
            return not self.server.value.in_recovery
        return isinstance(self.files, Known) and self.files.value.control.was_writing


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything triage rests on. `inventory` says whether the lists of pods and volumes were read."""

    cluster: Reading[ClusterFacts]
    inventory: Reading[int]
    members: tuple[MemberEvidence, ...]
    detached: tuple[str, ...] = ()

    def member(self, name: str) -> MemberEvidence | None:
        """The member called `name`."""
        return next((member for member in self.members if member.name == name), None)
