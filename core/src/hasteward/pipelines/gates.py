"""Whom a repair may touch. Pure: a report and a request in, targets or a refusal out.

The matrix is that of the README, made precise (DESIGN 4.3). In one sentence: what may hold the newest data is
never overwritten, and not knowing is a refusal that nothing overrides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.repair import RepairRequest, Target
from hasteward.domain.report import Assessment, Authority, Health, Remediation, TriageReport


class Rule(StrEnum):
    """Which gate closed. The words are stable: they end the error's `code`."""

    UNDETERMINABLE = "undeterminable"
    DIVERGED = "diverged"
    LEADER_NOT_PRIMARY = "leader_not_primary"
    MAJORITY_LOST = "majority_lost"
    SURVIVOR = "survivor"
    PRIMARY = "primary"
    AUTHORITY = "authority"
    ONLY_BRANCH = "only_branch"
    NO_DONOR = "no_donor"
    UNCAPTURED = "uncaptured"
    UNKNOWN_MEMBER = "unknown_member"
    DISCARD_OTHER = "discard_other"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A closed gate: the evidence in words and the command that would supply or resolve it."""

    rule: Rule
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Whom to treat, who needs nothing and why, who recovers by itself and what it waits for."""

    targets: tuple[Target, ...]
    skipped: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()


def flags(cluster: ClusterRef) -> str:
    """The flags that name a cluster, for commands in messages."""
    return f"-e {cluster.engine} -c {cluster.name} -n {cluster.namespace}"


def decide(report: TriageReport, request: RepairRequest) -> Decision | Refusal:
    """Whom this request may touch in a cluster that is as the report says."""
    closed = _cluster_gate(report, request)
    if closed is not None:
        return closed
    if request.instance is None:
        return _untargeted(report, request)
    return _targeted(report, request, request.instance)


# --- the cluster ------------------------------------------------------------------------------------------


def _cluster_gate(report: TriageReport, request: RepairRequest) -> Refusal | None:
    """What stops a repair whoever it is about."""
    names = flags(report.cluster)
    match report.authority:
        case Authority.UNDETERMINABLE:
            return Refusal(
                Rule.UNDETERMINABLE,
                f"who holds the newest data cannot be determined: {report.authority_reason};"
                " nothing overrides this",
                f"hasteward triage {names} --deep   (says what is missing and how to supply it)",
            )
        case Authority.DIVERGED if request.instance is None:
            return Refusal(
                Rule.DIVERGED,
                f"the members have diverged: {report.authority_reason}; which branch to give up is for a"
                " person to say, one member at a time",
                f"hasteward repair {names} -i N --force   (N is the member to overwrite)",
            )
        case Authority.LEADER_NOT_PRIMARY if request.instance is None:
            return Refusal(
                Rule.LEADER_NOT_PRIMARY,
                f"the newest data is not on the primary: {report.authority_reason};"
                " the way out is its promotion",
                f"hasteward triage {names} --deep   (names the command that promotes)",
            )
        case Authority.MAJORITY_LOST if request.instance is None or not request.force:
            fit = _survivors(report)
            return Refusal(
                Rule.MAJORITY_LOST,
                f"{report.authority_reason}; what only they held is gone, and how much that is nobody can"
                " tell; that it goes on without is for a person to say",
                f"hasteward repair {names} -i {'N' if len(fit) != 1 else fit[0].ordinal} --force"
                f"   (the one to go on with; fit: {_listed(fit)})",
            )
        case Authority.DIVERGED | Authority.LEADER_NOT_PRIMARY | Authority.MAJORITY_LOST | Authority.PROVABLE:
            return None


def _survivors(report: TriageReport) -> list[Assessment]:
    """Who may begin the cluster anew."""
    return [one for one in report.assessments if one.remediation is Remediation.BOOTSTRAP]


def _listed(members: list[Assessment]) -> str:
    return ", ".join(f"{one.ordinal} ({one.member})" for one in members) or "none"


def _untargeted(report: TriageReport, request: RepairRequest) -> Decision | Refusal:
    targets: list[Target] = []
    skipped: list[str] = []
    waiting: list[str] = []
    for member in report.assessments:
        match member.remediation:
            case Remediation.NONE:
                left = f"is left as it is: {member.reason}" if member.reason else "needs nothing"
                skipped.append(f"{member.member} {left}")
            case Remediation.WAIT:
                waiting.append(f"{member.member} recovers by itself: {member.reason}")
            case Remediation.BOOTSTRAP:
                skipped.append(f"{member.member} begins the cluster anew only where a majority is lost")
            case Remediation.RESTART | Remediation.REWIND | Remediation.RESEED:
                found = _target(report, request, member, member.remediation)
                if isinstance(found, Refusal):
                    return found
                targets.append(found)
    # what overwrites nothing comes first: who runs again then is needed by those that are built anew
    targets.sort(key=lambda target: target.remediation.overwrites)
    return Decision(tuple(targets), tuple(skipped), tuple(waiting))


# --- one member -------------------------------------------------------------------------------------------


def _targeted(report: TriageReport, request: RepairRequest, ordinal: int) -> Decision | Refusal:
    member = next((one for one in report.assessments if one.ordinal == ordinal), None)
    if member is None:
        known = _listed([one for one in report.assessments if one.ordinal is not None])
        return Refusal(
            Rule.UNKNOWN_MEMBER,
            f"{report.cluster} has no member with the number {ordinal}; it has {known}",
            f"hasteward triage {flags(report.cluster)}",
        )
    if report.authority is Authority.MAJORITY_LOST:
        return _alone(report, request, member)
    if report.authority is Authority.DIVERGED and not request.force:
        return Refusal(
            Rule.DIVERGED,
            f"the members have diverged: {report.authority_reason};"
            f" overwriting {member.member} gives up {_holdings(member)}",
            f"hasteward repair {flags(report.cluster)} -i {ordinal} --force",
        )
    if member.health is Health.HEALTHY and not request.force and member.remediation is Remediation.NONE:
        return Decision((), (f"{member.member} is healthy; --force treats it all the same",))
    if member.remediation is Remediation.WAIT and not request.force:
        return Decision((), (), (f"{member.member} recovers by itself: {member.reason}",))
    wanted = member.remediation
    if wanted in {Remediation.NONE, Remediation.WAIT, Remediation.BOOTSTRAP}:
        wanted = Remediation.RESEED  # somebody insists: then the whole member is made anew
    found = _target(report, request, member, wanted)
    return found if isinstance(found, Refusal) else Decision((found,))


def _alone(report: TriageReport, request: RepairRequest, member: Assessment) -> Decision | Refusal:
    """Where a majority is lost: one of those that hold the most goes on, and all that is left is captured."""
    fit = _survivors(report)
    if member not in fit:
        return Refusal(
            Rule.SURVIVOR,
            f"{member.member} is not among those that hold the most of what is left; where a majority is"
            " lost, -i names the member to go on with",
            f"hasteward triage {flags(report.cluster)}   (fit: {_listed(fit)})",
        )
    if not request.escrow or request.discard_branch is not None:
        return Refusal(
            Rule.UNCAPTURED,
            f"what is left of {report.cluster} exists nowhere else; it is captured first, always",
            "leave --no-escrow and --discard-branch away",
        )
    lost = f"whatever was acknowledged and {member.member} does not hold: {report.authority_reason}"
    ordinal = -1 if member.ordinal is None else member.ordinal
    return Decision(
        (
            Target(
                member.member,
                ordinal,
                Remediation.BOOTSTRAP,
                member.reason,
                capture=True,
                gives_up=lost,
            ),
        )
    )


def _target(
    report: TriageReport, request: RepairRequest, member: Assessment, remediation: Remediation
) -> Target | Refusal:
    """The member as a target, if every gate about one member is open."""
    for gate in (_primary_gate, _authority_gate, _donor_gate, _branch_gate):
        closed = gate(report, request, member, remediation)
        if closed is not None:
            return closed
    overwritten = remediation.overwrites
    own = member.branch is not None and not member.branch.empty and overwritten
    discarded = own and request.discard_branch == member.ordinal
    gives_up = ""
    if own:
        fate = "NOT captured, as --discard-branch says" if discarded else "captured and proven before"
        gives_up = f"{_holdings(member)}; {fate}"
    return Target(
        member=member.member,
        ordinal=-1 if member.ordinal is None else member.ordinal,
        remediation=remediation,
        reason=member.reason or ("--force was given" if request.force else "it was named by -i"),
        capture=own and not discarded,
        gives_up=gives_up,
    )


def _holdings(member: Assessment) -> str:
    """What a member would lose, in words."""
    if member.branch is None:
        return f"the data of {member.member}"
    return f"the branch of {member.member}, {member.branch.text}"


Gate = Callable[[TriageReport, RepairRequest, Assessment, Remediation], Refusal | None]


def _primary_gate(
    report: TriageReport, _request: RepairRequest, member: Assessment, remediation: Remediation
) -> Refusal | None:
    """The primary is never overwritten, and never restarted by a repair: that is a failover."""
    if member.member not in report.primaries:
        return None
    return Refusal(
        Rule.PRIMARY,
        f"{member.member} is the primary, or about to be; a repair never treats it ({remediation});"
        " nothing overrides this",
        f"hasteward triage {flags(report.cluster)} --deep",
    )


def _authority_gate(
    report: TriageReport, _request: RepairRequest, member: Assessment, remediation: Remediation
) -> Refusal | None:
    """L6: the member that holds the newest data is not overwritten, force or not.

    Nor is any other that holds what the primary lacks, as long as the way out is a promotion: it would be
    built from a primary that is to be replaced.
    """
    alone = report.newest == (member.member,)
    own = member.branch is not None and not member.branch.empty
    lacked = report.authority is Authority.LEADER_NOT_PRIMARY and (own or member.member in report.newest)
    if not remediation.overwrites or not (alone or lacked):
        return None
    held = "alone holds the newest data" if alone else "holds data that the primary lacks"
    return Refusal(
        Rule.AUTHORITY,
        f"{member.member} {held}; nothing overrides this, the way out is a promotion",
        f"hasteward triage {flags(report.cluster)} --deep   (names the command that promotes)",
    )


def _donor_gate(
    report: TriageReport, _request: RepairRequest, member: Assessment, remediation: Remediation
) -> Refusal | None:
    others = [donor for donor in report.donors if donor != member.member]
    if not remediation.overwrites or others:
        return None
    rule = Rule.ONLY_BRANCH if report.authority is Authority.DIVERGED else Rule.NO_DONOR
    return Refusal(
        rule,
        f"no healthy member is left that {member.member} could be built from",
        f"hasteward triage {flags(report.cluster)} --deep   (says what keeps each member from being a donor)",
    )


def _branch_gate(
    report: TriageReport, request: RepairRequest, member: Assessment, remediation: Remediation
) -> Refusal | None:
    """Commits that only this member holds are captured, or given up by name."""
    discarded = request.discard_branch
    if discarded is not None and discarded != member.ordinal:
        return Refusal(
            Rule.DISCARD_OTHER,
            f"--discard-branch names member {discarded}, and this repair is about {member.member}",
            f"hasteward repair {flags(report.cluster)} -i {discarded} --discard-branch {discarded}",
        )
    own = member.branch is not None and not member.branch.empty
    if not remediation.overwrites or not own or request.escrow or discarded is not None:
        return None
    return Refusal(
        Rule.UNCAPTURED,
        f"--no-escrow would lose {_holdings(member)}, which nobody else holds",
        f"leave --no-escrow away, or say so: --discard-branch {member.ordinal}",
    )
