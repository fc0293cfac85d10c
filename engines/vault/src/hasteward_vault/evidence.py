"""What was read of a cluster: frozen values, every one of them a Reading or inside one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hasteward.domain.reading import Known, Reading, Unread

_NOT_READ = Unread("it was not asked for")


@dataclass(frozen=True, slots=True)
class SetFacts:
    """The StatefulSet.

    `selector` finds its pods, `container` is the server's, `data` its data's folder, `claim` the template of
    the claim that it is on; empty when the set makes no claims.
    """

    name: str
    replicas: int
    selector: Mapping[str, str]
    container: str
    data: str
    claim: str = ""


@dataclass(frozen=True, slots=True)
class PodFacts:
    """A member's pod as the API describes it. `reason` is the containerStatus's own word."""

    phase: str
    terminating: bool
    running: bool
    reason: str
    restarts: int
    address: str
    uid: str

    @property
    def alive(self) -> bool:
        """Whether the server's container runs."""
        return self.running and not self.terminating


@dataclass(frozen=True, slots=True)
class Status:
    """What a server says of itself to anybody who asks.

    `active` is its own claim to lead, which a leader that lost its majority goes on making for a while;
    `active_since` tells one time of leading from the next.
    `committed` and `applied` are Raft indexes, None when the server does not tell them (it is sealed).
    """

    initialized: bool
    sealed: bool
    version: str
    storage: str
    seal: str
    shares: int
    threshold: int
    cluster_id: str
    active: bool
    active_since: str
    leader_cluster_address: str
    committed: int | None
    applied: int | None


@dataclass(frozen=True, slots=True)
class Peer:
    """One server of the Raft configuration. `leader` is whom the answering server takes for the leader."""

    id: str
    address: str
    voter: bool
    leader: bool


@dataclass(frozen=True, slots=True)
class Watched:
    """A peer as the leader's autopilot sees it. `contact` is seconds since it was last heard of."""

    id: str
    healthy: bool
    alive: bool
    contact: float | None
    term: int
    index: int
    version: str


@dataclass(frozen=True, slots=True)
class Raft:
    """What a server that claims to lead says to somebody with a token."""

    peers: tuple[Peer, ...]
    watched: Reading[tuple[Watched, ...]]
    key_term: Reading[int]

    @property
    def voters(self) -> tuple[Peer, ...]:
        """Who has a vote."""
        return tuple(peer for peer in self.peers if peer.voter)

    def watch(self, peer: str) -> Watched | None:
        """What autopilot knows of a peer."""
        match self.watched:
            case Known(rows):
                return next((row for row in rows if row.id == peer), None)
            case _:
                return None


@dataclass(frozen=True, slots=True)
class RaftLog:
    """What the files of a server say: the last configuration it applied, and its last entry.

    Of two logs, the one whose `term` is greater is newer, and of two of one term the longer.
    """

    peers: tuple[Peer, ...]
    term: int
    index: int

    @property
    def end(self) -> tuple[int, int]:
        """How far it goes, in Raft's own order."""
        return self.term, self.index

    @property
    def voters(self) -> tuple[Peer, ...]:
        """Who has a vote."""
        return tuple(peer for peer in self.peers if peer.voter)


@dataclass(frozen=True, slots=True)
class Volume:
    """The file system of the data, in bytes."""

    size: int
    free: int


@dataclass(frozen=True, slots=True)
class MemberEvidence:
    """One member; `ordinal` is the number at the end of its name.

    `raft` is asked only where it claims to lead: a standby would pass the question on to the leader. `log` is
    read from its files, and `claim` (the volume that its claim is bound to) looked up where its container
    does not run, only as long as nobody leads: an absent claim has no data. `kept` are files in which
    restores kept what they replaced.
    """

    name: str
    ordinal: int
    pod: Reading[PodFacts]
    status: Reading[Status]
    volume: Reading[Volume]
    raft: Reading[Raft]
    kept: tuple[str, ...] = ()
    log: Reading[RaftLog] = _NOT_READ
    claim: Reading[str] = _NOT_READ


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything triage rests on. `inventory` says whether the list of pods was read."""

    stateful_set: SetFacts
    inventory: Reading[int]
    members: tuple[MemberEvidence, ...]

    def member(self, name: str) -> MemberEvidence | None:
        """The member called `name`."""
        return next((member for member in self.members if member.name == name), None)
