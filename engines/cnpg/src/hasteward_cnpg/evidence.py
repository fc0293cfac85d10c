"""What was read of a cluster: frozen values, every one of them a Reading or inside one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from hasteward.domain.reading import Reading, Unread

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


class ContainerState(StrEnum):
    """The three states of a containerStatus, and that there is none."""

    RUNNING = "running"
    WAITING = "waiting"
    TERMINATED = "terminated"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class PodFacts:
    """A member's pod as the API describes it. `reason` is the containerStatus's own word."""

    phase: str
    terminating: bool
    container: ContainerState
    reason: str
    ready: bool
    restarts: int

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
class Forbidden(Unread):
    """Not read because we may not: the member can be well, and a right is what is missing."""


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """The Cluster object. `fenced` holds names, or ``*`` for all; `fence_note` says what was unreadable."""

    instances: int
    instance_names: tuple[str, ...]
    current_primary: str
    target_primary: str
    phase: str
    fenced: frozenset[str]
    fence_note: str
    hibernated: bool

    def is_fenced(self, member: str) -> bool:
        """Whether the annotation names the member, alone or with all others."""
        return member in self.fenced or "*" in self.fenced


@dataclass(frozen=True, slots=True)
class MemberEvidence:
    """One member. `named` is True when the Cluster's status lists it."""

    name: str
    named: bool
    pod: Reading[PodFacts]
    server: Reading[ServerFacts]


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
