"""Whether a majority is lost for good, and who of those that are left holds the most. Pure.

It is lost when so many voters are proven to hold nothing any more that the rest is no majority: a server that
runs and is empty, or one that does not run and whose claim is not there. A voter that is merely down may come
back with acknowledged entries that nobody else holds; as long as there is one, nothing is decided.

The voters are those of the configuration that the survivors applied last. How far each survivor is, its own
log says: the later term is newer, then the longer log. That is how Raft itself chooses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hasteward.domain.reading import Absent, Known, Unread
from hasteward_vault.analyse.verdict import Doubt, Question, is_peer, status_of
from hasteward_vault.evidence import Evidence, MemberEvidence, Peer, RaftLog
from hasteward_vault.facts.words import counted

_CURABLE = {Doubt.NO_LEADER, Doubt.STALE_LEADER}


@dataclass(frozen=True, slots=True)
class Survivor:
    """A server that runs, with its log, and what it is in the configuration; None when it is not in it."""

    name: str
    log: RaftLog
    peer: Peer | None


@dataclass(frozen=True, slots=True)
class Survival:
    """What is left. `survivors` run and were read, the furthest first.

    `gone` says of others why they are; `open` are those of which it is not known whether they hold something.
    """

    voters: int
    survivors: tuple[Survivor, ...]
    gone: tuple[str, ...]
    open: tuple[Question, ...]

    @property
    def short(self) -> bool:
        """Whether the survivors alone are no majority."""
        votes = sum(one.peer is not None and one.peer.voter for one in self.survivors)
        return votes < self.voters // 2 + 1

    @property
    def lost(self) -> bool:
        """Whether it is proven that there will be no majority any more."""
        return self.short and not self.open

    @property
    def fit(self) -> tuple[Survivor, ...]:
        """Those that hold the most, and that the configuration names."""
        end = self.survivors[0].log.end
        return tuple(one for one in self.survivors if one.log.end == end and one.peer is not None)

    @property
    def text(self) -> str:
        """In words."""
        left = ", ".join(
            f"{one.name} up to entry {one.log.index} of term {one.log.term}" for one in self.survivors
        )
        return (
            f"a majority of the {counted(self.voters, 'voter')} is lost for good: {'; '.join(self.gone)};"
            f" what is left: {left}"
        )


def survival(evidence: Evidence, questions: tuple[Question, ...]) -> Survival | None:
    """What is left where nobody leads; None where that is not the question, or nothing was read."""
    if not questions or not {question.kind for question in questions} <= _CURABLE:
        return None
    logs = [
        (member, member.log.value)
        for member in evidence.members
        if isinstance(member.log, Known) and _holds_data(member)
    ]
    if not logs:
        return None
    newest = max(logs, key=lambda row: row[1].end)[1]
    survivors = sorted(
        (Survivor(member.name, log, _peer(newest, member)) for member, log in logs),
        key=lambda one: (one.log.end, one.name),
        reverse=True,
    )
    gone, unsure = [], []
    named = {one.name for one in survivors}
    for peer, member in _everybody(evidence, newest):
        if member is not None and member.name in named:
            continue
        match _left_of(peer, member):
            case Absent(proof):
                gone.append(proof)
            case Known(text, _) | Unread(text):
                unsure.append(Question(Doubt.MAY_RETURN, text, member.name if member is not None else ""))
    found = Survival(len(newest.voters), tuple(survivors), tuple(gone), tuple(unsure))
    return found if found.fit else None


def _holds_data(member: MemberEvidence) -> bool:
    status = status_of(member)
    return status is not None and status.initialized


def _peer(log: RaftLog, member: MemberEvidence) -> Peer | None:
    return next((peer for peer in log.peers if is_peer(peer, member)), None)


def _everybody(evidence: Evidence, newest: RaftLog) -> Iterator[tuple[Peer | None, MemberEvidence | None]]:
    """Every peer with the member that it is, and the members that are no peers: of one that was taken out
    the configuration may be old.
    """
    for peer in newest.peers:
        yield peer, next((one for one in evidence.members if is_peer(peer, one)), None)
    for member in evidence.members:
        if _peer(newest, member) is None:
            yield None, member


def _left_of(peer: Peer | None, member: MemberEvidence | None) -> Known[str] | Absent | Unread:
    """What one that is no survivor may still hold; absent when it is proven to hold nothing."""
    if member is None:
        where = f"{peer.id} at {peer.address}" if peer is not None else ""
        return Unread(f"peer {where} is no member of the StatefulSet: it may be well")
    match member.pod:
        case Known(pod) if pod.alive:
            status = status_of(member)
            if status is not None and not status.initialized:
                return Absent(f"{member.name} is empty")
            why = member.log.reason if isinstance(member.log, Unread) else "its server did not answer"
            return Unread(f"{member.name} runs, and what it holds could not be read ({why})")
        case Known() | Absent():
            return _left_on_disk(member)
        case Unread(reason):
            return Unread(f"{member.name} could not be looked at ({reason})")


def _left_on_disk(member: MemberEvidence) -> Known[str] | Absent | Unread:
    match member.claim:
        case Absent(proof):
            return Absent(f"{member.name} does not run, and {proof}")
        case Known(volume, source):
            left = f"{member.name} does not run, but its data is there (volume {volume})"
            more = "it may hold what nobody else does: bring it back; it counts as gone when its claim is"
            return Known(f"{left}; {more}", source)
        case Unread(reason):
            return Unread(f"{member.name} does not run, and what is left of it is not known ({reason})")


__all__ = ["Survival", "Survivor", "survival"]
