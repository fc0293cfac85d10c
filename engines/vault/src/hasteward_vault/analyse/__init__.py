"""Judges the evidence: who leads, what the majority can still lose, and how every member is. Pure.

Raft makes it simple where there is a leader: it holds every entry that was ever acknowledged. So the question
is whether the one that claims to lead really does. Its health check says so even after it lost its majority;
the Raft configuration as it has it does not: there the leader is marked only while a majority answers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hasteward.domain.reading import Absent, Known, Reading, Unread, why_not
from hasteward.domain.report import Assessment, Authority
from hasteward_vault.analyse.members import alone, assess, assess_dead
from hasteward_vault.analyse.survival import Survival, survival
from hasteward_vault.analyse.verdict import (
    CONTACT_SECONDS,
    LAG_ENTRIES,
    Doubt,
    PeerMatch,
    Question,
    Quorum,
    is_peer,
    lacks_token,
    leads,
    raft_of,
    status_of,
)
from hasteward_vault.evidence import Evidence, MemberEvidence, Peer, PodFacts, Raft
from hasteward_vault.facts.words import counted


@dataclass(frozen=True, slots=True)
class Analysis:
    """The verdict. `leader` is the member that is proven to lead; empty when none is.

    `claimant` is the one whose view of the peers is used: the leader, or who still takes itself for it.
    `dead` are peers of the configuration that no pod of the set can be and that the leader has not heard of;
    `reached` are the voters that are proven to follow, by member or else by peer. `survival` is what is left
    where nobody leads.
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
    reached: frozenset[str]
    survival: Survival | None = None

    def reached_without(self, member: str) -> int:
        """How many voters other than `member` are proven to follow the leader."""
        return len(self.reached - {member})

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
    voters = [match for match in peers if match.peer.voter]
    reached = frozenset(_name(match) for match in voters if _reached(evidence, claimant, match))
    quorum = Quorum(len(voters), len(reached)) if peers else None
    questions = _questions(evidence, claiming, leading, claimant, quorum)
    left = survival(evidence, questions)
    if left is not None and left.short:
        questions += left.open
    fit = {one.name: one for one in left.fit} if left is not None and left.lost else {}
    leader = leading[0].name if not questions and leading else ""
    reference = claimant if leader else None
    dead = tuple(match for match in peers if _dead(evidence, match)) if leader else ()
    assessments = (
        *(
            alone(assess(member, peers, reference, lag_entries), fit.get(member.name))
            for member in evidence.members
        ),
        *(assess_dead(match) for match in dead),
    )
    authority, reason = _verdict(questions, leader, quorum, left)
    return Analysis(
        authority=authority,
        reason=reason,
        questions=questions,
        assessments=assessments,
        leader=leader,
        claimant=claimant.name if claimant is not None else "",
        quorum=quorum,
        peers=peers,
        dead=dead,
        reached=reached,
        survival=left,
    )


def _match(evidence: Evidence, peer: Peer, raft: Raft | None) -> PeerMatch:
    found = next((member.name for member in evidence.members if is_peer(peer, member)), "")
    return PeerMatch(peer, found, raft.watch(peer.id) if raft is not None else None)


def _dead(evidence: Evidence, match: PeerMatch) -> bool:
    """Whether a peer is gone for good: no member, and the leader itself says that it hears nothing of it.

    Only a name of the set's own can be proven to have no pod; any other may be a server outside of it.
    """
    host = match.peer.address.split(".")[0].rsplit(":", 1)[0]
    pattern = re.compile(rf"{re.escape(evidence.stateful_set.name)}-\d+")
    if not (pattern.fullmatch(match.peer.id) or pattern.fullmatch(host)):
        return False
    if match.member or not isinstance(evidence.inventory, Known) or match.watched is None:
        return False
    contact = match.watched.contact
    return not match.watched.healthy and (contact is None or contact > CONTACT_SECONDS)


# --- the authority ----------------------------------------------------------------------------------------


def _verdict(
    questions: tuple[Question, ...], leader: str, quorum: Quorum | None, left: Survival | None
) -> tuple[Authority, str]:
    if not questions:
        return Authority.PROVABLE, f"{leader} leads, and a majority follows it ({quorum})"
    if left is not None and left.lost:
        return Authority.MAJORITY_LOST, left.text
    words = "; ".join(question.text for question in questions)
    kinds = {question.kind for question in questions}
    if Doubt.OTHER_CLUSTER in kinds:
        return Authority.DIVERGED, words
    return Authority.UNDETERMINABLE, words


def _name(match: PeerMatch) -> str:
    return match.member or match.peer.id


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
        text = f"it is not known which pods there are ({why_not(evidence.inventory)})"
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


__all__ = [
    "LAG_ENTRIES",
    "Analysis",
    "Doubt",
    "PeerMatch",
    "Question",
    "Quorum",
    "analyse",
    "is_peer",
    "lacks_token",
    "leads",
    "raft_of",
    "status_of",
]
