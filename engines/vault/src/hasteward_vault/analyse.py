"""Judges the evidence: who leads, what the majority can still lose, and how every member is. Pure.

Raft makes it simple where there is a leader: it holds every entry that was ever acknowledged. So the question
is whether the one that claims to lead really does. Its health check says so even after it lost its majority;
the Raft configuration as it has it does not: there the leader is marked only while a majority answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hasteward.domain.reading import Absent, Known, Reading, Unread
from hasteward.domain.report import Assessment, Authority, Health
from hasteward_vault.evidence import (
    Evidence,
    Forbidden,
    MemberEvidence,
    Peer,
    PodFacts,
    Raft,
    Status,
    Watched,
)
from hasteward_vault.facts.words import counted, human

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


@dataclass(frozen=True, slots=True)
class Analysis:
    """The verdict. `leader` is the member that is proven to lead; empty when none is.

    `claimant` is the one whose view of the peers is used: the leader, or who still takes itself for it.
    `dead` are peers of the configuration that no pod of the set can be.
    """

    authority: Authority
    reason: str
    questions: tuple[Question, ...]
    assessments: tuple[Assessment, ...]
    leader: str
    claimant: str
    quorum: Quorum | None
    peers: tuple[PeerMatch, ...]
    dead: tuple[PeerMatch, ...]

    def has(self, kind: Doubt) -> bool:
        """Whether this question is open."""
        return any(question.kind is kind for question in self.questions)

    def assessment(self, member: str) -> Assessment | None:
        """What was said of one member."""
        return next((found for found in self.assessments if found.member == member), None)


def analyse(evidence: Evidence, *, lag_entries: int = LAG_ENTRIES) -> Analysis:
    """Assess every member and give one verdict for the cluster."""
    claiming = tuple(m for m in evidence.members if (s := status_of(m)) is not None and s.active)
    leading = tuple(m for m in claiming if leads(m))
    claimant = leading[0] if len(leading) == 1 else claiming[0] if len(claiming) == 1 else None
    raft = raft_of(claimant)
    peers = tuple(_match(evidence, peer, raft) for peer in raft.peers) if raft is not None else ()
    quorum = _quorum(evidence, claimant, peers) if peers else None
    questions = _questions(evidence, claiming, leading, claimant, quorum)
    leader = leading[0].name if not questions and leading else ""
    reference = claimant if leader else None
    assessments = tuple(_assess(member, peers, reference, lag_entries) for member in evidence.members)
    authority, reason = _verdict(questions, leader, quorum)
    return Analysis(
        authority=authority,
        reason=reason,
        questions=questions,
        assessments=assessments,
        leader=leader,
        claimant=claimant.name if claimant is not None else "",
        quorum=quorum,
        peers=peers,
        dead=tuple(peer for peer in peers if not peer.member),
    )


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


def _match(evidence: Evidence, peer: Peer, raft: Raft | None) -> PeerMatch:
    found = next((member.name for member in evidence.members if is_peer(peer, member)), "")
    return PeerMatch(peer, found, raft.watch(peer.id) if raft is not None else None)


# --- the authority ----------------------------------------------------------------------------------------


def _verdict(questions: tuple[Question, ...], leader: str, quorum: Quorum | None) -> tuple[Authority, str]:
    if not questions:
        return Authority.PROVABLE, f"{leader} leads, and a majority follows it ({quorum})"
    words = "; ".join(question.text for question in questions)
    kinds = {question.kind for question in questions}
    if Doubt.OTHER_CLUSTER in kinds:
        return Authority.DIVERGED, words
    return Authority.UNDETERMINABLE, words


def _quorum(evidence: Evidence, claimant: MemberEvidence | None, peers: tuple[PeerMatch, ...]) -> Quorum:
    voters = [match for match in peers if match.peer.voter]
    return Quorum(len(voters), sum(_reached(evidence, claimant, match) for match in voters))


def _reached(evidence: Evidence, claimant: MemberEvidence | None, match: PeerMatch) -> bool:
    """Whether a voter is proven to be there and to follow the claimant."""
    leader = status_of(claimant)
    member = evidence.member(match.member) if match.member else None
    if claimant is None or leader is None:
        return False
    if member is claimant:
        return True
    if member is not None and _gone(member.pod):
        return False
    status = status_of(member)
    if status is not None:
        follows = status.leader_cluster_address == leader.leader_cluster_address
        return not status.sealed and follows and bool(status.leader_cluster_address)
    watched = match.watched if leads(claimant) else None  # what a stale leader remembers is worth nothing
    heard = watched is not None and watched.contact is not None and watched.contact <= CONTACT_SECONDS
    return heard and watched is not None and watched.alive and watched.healthy


def _gone(pod: Reading[PodFacts]) -> bool:
    """Whether it is known that no server runs there."""
    match pod:
        case Absent():
            return True
        case Known(facts):
            return not facts.alive
        case Unread():
            return False


def _questions(
    evidence: Evidence,
    claiming: tuple[MemberEvidence, ...],
    leading: tuple[MemberEvidence, ...],
    claimant: MemberEvidence | None,
    quorum: Quorum | None,
) -> tuple[Question, ...]:
    questions = []
    if not isinstance(evidence.inventory, Known):
        text = f"it is not known which pods there are ({_why(evidence.inventory)})"
        questions.append(Question(Doubt.INVENTORY, text))
    questions += _kind_questions(evidence)
    questions += _leader_questions(evidence, claiming, leading)
    if len(leading) == 1 and claimant is not None and quorum is not None and quorum.spare < 0:
        text = f"{claimant.name} claims to lead, but a majority is not seen to follow it ({quorum})"
        questions.append(Question(Doubt.NO_QUORUM, text, claimant.name))
    return tuple(questions)


def _kind_questions(evidence: Evidence) -> list[Question]:
    """Servers that are not what this engine is about, or not of one cluster."""
    questions = []
    ids: dict[str, list[str]] = {}
    for member in evidence.members:
        status = status_of(member)
        if status is None:
            continue
        if status.storage and status.storage != "raft":
            text = f"{member.name} stores its data in {status.storage}, not in Raft"
            questions.append(Question(Doubt.OTHER_STORAGE, text, member.name))
        if status.cluster_id:
            ids.setdefault(status.cluster_id, []).append(member.name)
    if len(ids) > 1:
        words = "; ".join(f"{', '.join(names)}: {cluster_id}" for cluster_id, names in sorted(ids.items()))
        questions.append(Question(Doubt.OTHER_CLUSTER, f"the members belong to different clusters ({words})"))
    return questions


def _leader_questions(
    evidence: Evidence, claiming: tuple[MemberEvidence, ...], leading: tuple[MemberEvidence, ...]
) -> list[Question]:
    if len(leading) == 1:
        return []
    if len(leading) > 1:
        names = ", ".join(member.name for member in leading)
        text = f"{len(leading)} members take themselves for the leader: {names}; an election is under way, or"
        return [Question(Doubt.TWO_LEADERS, f"{text} the members do not see each other")]
    if not claiming:
        return [_no_leader(evidence)]
    questions = []
    for member in claiming:
        match member.raft:
            case Known(raft):
                other = next((peer.id for peer in raft.peers if peer.leader), "")
                seen = f"takes {other} for the leader" if other else "knows no leader"
                text = f"{member.name} calls itself active, but the Raft configuration as it has it {seen}"
                questions.append(
                    Question(Doubt.STALE_LEADER, f"{text}: it has lost its majority", member.name)
                )
            case Absent(why) | Unread(why):
                text = f"{member.name} calls itself active, but whether it leads could not be read ({why})"
                questions.append(Question(Doubt.LEADER_UNREAD, text, member.name))
    return questions


def _no_leader(evidence: Evidence) -> Question:
    states = [status for member in evidence.members if (status := status_of(member)) is not None]
    if states and not any(status.initialized for status in states):
        return Question(Doubt.NOT_INITIALIZED, "no member that could be read is initialized")
    sealed = sum(status.sealed for status in states)
    more = f" ({sealed} of {counted(len(states), 'member')} that could be read sealed)" if sealed else ""
    return Question(Doubt.NO_LEADER, f"no member that could be read calls itself active{more}")


def _why(reading: Reading[Any]) -> str:
    match reading:
        case Known():
            return ""
        case Absent(reason) | Unread(reason):
            return reason


# --- the members ------------------------------------------------------------------------------------------


Judgement = tuple[Health, tuple[str, ...], tuple[str, ...]]


def _assess(
    member: MemberEvidence,
    peers: tuple[PeerMatch, ...],
    leader: MemberEvidence | None,
    lag_entries: int,
) -> Assessment:
    entry = next((found for found in peers if found.member == member.name), None)
    health, words, missing = _health(member, entry, leader, known=bool(peers), lag_entries=lag_entries)
    return Assessment(
        member=member.name,
        role=_role(member, entry, leader),
        health=health,
        evidence=(*_pod_words(member.pod), *words, *_disk_words(member)),
        missing=missing,
        details=_details(member, entry, leader),
    )


def _role(member: MemberEvidence, entry: PeerMatch | None, leader: MemberEvidence | None) -> str:
    status = status_of(member)
    if status is None:
        return "unknown"
    if status.sealed:
        return "sealed" if status.initialized else "not initialized"
    if member is leader:
        return "leader"
    if status.active:
        return "claims to lead"
    return "non-voter" if entry is not None and not entry.peer.voter else "standby"


def _pod_words(pod: Reading[PodFacts]) -> list[str]:
    match pod:
        case Known(facts):
            state = "runs" if facts.running else "does not run"
            reason = f" ({facts.reason})" if facts.reason else ""
            words = [
                f"pod {facts.phase}, its container {state}{reason}, {counted(facts.restarts, 'restart')}"
            ]
            return [*words, "the pod is being deleted"] if facts.terminating else words
        case Absent(proof):
            return [proof]
        case Unread():
            return []


def _health(
    member: MemberEvidence,
    entry: PeerMatch | None,
    leader: MemberEvidence | None,
    *,
    known: bool,
    lag_entries: int,
) -> Judgement:
    match member.pod:
        case Absent():
            return Health.DOWN, (), ()
        case Known(facts) if not facts.alive:
            return Health.DOWN, (), ()
        case Unread(reason):
            return Health.UNDETERMINABLE, (), (reason,)
        case Known():
            return _server_health(member, entry, leader, known=known, lag_entries=lag_entries)


def _server_health(
    member: MemberEvidence,
    entry: PeerMatch | None,
    leader: MemberEvidence | None,
    *,
    known: bool,
    lag_entries: int,
) -> Judgement:
    match member.status:
        case Absent(reason) | Unread(reason):
            return Health.UNDETERMINABLE, (), (reason,)
        case Known(status) if not status.initialized:
            return Health.DOWN, ("it is not initialized: it holds no data and has joined no cluster",), ()
        case Known(status) if status.sealed:
            return Health.DOWN, (f"it is sealed ({_seal_words(status)})",), ()
        case Known(status):
            return _unsealed(member, status, entry, leader, known=known, lag_entries=lag_entries)


def _seal_words(status: Status) -> str:
    return f"{status.seal}, {status.threshold} of {status.shares} keys"


def _unsealed(
    member: MemberEvidence,
    status: Status,
    entry: PeerMatch | None,
    leader: MemberEvidence | None,
    *,
    known: bool,
    lag_entries: int,
) -> Judgement:
    words: tuple[str, ...] = (f"unsealed, version {status.version}, applied entry {status.applied}",)
    if member is leader:
        return Health.HEALTHY, (*words, "it leads"), ()
    if leader is None:
        return Health.UNDETERMINABLE, words, ("which member leads",)
    reference = status_of(leader)
    obstacle = _not_following(status, reference, known=known, entry=entry)
    if obstacle:
        return Health.NOT_STREAMING, (*words, obstacle), ()
    if status.applied is None or reference is None or reference.committed is None:
        return Health.UNDETERMINABLE, words, ("how far it is",)
    lag = max(0, reference.committed - status.applied)
    words = (*words, f"{lag} {'entry' if lag == 1 else 'entries'} behind the leader")
    if entry is not None and not entry.peer.voter:
        words = (*words, "it has no vote")
    return (Health.LAGGING if lag > lag_entries else Health.HEALTHY), words, ()


def _not_following(status: Status, leader: Status | None, *, known: bool, entry: PeerMatch | None) -> str:
    """Why an unsealed member does not get what the leader writes; empty when it does."""
    if known and entry is None:
        return "it is no peer of the cluster"
    if leader is None or leader.leader_cluster_address != status.leader_cluster_address:
        return f"it takes {status.leader_cluster_address or 'nobody'} for the leader"
    return ""


def _disk_words(member: MemberEvidence) -> list[str]:
    match member.volume:
        case Known(volume):
            return [f"{human(volume.free)} of {human(volume.size)} free on its volume"]
        case Absent() | Unread():
            return []


def _details(
    member: MemberEvidence, entry: PeerMatch | None, leader: MemberEvidence | None
) -> dict[str, Any]:
    """JSON: indexes and terms as Raft counts them, bytes for the volume; null where not known."""
    status, reference = status_of(member), status_of(leader)
    volume = member.volume.value if isinstance(member.volume, Known) else None
    details: dict[str, Any] = {
        "running": member.pod.value.running if isinstance(member.pod, Known) else None,
        "voter": entry.peer.voter if entry is not None else None,
        "volumeBytes": volume.size if volume else None,
        "volumeFreeBytes": volume.free if volume else None,
    }
    if status is None:
        return details
    lag = None
    if reference is not None and reference.committed is not None and status.applied is not None:
        lag = max(0, reference.committed - status.applied)
    return details | {
        "sealed": status.sealed,
        "initialized": status.initialized,
        "serverVersion": status.version,
        "clusterId": status.cluster_id or None,
        "committedIndex": status.committed,
        "appliedIndex": status.applied,
        "lagEntries": lag,
        "autopilotHealthy": entry.watched.healthy if entry is not None and entry.watched else None,
    }


def lacks_token(evidence: Evidence) -> bool:
    """Whether a member that claims to lead refused us, so that a token or a policy is what is missing."""
    return any(isinstance(member.raft, Forbidden) for member in evidence.members)
