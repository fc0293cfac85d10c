"""What an analysis is made of, and what is asked of a member's readings again and again. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hasteward.domain.reading import Forbidden, Known
from hasteward_vault.evidence import Evidence, MemberEvidence, Peer, Raft, Status, Watched
from hasteward_vault.facts.words import counted

#: a standby that has this many entries still to apply is lagging
LAG_ENTRIES = 1000
#: a peer that was not heard of for this many seconds is not counted as reached
CONTACT_SECONDS = 30.0


class Doubt(StrEnum):
    """Why the authority is not proven."""

    INVENTORY = "inventory"
    NOT_INITIALIZED = "not_initialized"
    OTHER_STORAGE = "other_storage"
    NO_LEADER = "no_leader"
    LEADER_UNREAD = "leader_unread"
    STALE_LEADER = "stale_leader"
    TWO_LEADERS = "two_leaders"
    NO_QUORUM = "no_quorum"
    OTHER_CLUSTER = "other_cluster"
    MAY_RETURN = "may_return"


@dataclass(frozen=True, slots=True)
class Question:
    """One open question; `text` says it in words."""

    kind: Doubt
    text: str
    member: str = ""


@dataclass(frozen=True, slots=True)
class Quorum:
    """The arithmetic of the majority. `reached` are voters that are proven to follow the leader."""

    voters: int
    reached: int

    @property
    def needed(self) -> int:
        """How many make a majority."""
        return self.voters // 2 + 1

    @property
    def spare(self) -> int:
        """How many more may be lost before nothing can be written; negative when it has come to that."""
        return self.reached - self.needed

    def __str__(self) -> str:
        end = f"may lose {self.spare} more" if self.spare >= 0 else "the majority is lost"
        return f"{self.reached} of {counted(self.voters, 'voter')} reached, {self.needed} needed: {end}"


@dataclass(frozen=True, slots=True)
class PeerMatch:
    """A peer of the configuration and the member it is; `member` is empty when there is none."""

    peer: Peer
    member: str
    watched: Watched | None


def status_of(member: MemberEvidence | None) -> Status | None:
    """What a member said of itself, if it was read."""
    return member.status.value if member is not None and isinstance(member.status, Known) else None


def raft_of(member: MemberEvidence | None) -> Raft | None:
    """The Raft configuration as a member has it, if it was read."""
    return member.raft.value if member is not None and isinstance(member.raft, Known) else None


def leads(member: MemberEvidence) -> bool:
    """Whether the configuration as the member has it marks the member itself as the leader."""
    raft = raft_of(member)
    return raft is not None and any(peer.leader and is_peer(peer, member) for peer in raft.peers)


def is_peer(peer: Peer, member: MemberEvidence) -> bool:
    """Whether a peer of the configuration is this member: by its id, its host name or its address."""
    host = peer.address.rsplit(":", 1)[0]
    address = member.pod.value.address if isinstance(member.pod, Known) else ""
    return peer.id == member.name or host.split(".")[0] == member.name or (bool(address) and host == address)


def lacks_token(evidence: Evidence) -> bool:
    """Whether a member that claims to lead refused us, so that a token or a policy is what is missing."""
    return any(isinstance(member.raft, Forbidden) for member in evidence.members)
