"""What was read of a cluster: frozen values, every one of them a Reading or inside one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hasteward.domain.reading import Reading


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """How far a history reaches. A seqno without its UUID says nothing, so they are one value.

    Neither may be Galera's stand-in for "not known": the zero UUID and -1 are no positions.
    """

    uuid: str
    seqno: int

    def __str__(self) -> str:
        return f"{self.uuid[:8]}:{self.seqno}"


class Provenance(StrEnum):
    """What a position rests on. Only these three count; everything else is a `Hint`."""

    #: the server itself says what it has committed
    LIVE = "live"
    #: ``--wsrep-recover`` over the files of a server that is proven not to run
    RECOVERED = "recovered"
    #: ``grastate.dat`` of a server that stopped in order and is proven not to run
    CLEAN = "clean"


@dataclass(frozen=True, slots=True)
class View:
    """The last Primary component that a member was in: who was in it with it.

    `nodes` are the UUIDs that Galera gives to processes: a new one with every start. So two views that share
    one were on the same branch when they shared it, which (UUID, seqno) alone never tells. `names` are the
    same members by name, empty where only their UUIDs were written down.
    """

    uuid: str
    nodes: frozenset[str]
    names: frozenset[str] = frozenset()

    def meets(self, other: View) -> bool:
        """Whether one process was in both."""
        return bool(self.nodes & other.nodes)


@dataclass(frozen=True, slots=True)
class Hint:
    """A position that somebody else wrote down. Shown, and never decided by (L46, L47, L52)."""

    source: str
    position: Position


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of the MariaDB object."""

    status: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class OperatorState:
    """One entry of ``status.galeraRecovery``, as the operator has it."""

    uuid: str
    seqno: int
    safe: bool = False


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """The MariaDB object.

    `recovering` says that ``status.galeraRecovery`` holds anything; it stays after a success. `secret` is
    name and key of the root password, empty when root has none.
    """

    replicas: int
    image: str
    suspended: bool
    primary: str
    conditions: Mapping[str, Condition]
    recovery_enabled: bool
    forced_pod: str
    shared_volume: bool
    secret: tuple[str, str]
    library: str = ""
    recovering: bool = False
    state: Mapping[str, OperatorState] = field(default_factory=dict)
    recovered: Mapping[str, OperatorState] = field(default_factory=dict)
    bootstrap_pod: str = ""

    @property
    def latched(self) -> bool:
        """Whether the operator takes the cluster for broken: the next time it acts, it recovers it."""
        return "GaleraReady" in self.conditions and self.conditions["GaleraReady"].status == "False"


@dataclass(frozen=True, slots=True)
class SetFacts:
    """The StatefulSet. `deletes_claims` says that scaling down deletes data."""

    replicas: int
    ready: int
    deletes_claims: bool


@dataclass(frozen=True, slots=True)
class PodFacts:
    """A member's pod as the API describes it; `reason` is the containerStatus's own word."""

    phase: str
    terminating: bool
    running: bool
    ready: bool
    reason: str
    restarts: int
    uid: str
    node: str = ""
    scheduled: bool = True
    account: str = ""
    user: int = 0
    group: int = 0
    pull_secrets: tuple[str, ...] = ()
    tolerations: tuple[Mapping[str, object], ...] = ()

    @property
    def alive(self) -> bool:
        """Whether the server's container runs."""
        return self.running and not self.terminating


@dataclass(frozen=True, slots=True)
class ClaimFacts:
    """A member's volume claim. `users` are pods other than the member's own that mount it (W10)."""

    phase: str
    uid: str
    users: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a running server says of itself.

    `uuid` and `seqno` are what it has committed; `position` is None where they are stand-ins. `queue` is how
    many write-sets wait to be applied, `paused` the share of time that flow control held it. `view` is None
    where the server does not keep it or where it is not the one it is in.
    """

    version: str
    uuid: str
    seqno: int
    primary: bool
    state: str
    ready: bool
    connected: bool
    size: int
    node: str
    position: Position | None
    view: View | None
    desynced: bool = False
    queue: int = 0
    paused: float = 0.0

    @property
    def synced(self) -> bool:
        """Whether it takes writes and has what the others have: Galera's facts, not the kubelet's (L57)."""
        return self.primary and self.ready and self.connected and self.state == "Synced"


@dataclass(frozen=True, slots=True)
class Grastate:
    """``grastate.dat``; `position` is None unless the server stopped in order."""

    uuid: str
    seqno: int
    safe: bool
    position: Position | None


@dataclass(frozen=True, slots=True)
class FileFacts:
    """The files of a member whose server is proven not to run.

    `grastate` is None when there is no such file, or none that can be read; `view` is that of
    ``gvwstate.dat`` (only a server that did not stop in order leaves one). `transfer` says that a state
    transfer into it was never finished; `schemas` are the folders of schemas that are not the server's own.
    """

    grastate: Grastate | None
    view: View | None
    transfer: bool
    schemas: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recovered:
    """What InnoDB itself says of a stopped member: position and last view; None where it has none."""

    position: Position | None
    view: View | None


@dataclass(frozen=True, slots=True)
class Volume:
    """The file system of the data, in bytes."""

    size: int
    free: int


@dataclass(frozen=True, slots=True)
class MemberEvidence:
    """One member. `files` and `recovered` are looked for only where no server answers.

    `stale_bootstrap` says that a ``1-bootstrap.cnf`` lies there: the next start makes a cluster of its own.
    `disk_full` says that its log ends with a full disk.
    """

    name: str
    ordinal: int
    pod: Reading[PodFacts]
    claim: Reading[ClaimFacts]
    server: Reading[ServerFacts]
    files: Reading[FileFacts]
    recovered: Reading[Recovered]
    volume: Reading[Volume]
    hints: tuple[Hint, ...] = ()
    stale_bootstrap: bool = False
    disk_full: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything triage rests on. `inventory` says whether pods and claims could be listed."""

    cluster: ClusterFacts
    stateful_set: Reading[SetFacts]
    inventory: Reading[int]
    members: tuple[MemberEvidence, ...]

    def member(self, name: str) -> MemberEvidence | None:
        """The member called `name`."""
        return next((member for member in self.members if member.name == name), None)
