"""Who holds the newest data, proven or not. Pure.

Every member's log is held against that of the reference, the member the Cluster names as its primary. Bytes
of log say nothing of value (L9): what decides is whether commits lie past the position where two logs part.
What is not known is a question, and a question that could change the answer makes it undeterminable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from hasteward.domain.reading import Absent, Known, Unread
from hasteward.domain.report import Authority, Branch
from hasteward_cnpg.evidence import ClusterFacts, Comparison, Evidence, MemberEvidence, Position, Tally
from hasteward_cnpg.facts.lineage import Relation, compare
from hasteward_cnpg.facts.room import counted, human
from hasteward_cnpg.facts.server import not_following


class Doubt(StrEnum):
    """What keeps the primary from being proven to hold the newest data."""

    INVENTORY = "inventory"
    TWO_PRIMARIES = "two_primaries"
    NO_PRIMARY = "no_primary"
    NOT_CURRENT = "not_current"
    SWITCHOVER = "switchover"
    MEMBER_DOWN = "member_down"
    MEMBER_UNREAD = "member_unread"
    OTHER_SYSTEM = "other_system"
    NOT_COMPARED = "not_compared"
    AHEAD = "ahead"
    DIVERGED = "diverged"


@dataclass(frozen=True, slots=True)
class Question:
    """One open question, or one thing that speaks against the primary; `text` says it in words."""

    kind: Doubt
    text: str
    member: str = ""


class Standing(StrEnum):
    """How a member's data stands to the reference's."""

    REFERENCE = "reference"
    #: holds every commit of the reference, and none of its own
    COMPLETE = "complete"
    #: a part of what the reference holds
    BEHIND = "behind"
    #: log of its own without a single commit in it
    STRAY = "stray"
    #: commits that the reference lacks, and lacks none of the reference's
    AHEAD = "ahead"
    #: each of the two holds commits that the other lacks
    DIVERGED = "diverged"
    #: proven to hold no data
    NOTHING = "nothing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for the cluster, and how each member stands. `branches` has what only that member holds."""

    authority: Authority
    reason: str
    questions: tuple[Question, ...]
    standing: Mapping[str, Standing]
    branches: Mapping[str, Branch]
    newest: tuple[str, ...]


def cluster_of(evidence: Evidence) -> ClusterFacts | None:
    """The Cluster object, if it was read."""
    return evidence.cluster.value if isinstance(evidence.cluster, Known) else None


def reference_of(evidence: Evidence) -> MemberEvidence | None:
    """The member that the Cluster names as its primary."""
    cluster = cluster_of(evidence)
    return evidence.member(cluster.current_primary) if cluster is not None else None


def accepting_writes(evidence: Evidence) -> tuple[MemberEvidence, ...]:
    """Members whose running server is not in recovery."""
    return tuple(
        m for m in evidence.members if isinstance(m.server, Known) and not m.server.value.in_recovery
    )


def follows(member: MemberEvidence, reference: MemberEvidence) -> bool:
    """Whether a running standby streams the reference's timeline from it: then their logs are one."""
    if not isinstance(member.server, Known) or not isinstance(reference.server, Known):
        return False
    server = member.server.value
    return server.in_recovery and not not_following(server, reference.server.value)


def needs_comparison(member: MemberEvidence, reference: MemberEvidence) -> Relation | None:
    """Where to read on, if member and reference must be held against each other by content."""
    if member.name == reference.name or follows(member, reference):
        return None
    mine, theirs = member.position, reference.position
    if (
        not isinstance(mine, Known)
        or not isinstance(theirs, Known)
        or member.system_id != reference.system_id
    ):
        return None
    return compare(mine.value, theirs.value)


@dataclass(frozen=True, slots=True)
class _Stand:
    standing: Standing
    question: Question | None = None
    branch: Branch | None = None
    #: commits past the fork, for telling who of those ahead is furthest
    commits: int = 0


def judge(evidence: Evidence) -> Verdict:
    """One verdict for the cluster."""
    open_questions = [*_inventory_questions(evidence), *_role_questions(evidence)]
    reference = reference_of(evidence)
    stands: dict[str, _Stand] = {}
    if reference is not None and isinstance(reference.position, Known):
        stands = {m.name: _stand(m, reference, reference.position.value) for m in evidence.members}
    else:
        open_questions.append(_no_reference(evidence, reference))
        stands = {m.name: _Stand(Standing.UNKNOWN, _unread(m)) for m in evidence.members}
    open_questions += [stand.question for stand in stands.values() if stand.question is not None]
    return _verdict(evidence, reference, stands, open_questions)


def _no_reference(evidence: Evidence, reference: MemberEvidence | None) -> Question:
    cluster = cluster_of(evidence)
    named = cluster.current_primary if cluster is not None else ""
    if reference is None:
        text = f"the Cluster names {named or 'nobody'} as its primary, and there is no such member"
    else:
        text = f"the data of {named}, which the Cluster names as its primary, could not be read"
    return Question(Doubt.NO_PRIMARY, text, named)


# --- one member against the reference ---------------------------------------------------------------------


def _unread(member: MemberEvidence) -> Question | None:
    """The question that a member leaves open whose position is not known."""
    match member.position:
        case Known() | Absent():
            return None
        case Unread(why):
            down = not isinstance(member.pod, Known) or not member.pod.value.serving
            kind = Doubt.MEMBER_DOWN if down and not isinstance(member.pod, Unread) else Doubt.MEMBER_UNREAD
            said = member.server.reason if isinstance(member.server, Unread) else ""
            reasons = "; ".join(dict.fromkeys(filter(None, (said, why))))
            text = (
                f"{member.name} could not be read ({reasons}); it may hold commits the primary does not have"
            )
            return Question(kind, text, member.name)


def _stand(member: MemberEvidence, reference: MemberEvidence, theirs: Position) -> _Stand:
    if member.name == reference.name:
        return _Stand(Standing.REFERENCE)
    streamed = _by_streaming(member, reference)
    if streamed is not None:
        return streamed
    match member.position:
        case Unread():
            return _Stand(Standing.UNKNOWN, _unread(member))
        case Absent():
            return _Stand(Standing.NOTHING)
        case Known(mine):
            pass
    if member.system_id != reference.system_id:
        text = (
            f"{member.name} holds another database system ({member.system_id},"
            f" the primary {reference.system_id})"
        )
        return _Stand(Standing.UNKNOWN, Question(Doubt.OTHER_SYSTEM, text, member.name))
    return _by_content(member, reference, compare(mine, theirs), mine)


def _by_streaming(member: MemberEvidence, reference: MemberEvidence) -> _Stand | None:
    """A standby that streams from the reference has its log, whatever its files say (W2)."""
    if not follows(member, reference):
        return None
    if not isinstance(member.server, Known) or not isinstance(reference.server, Known):
        return None
    mine, theirs = member.server.value.reached, reference.server.value.reached
    if member.system_id != reference.system_id or mine is None or theirs is None or mine > theirs:
        return None
    return _Stand(Standing.COMPLETE if mine == theirs else Standing.BEHIND)


def _by_content(
    member: MemberEvidence, reference: MemberEvidence, relation: Relation, mine: Position
) -> _Stand:
    """The logs part, or nothing proves that they are one: the commits past the fork decide."""
    comparison = member.against(reference.name)
    if comparison is None or comparison.fork != relation.fork:
        return _unknown(member, f"its log was not held against that of {reference.name}")
    match comparison.alike:
        case Known(alike) if not alike:
            return _apart(member, reference, relation)
        case Absent(why) | Unread(why) if relation.mine > 0 or member.writes:
            return _unknown(
                member, f"whether its log up to {relation.fork} is that of {reference.name}: {why}"
            )
        case Known() | Absent() | Unread():
            pass
    if relation.mine == 0:
        return _Stand(_lacks(relation, comparison))
    return _own_log(member, reference, relation, comparison, mine)


def _lacks(relation: Relation, comparison: Comparison) -> Standing:
    """Complete if nothing, or no commit, lies past its end on the reference."""
    none = isinstance(comparison.theirs, Known) and comparison.theirs.value.commits == 0
    return Standing.COMPLETE if relation.theirs == 0 or none else Standing.BEHIND


def _own_log(
    member: MemberEvidence,
    reference: MemberEvidence,
    relation: Relation,
    comparison: Comparison,
    mine: Position,
) -> _Stand:
    where = f"past {relation.fork}, where its log parts from that of {reference.name}"
    match comparison.mine:
        case Absent(why) | Unread(why):
            return _unknown(member, f"what it holds {where}: {why}")
        case Known(tally) if tally.commits == 0:
            branch = Branch(_branch_words(mine, relation, tally), 0)
            return _Stand(Standing.STRAY, branch=branch)
        case Known(tally):
            pass
    branch = Branch(_branch_words(mine, relation, tally), tally.commits)
    own = (
        f"{member.name} holds {counted(tally.commits, 'commit')} that {reference.name} lacks ({branch.text})"
    )
    match comparison.theirs:
        case Absent(why) | Unread(why) if relation.theirs > 0:
            lacking = _unknown(member, f"what {reference.name} holds {where}: {why}")
            return _Stand(Standing.UNKNOWN, lacking.question, branch)
        case Known(theirs) if relation.theirs > 0 and theirs.commits > 0:
            text = f"{own}, and lacks {counted(theirs.commits, 'commit')} that {reference.name} holds"
            return _Stand(
                Standing.DIVERGED, Question(Doubt.DIVERGED, text, member.name), branch, tally.commits
            )
        case Known() | Absent() | Unread():
            return _Stand(Standing.AHEAD, Question(Doubt.AHEAD, own, member.name), branch, tally.commits)


def _apart(member: MemberEvidence, reference: MemberEvidence, relation: Relation) -> _Stand:
    """Same numbers, other content: promoted apart, or a copy that lived on. Where they part nothing tells."""
    text = (
        f"it and {reference.name} have the same timelines up to {relation.fork}, but not the same log:"
        " each went its own way, and it is not known from where on"
    )
    return _unknown(member, text)


def _unknown(member: MemberEvidence, text: str) -> _Stand:
    return _Stand(
        Standing.UNKNOWN, Question(Doubt.NOT_COMPARED, f"not known of {member.name}: {text}", member.name)
    )


def _branch_words(mine: Position, relation: Relation, tally: Tally) -> str:
    last = f", the last at {tally.last}" if tally.last else ""
    return (
        f"timeline {mine.timeline}: {counted(tally.commits, 'commit')} in {human(relation.mine)} of log"
        f" after {relation.fork}{last}"
    )


# --- the cluster ------------------------------------------------------------------------------------------

_PROOF_AGAINST = frozenset({Doubt.AHEAD, Doubt.DIVERGED})


def _verdict(
    evidence: Evidence,
    reference: MemberEvidence | None,
    stands: Mapping[str, _Stand],
    questions: list[Question],
) -> Verdict:
    writers = accepting_writes(evidence)
    if len(writers) > 1:
        names = ", ".join(member.name for member in writers)
        count = "two" if len(writers) == 2 else str(len(writers))  # noqa: PLR2004  said by the words around it
        questions.insert(0, Question(Doubt.TWO_PRIMARIES, f"{count} members accept writes: {names}"))
    standing = {name: stand.standing for name, stand in stands.items()}
    branches = {name: stand.branch for name, stand in stands.items() if stand.branch is not None}
    unknown = [q for q in questions if q.kind not in {*_PROOF_AGAINST, Doubt.TWO_PRIMARIES}]
    against = [question for question in questions if question.kind in _PROOF_AGAINST]
    newest: tuple[str, ...] = ()
    leader, others = _leaders(evidence, stands)
    unknown += [q for other in others.values() if (q := _open(other)) is not None]
    if unknown or reference is None:
        authority = Authority.UNDETERMINABLE
        reason = "; ".join(question.text for question in dict.fromkeys((*questions, *unknown)))
    elif Standing.DIVERGED in standing.values():
        authority = Authority.DIVERGED
        reason = "; ".join(question.text for question in against)
    elif leader is not None:
        authority, newest = _led(leader, others)
        reason = "; ".join(question.text for question in against)
    else:
        authority = Authority.PROVABLE
        complete = {Standing.REFERENCE, Standing.COMPLETE}
        newest = tuple(name for name, found in standing.items() if found in complete)
        reason = f"the Cluster names {reference.name}, and no other member holds a commit that it lacks"
    return Verdict(authority, reason, tuple(questions), standing, branches, newest)


def leader_of(evidence: Evidence) -> MemberEvidence | None:
    """Of the members that are ahead of the reference, the one with most commits; None where nobody is."""
    reference = reference_of(evidence)
    if reference is None or not isinstance(reference.position, Known):
        return None
    theirs = reference.position.value
    return _leaders(evidence, {m.name: _stand(m, reference, theirs) for m in evidence.members})[0]


def _leaders(
    evidence: Evidence, stands: Mapping[str, _Stand]
) -> tuple[MemberEvidence | None, dict[str, _Stand]]:
    """Who is ahead of the reference furthest, and how the others that are ahead stand to that one."""
    ahead = [m for m in evidence.members if stands[m.name].standing is Standing.AHEAD]
    if not ahead:
        return None, {}
    leader = max(ahead, key=lambda member: stands[member.name].commits)
    if not isinstance(leader.position, Known):
        return leader, {}
    theirs = leader.position.value
    return leader, {m.name: _stand(m, leader, theirs) for m in ahead if m.name != leader.name}


def _open(stand: _Stand) -> Question | None:
    return stand.question if stand.standing is Standing.UNKNOWN else None


def _led(leader: MemberEvidence, others: Mapping[str, _Stand]) -> tuple[Authority, tuple[str, ...]]:
    """Whether the one that is furthest holds all that the others hold."""
    if {Standing.AHEAD, Standing.DIVERGED} & {other.standing for other in others.values()}:
        return Authority.DIVERGED, ()
    complete = [name for name, other in others.items() if other.standing is Standing.COMPLETE]
    return Authority.LEADER_NOT_PRIMARY, (leader.name, *complete)


def _inventory_questions(evidence: Evidence) -> list[Question]:
    questions = []
    match evidence.cluster:
        case Known(cluster):
            if not cluster.instance_names:
                questions.append(Question(Doubt.INVENTORY, "the Cluster's status names no instance"))
        case Absent(why) | Unread(why):
            questions.append(Question(Doubt.INVENTORY, f"the Cluster could not be read ({why})"))
    match evidence.inventory:
        case Known():
            pass
        case Absent(why) | Unread(why):
            text = f"it is not known which members there are ({why})"
            questions.append(Question(Doubt.INVENTORY, text))
    return questions


def _role_questions(evidence: Evidence) -> list[Question]:
    cluster = cluster_of(evidence)
    if cluster is None or cluster.current_primary == cluster.target_primary:
        return []
    text = (
        f"a change of primary is under way: currentPrimary is {cluster.current_primary or 'not set'},"
        f" targetPrimary {cluster.target_primary or 'not set'}"
    )
    return [Question(Doubt.SWITCHOVER, text)]
