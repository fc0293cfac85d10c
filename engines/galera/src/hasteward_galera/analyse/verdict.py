"""One verdict: who is proven to hold the newest data. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from hasteward.domain.reading import Absent, Known, Reading, Unread
from hasteward.domain.report import Authority
from hasteward_galera.analyse.components import Component, components, server_of
from hasteward_galera.analyse.standing import Holding, Kind, Reference, Standing, holding, stand, stand_all
from hasteward_galera.evidence import Evidence, MemberEvidence, Position, View
from hasteward_galera.facts.words import listed


class Doubt(StrEnum):
    """Why the authority is not proven."""

    INVENTORY = "inventory"
    UNREAD = "unread"
    UNSETTLED = "unsettled"
    TWO_COMPONENTS = "two_components"
    OTHER_HISTORY = "other_history"
    OWN_BRANCH = "own_branch"
    NO_DATA = "no_data"


@dataclass(frozen=True, slots=True)
class Question:
    """One open question; `text` says it in words."""

    kind: Doubt
    text: str
    member: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict and what it rests on.

    `component` is the one Primary component; None when there is none or more than one. `leader` is the
    member that reaches furthest when nothing is Primary, empty otherwise.
    """

    authority: Authority
    reason: str
    questions: tuple[Question, ...]
    standings: Mapping[str, Standing]
    holdings: Mapping[str, Reading[Holding]]
    components: tuple[Component, ...]
    component: Component | None
    leader: str
    newest: tuple[str, ...]


def judge(evidence: Evidence) -> Verdict:
    """Hold every member against the component that runs, or against the member that reaches furthest."""
    found = components(evidence)
    holdings = {member.name: holding(member) for member in evidence.members}
    inventory = _inventory(evidence)
    if len(found) > 1:
        return _split(evidence, found, holdings, inventory)
    if found:
        return _running(evidence, found[0], holdings, inventory)
    return _none_running(evidence, holdings, inventory)


def _inventory(evidence: Evidence) -> list[Question]:
    match evidence.inventory:
        case Known():
            return []
        case Absent(why) | Unread(why):
            return [Question(Doubt.INVENTORY, f"it is not known which pods and claims there are ({why})")]


def _split(
    evidence: Evidence,
    found: tuple[Component, ...],
    holdings: Mapping[str, Reading[Holding]],
    questions: list[Question],
) -> Verdict:
    """More than one component takes writes; the one that the operator sends them to is kept in sight."""
    seen = sum(len(one.members) for one in found)
    if any(server.view is None for m in evidence.members if (server := server_of(m)) and server.primary):
        text = "the servers' components could not be told apart: not every one keeps the view that it is in"
        questions.append(Question(Doubt.UNSETTLED, text))
    elif any(a.view and b.view and a.view.meets(b.view) for a in found for b in found if a is not b):
        text = f"{seen} servers were asked while their component was changing"
        questions.append(Question(Doubt.UNSETTLED, text))
    else:
        words = " and ".join(str(one) for one in found)
        text = f"{len(found)} Primary components take writes apart from each other: {words}"
        questions.append(Question(Doubt.TWO_COMPONENTS, text))
    kept = next((one for one in found if evidence.cluster.primary in one.members), found[0])
    standings = {}
    for member in evidence.members:
        if member.name in kept.members:
            standings[member.name] = Standing.IN
        elif any(member.name in one.members for one in found):
            standings[member.name] = Standing.OWN
        else:
            standings[member.name] = _weakest(
                [stand(holdings[member.name], _reference(evidence, one)) for one in found]
            )
    return _conclude(questions, standings, holdings, found, component=None, leader="", newest=())


def _weakest(found: list[Standing]) -> Standing:
    """Held against several: contained in one of them is contained, for none of them is given up unasked."""
    for wanted in (
        Standing.CONTAINED,
        Standing.EMPTY,
        Standing.UNFINISHED,
        Standing.UNJOINED,
        Standing.UNKNOWN,
    ):
        if wanted in found:
            return wanted
    return Standing.OWN


def _reference(evidence: Evidence, component: Component) -> Reference:
    replicas = evidence.cluster.replicas
    return Reference(component.uuid, component.seqno, component.view, running=True, replicas=replicas)


def _running(
    evidence: Evidence,
    component: Component,
    holdings: Mapping[str, Reading[Holding]],
    questions: list[Question],
) -> Verdict:
    reference = _reference(evidence, component)
    if len(component.members) > component.size:
        text = (
            f"{listed(component.members)} each count {component.size} in their component: not all are in one"
        )
        questions.append(Question(Doubt.UNSETTLED, text))
    inside = dict.fromkeys(component.members, Standing.IN)
    # whom we could not ask, and the component can (L58)
    inside |= {m.name: Standing.CONTAINED for m in evidence.members if _counted_in(m, component)}
    standings = stand_all(holdings, reference, inside)
    for member in evidence.members:
        standing = standings[member.name]
        questions += _questions(member, standing, holdings[member.name], str(component), component.uuid)
    if any(question.kind is Doubt.OWN_BRANCH for question in questions):
        # what an unread part of the component holds may reach further than what is seen of it
        questions += _unseen(component)
    words = f"{component} is the only Primary component, and everybody else's data is in it"
    return _conclude(
        questions,
        standings,
        holdings,
        (component,),
        component=component,
        leader="",
        newest=tuple(name for name in component.members if _complete(evidence.member(name), component)),
        words=words,
    )


def _unseen(component: Component) -> list[Question]:
    if len(component.members) == component.size:
        return []
    text = f"{len(component.members)} of the {component.size} servers of the component could be asked"
    return [Question(Doubt.UNREAD, text)]


def _complete(member: MemberEvidence | None, component: Component) -> bool:
    """Whether it has applied what it was sent: what only waits in its memory goes with its process."""
    server = server_of(member)
    if server is None or not server.synced:
        return False
    return server.queue == 0 or server.seqno == component.seqno


def _counted_in(member: MemberEvidence, component: Component) -> bool:
    """Whether a member that was not read is in the component by the component's own word."""
    if member.name in component.members or member.name not in component.names:
        return False
    server = server_of(member)
    runs = isinstance(member.pod, Unread) or (isinstance(member.pod, Known) and member.pod.value.alive)
    return runs and (server is None or server.position is None)


def _questions(
    member: MemberEvidence, standing: Standing, held: Reading[Holding], whom: str, uuid: str
) -> list[Question]:
    match standing:
        case Standing.UNKNOWN:
            return [Question(Doubt.UNREAD, _why_unknown(member, held), member.name)]
        case Standing.OWN:
            return [_own(member, held, whom, uuid)]
        case _:
            return []


def _why_unknown(member: MemberEvidence, held: Reading[Holding]) -> str:
    match held:
        case Absent(why) | Unread(why):
            return f"what {member.name} holds could not be read ({why})"
        case Known(found) if found.position is None:
            match member.recovered:
                case Absent(why) | Unread(why):
                    return f"{member.name} did not stop in order, and how far it is was not recovered ({why})"
                case Known():
                    return f"{member.name} did not stop in order, and how far it is was not recovered"
        case Known(found):
            return (
                f"{member.name} is at {found.position}, but in which component it was last could not be read,"
                " and a number alone does not tell a branch"
            )


def _own(member: MemberEvidence, held: Reading[Holding], whom: str, uuid: str) -> Question:
    match held:
        case Known(found) if found.uuid != uuid:
            text = f"{member.name} has another history ({found.position or found.uuid}) than {whom}"
            return Question(Doubt.OTHER_HISTORY, text, member.name)
        case Known(found):
            last = listed(found.view.names or found.view.nodes) if found.view is not None else "no component"
            text = (
                f"{member.name} is at {found.position} and was last in {last}, from where no process went on"
            )
            return Question(Doubt.OWN_BRANCH, f"{text} to {whom}", member.name)
        case Absent() | Unread():
            return Question(Doubt.UNREAD, f"what {member.name} holds could not be read", member.name)


def _none_running(
    evidence: Evidence, holdings: Mapping[str, Reading[Holding]], questions: list[Question]
) -> Verdict:
    """Nothing is Primary: the member that reaches furthest, if it is proven to hold all the others'."""
    unread = [
        Question(Doubt.UNREAD, _why_unknown(member, holdings[member.name]), member.name)
        for member in evidence.members
        if _unknown(holdings[member.name])
    ]
    leader = _furthest(evidence, holdings)
    if leader is None:
        questions += unread or [Question(Doubt.NO_DATA, "no member holds data of a Galera cluster")]
        standings = {name: _alone(held) for name, held in holdings.items()}
        return _conclude(questions, standings, holdings, (), component=None, leader="", newest=())
    name, at, view = leader
    reference = Reference(at.uuid, at.seqno, view, running=False, replicas=evidence.cluster.replicas)
    standings = stand_all(holdings, reference, {name: Standing.IN})
    for member in evidence.members:
        if standings[member.name] is Standing.OWN:
            questions.append(_own(member, holdings[member.name], name, at.uuid))
    asked = {question.member for question in unread}
    unread += [
        Question(Doubt.UNREAD, _why_unknown(member, holdings[member.name]), member.name)
        for member in evidence.members
        if standings[member.name] is Standing.UNKNOWN and member.name not in asked
    ]
    questions += unread
    proven = not questions
    # who stands at the same number by another way does not hold the same
    linked = (one for one, standing in standings.items() if standing in {Standing.IN, Standing.CONTAINED})
    newest = tuple(one for one in linked if _at(holdings[one]) == at) if proven else ()
    return _conclude(
        questions,
        standings,
        holdings,
        (),
        component=None,
        leader=name if proven else "",
        newest=newest,
        words=f"nothing is Primary, and {name} holds everything that the others hold, up to {at}",
    )


def _unknown(held: Reading[Holding]) -> bool:
    match held:
        case Known(found):
            return found.kind is Kind.DATA and found.position is None
        case Absent() | Unread():
            return True


def _at(held: Reading[Holding]) -> Position | None:
    return held.value.position if isinstance(held, Known) else None


def _alone(held: Reading[Holding]) -> Standing:
    match held:
        case Known(found) if found.kind is not Kind.DATA:
            return Standing(found.kind.value)
        case Known() | Absent() | Unread():
            return Standing.UNKNOWN


def _furthest(
    evidence: Evidence, holdings: Mapping[str, Reading[Holding]]
) -> tuple[str, Position, View | None] | None:
    """The member that reaches furthest on the history that most members have.

    Seqnos of two histories are not compared: more of them does not mean newer. Among equals it is the one
    that the operator calls primary.
    """
    known = [
        (member, held.value.position, held.value.view)
        for member in evidence.members
        if isinstance(held := holdings[member.name], Known) and held.value.position is not None
    ]
    if not known:
        return None
    shared = Counter(at.uuid for _, at, _ in known)
    member, at, view = max(
        known,
        key=lambda one: (
            shared[one[1].uuid],
            one[1].seqno,
            one[0].name == evidence.cluster.primary,
            -one[0].ordinal,
        ),
    )
    return member.name, at, view


def _conclude(
    questions: list[Question],
    standings: Mapping[str, Standing],
    holdings: Mapping[str, Reading[Holding]],
    found: tuple[Component, ...],
    *,
    component: Component | None,
    leader: str,
    newest: tuple[str, ...],
    words: str = "",
) -> Verdict:
    if not questions:
        authority, reason = Authority.PROVABLE, words
        presumed = [name for name, standing in standings.items() if standing is Standing.PRESUMED]
        if presumed:
            reason += (
                f" (presumed of {listed(presumed)}, by its number: nothing of it is overwritten unasked)"
            )
    else:
        kinds = {question.kind for question in questions}
        apart = kinds & {Doubt.TWO_COMPONENTS, Doubt.OTHER_HISTORY}
        # a branch is told by the lack of a link, which an unread member may be
        apart |= kinds & {Doubt.OWN_BRANCH} if Doubt.UNREAD not in kinds else set()
        settled = apart and not kinds & {Doubt.INVENTORY, Doubt.UNSETTLED}
        authority = Authority.DIVERGED if settled else Authority.UNDETERMINABLE
        reason = "; ".join(question.text for question in questions)
    proven = authority is Authority.PROVABLE
    return Verdict(
        authority=authority,
        reason=reason,
        questions=tuple(questions),
        standings=standings,
        holdings=holdings,
        components=found,
        component=component,
        leader=leader,
        newest=newest if proven else (),
    )
