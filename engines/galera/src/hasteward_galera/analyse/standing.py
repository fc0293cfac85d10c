"""What a member holds, and whether somebody else is proven to hold it too. Pure.

Two members with one UUID and comparable seqnos may still have gone apart: a part that was cut off and forced
to go on counts on from the same number (measured: both sides Primary, one UUID, seqnos 10 and 11, other
rows). So a number proves nothing about another branch. What proves it is a process: Galera names every start
of a server anew, and a process that was in two components carried the data of the first into the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from hasteward.domain.reading import Absent, Known, Reading, Unread
from hasteward_galera.evidence import (
    FileFacts,
    Grastate,
    MemberEvidence,
    Position,
    Provenance,
    Recovered,
    View,
)
from hasteward_galera.resources import ZERO


class Standing(StrEnum):
    """A member against the reference: the component that runs, or the member that reaches furthest."""

    #: it is a part of the reference
    IN = "in"
    #: proven to hold nothing that the reference lacks
    CONTAINED = "contained"
    #: behind by its number, last seen in a majority, but every process of that one has ended since
    PRESUMED = "presumed"
    #: its volume is empty, or gone
    EMPTY = "empty"
    #: a state transfer into it was never finished, so what lies there is no data set (#1108)
    UNFINISHED = "unfinished"
    #: there is data, and neither Galera nor InnoDB knows of a history (#1701)
    UNJOINED = "unjoined"
    #: it holds, or may hold, what the reference lacks
    OWN = "own"
    UNKNOWN = "unknown"

    @property
    def holds_nothing_else(self) -> bool:
        """Whether it is proven that nothing would be lost with the member's data."""
        return self in {Standing.IN, Standing.CONTAINED, Standing.EMPTY}


class Kind(StrEnum):
    """What kind of data a member has."""

    DATA = "data"
    EMPTY = "empty"
    UNFINISHED = "unfinished"
    UNJOINED = "unjoined"


@dataclass(frozen=True, slots=True)
class Holding:
    """What a member holds. `position` is None where only the history is known and not how far it reaches.

    `view` is the last Primary component it was in; it counts as looked for only if `view_read`.
    """

    kind: Kind
    uuid: str = ""
    position: Position | None = None
    provenance: Provenance | None = None
    view: View | None = None
    view_read: bool = False


@dataclass(frozen=True, slots=True)
class Reference:
    """What members are held against. `seqno` is how far it reaches, `view` its component."""

    uuid: str
    seqno: int
    view: View | None
    running: bool
    replicas: int


def holding(member: MemberEvidence) -> Reading[Holding]:
    """What a member holds, from authoritative evidence alone: a hint is never a position."""
    source = f"the evidence of {member.name}"
    match member.server:
        case Known(server):
            if server.position is None:
                return Unread(f"{member.name} runs and has no position yet ({server.state})")
            view, read = server.view, server.view is not None
            at = server.position
            return Known(Holding(Kind.DATA, at.uuid, at, Provenance.LIVE, view, read), member.server.source)
        case Absent(why) | Unread(why):
            unanswered = why
    if isinstance(member.claim, Absent):
        return Known(Holding(Kind.EMPTY, view_read=True), member.claim.proof)
    match member.files:
        case Absent(proof):
            return Known(Holding(Kind.EMPTY, view_read=True), proof)
        case Unread(why):
            return Unread(f"{unanswered}; {why}" if why != unanswered else why)
        case Known(files):
            return _stopped(member.name, files, member.recovered, source)


def _stopped(name: str, files: FileFacts, recovered: Reading[Recovered], source: str) -> Reading[Holding]:
    """A server that is proven not to run. InnoDB is believed before ``grastate.dat``, which can be edited."""
    saved = files.grastate
    zero = saved is not None and saved.uuid == ZERO
    if files.transfer and zero:
        return Known(Holding(Kind.UNFINISHED, view_read=True), source)
    match recovered:
        case Known(found) if found.position is not None:
            return Known(_recovered(found.position, files, found), source)
        case Known() if saved is not None and saved.position is not None:
            return Unread(f"grastate.dat of {name} says {saved.position}, and InnoDB knows of no position")
        case Known():
            kind = Kind.UNJOINED if files.schemas else Kind.EMPTY
            return Known(Holding(kind, view_read=True), source)
        case Absent(why) | Unread(why):
            return _unrecovered(name, files, source, why)


def _unrecovered(name: str, files: FileFacts, source: str, why: str) -> Reading[Holding]:
    """The files alone."""
    saved = files.grastate
    if saved is not None and saved.uuid != ZERO:
        return Known(_saved(saved, files), source)
    if not files.schemas:
        return Known(Holding(Kind.EMPTY, view_read=True), source)
    return Unread(f"grastate.dat of {name} names no history, and InnoDB was not asked: {why}")


def _saved(saved: Grastate, files: FileFacts) -> Holding:
    """What ``grastate.dat`` alone tells: with -1 only the history, and not how far."""
    clean = Provenance.CLEAN if saved.position is not None else None
    return Holding(Kind.DATA, saved.uuid, saved.position, clean, files.view, files.view is not None)


def _recovered(at: Position, files: FileFacts, found: Recovered) -> Holding:
    # gvwstate.dat is written at once and the table with a transaction, so of the two the file is the later
    view = files.view if files.view is not None else found.view
    if view is not None and view.uuid != at.uuid:
        view = View(at.uuid, view.nodes, view.names) if view is files.view else None
    return Holding(Kind.DATA, at.uuid, at, Provenance.RECOVERED, view, view_read=True)


def stand(held: Reading[Holding], reference: Reference) -> Standing:
    """A member that is not a part of the reference, held against it."""
    match held:
        case Absent() | Unread():
            return Standing.UNKNOWN
        case Known(holding_):
            pass
    match holding_.kind:
        case Kind.EMPTY:
            return Standing.EMPTY
        case Kind.UNFINISHED:
            return Standing.UNFINISHED
        case Kind.UNJOINED:
            return Standing.UNJOINED
        case Kind.DATA:
            return _compare(holding_, reference)


def stand_all(
    holdings: Mapping[str, Reading[Holding]], reference: Reference, known: Mapping[str, Standing]
) -> dict[str, Standing]:
    """Everybody against the reference; `known` are those that are a part of it.

    Containment is passed on: who is contained in a member that is itself contained is so too.
    """
    found = dict(known) | {
        name: stand(held, reference) for name, held in holdings.items() if name not in known
    }
    for _ in holdings:
        carriers = [
            held.value
            for name, held in holdings.items()
            if found[name] in {Standing.IN, Standing.CONTAINED} and isinstance(held, Known)
        ]
        for name, held in holdings.items():
            open_ = found[name] in {Standing.OWN, Standing.PRESUMED}
            if open_ and isinstance(held, Known) and any(_within(held.value, one) for one in carriers):
                found[name] = Standing.CONTAINED
    return found


def _within(mine: Holding, other: Holding) -> bool:
    """Whether one stopped or running member holds all that another holds."""
    return (
        mine.position is not None
        and other.position is not None
        and mine.view is not None
        and other.view is not None
        and mine.uuid == other.uuid
        and mine.position.seqno <= other.position.seqno
        and mine.view.meets(other.view)
    )


def _compare(held: Holding, reference: Reference) -> Standing:
    if held.uuid != reference.uuid:
        return Standing.OWN
    shared = held.view is not None and reference.view is not None and held.view.meets(reference.view)
    if shared and reference.running:
        return Standing.CONTAINED  # whoever was in both went on with all that was in the first
    if held.position is None:
        return Standing.UNKNOWN
    if held.position.seqno > reference.seqno:
        return Standing.OWN
    return Standing.CONTAINED if shared else _by_number(held, reference)


def _by_number(held: Holding, reference: Reference) -> Standing:
    """Behind by its number, and no process links the two: a minority may have gone on by itself."""
    if not held.view_read or reference.view is None:
        return Standing.UNKNOWN
    mine = len(held.view.nodes) if held.view is not None else 0
    majority = 2 * mine > reference.replicas and 2 * len(reference.view.nodes) > reference.replicas
    return Standing.PRESUMED if majority else Standing.OWN
