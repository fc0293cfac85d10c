"""The least that would make a member well: none < restart < wait < rewind < reseed. Pure.

A member that streams is never treated, whatever its files say (W2). A log line that every crash recovery
writes is no damage (W4). A restart is enough only where what the member lacks can still be had (L13, L14).
"""

from __future__ import annotations

from dataclasses import dataclass

from hasteward.domain.reading import Absent, Known, Reading, Unread
from hasteward.domain.report import Health, Remediation
from hasteward_cnpg.analyse.authority import Standing
from hasteward_cnpg.evidence import (
    ClaimState,
    ClusterFacts,
    ContainerState,
    MemberEvidence,
    ServerFacts,
    Slot,
    Trouble,
)
from hasteward_cnpg.facts.names import ordinal_of, slot_name


@dataclass(frozen=True, slots=True)
class Remedy:
    """What to do with a member, and why that and not less."""

    remediation: Remediation
    reason: str = ""


#: so long a member is given to come back and to follow, before it counts as one that does not
SETTLE_SECONDS = 30.0
#: so long a member that runs and is not ready is waited for; --heal-timeout says otherwise
PATIENCE_SECONDS = 600.0
#: what a kubelet has started again so often in a new pod is not helped by one more new pod
_STARTED_AGAIN = 3

_NOTHING = Remedy(Remediation.NONE)
_FULL = "its volume is full, and only room helps: enlarge spec.storage.size of the Cluster"
_SHADOWED = "a primary_conninfo in its postgresql.auto.conf wins over the operator's, and is taken out"
#: nothing that the primary lacks would be lost
_HARMLESS = frozenset({Standing.COMPLETE, Standing.BEHIND, Standing.STRAY})


def is_lost(claim: Reading[ClaimState]) -> bool:
    """Whether a member's volume is proven to be gone; a claim that could not be read is not (L4)."""
    match claim:
        case Known(state):
            return state is ClaimState.LOST
        case Absent():
            return True
        case Unread():
            return False


def may_be_overwritten(standing: Standing, *, agreed: bool, empty: bool) -> bool:
    """Whether a member that stands so, now that its server is gone, is no more than the plan gives up.

    `agreed` says that its branch is captured first, or was given up by name; `empty` that the plan found it
    to hold nothing.
    """
    if empty or standing is Standing.NOTHING:
        return empty and standing is Standing.NOTHING
    return standing in _HARMLESS or (agreed and standing is Standing.DIVERGED)


def remediation(
    member: MemberEvidence,
    health: Health,
    standing: Standing,
    cluster: ClusterFacts | None,
    primary: ServerFacts | None,
    *,
    patience: float = PATIENCE_SECONDS,
) -> Remedy:
    """What `member` needs; `primary` is what the reference's running server said.

    `patience` is for how many seconds a server may be starting.
    """
    if health is Health.HEALTHY or standing in {Standing.REFERENCE, Standing.UNKNOWN, Standing.AHEAD}:
        return _NOTHING
    if health is Health.LAGGING:
        return Remedy(Remediation.WAIT, "it streams, and has log still to replay")
    kept = _kept_away(member, cluster)
    if kept:
        return Remedy(Remediation.NONE, kept)
    found = _needed(member, health, standing, cluster, primary, patience=patience)
    vain = in_vain(member, patience) if found.remediation is Remediation.RESTART else ""
    if not vain:
        return found
    told = f"{vain}; one more restart would not help, and repair -i {ordinal_of(member.name)} makes it anew"
    return Remedy(Remediation.NONE, told)


def _needed(
    member: MemberEvidence,
    health: Health,
    standing: Standing,
    cluster: ClusterFacts | None,
    primary: ServerFacts | None,
    *,
    patience: float,
) -> Remedy:
    """For a member that is not well, and that nobody keeps away."""
    in_the_way = _in_the_way(member)
    if in_the_way:
        return Remedy(Remediation.WAIT, in_the_way)
    if standing is Standing.NOTHING:
        return Remedy(Remediation.RESEED, "it holds no data")
    on_its_way = settling(member, cluster, primary) if standing is not Standing.DIVERGED else ""
    if on_its_way:
        return Remedy(Remediation.WAIT, on_its_way)
    if standing in {Standing.STRAY, Standing.DIVERGED}:
        return _off_the_way(member, standing)
    return _on_the_way(member, health, primary, patience)


def _kept_away(member: MemberEvidence, cluster: ClusterFacts | None) -> str:
    """Why somebody wants it to be down; empty when nobody does. What others decided is not ours to undo."""
    if cluster is None:
        return ""
    if cluster.hibernated:
        return "the cluster is hibernated"
    if cluster.is_fenced(member.name):
        return "it is fenced by somebody; lift the fence when its reason is gone"
    return ""


def _in_the_way(member: MemberEvidence) -> str:
    """What its pod or volume waits for, that no treatment of ours brings; empty where that is nothing."""
    if isinstance(member.claim, Known) and member.claim.value in {ClaimState.PENDING, ClaimState.TERMINATING}:
        return f"its volume claim is {member.claim.value}"
    if not isinstance(member.pod, Known):
        return ""
    if member.pod.value.terminating:
        return "its pod is being deleted, and another one takes its place"
    return f"no node takes its pod: {member.pod.value.unplaced}" if member.pod.value.unplaced else ""


def _off_the_way(member: MemberEvidence, standing: Standing) -> Remedy:
    """Its log has left the primary's: it must go back to where they part, or begin anew."""
    what = "no commit" if standing is Standing.STRAY else "commits of its own, which are captured first"
    readable = any(isinstance(comparison.mine, Known) for comparison in member.comparisons)
    if readable and Trouble.NO_CHECKPOINT not in member.troubles:
        return Remedy(Remediation.REWIND, f"its log parts from the primary's with {what}, and is readable")
    return Remedy(Remediation.RESEED, f"its log parts from the primary's with {what}, and is not whole")


def _on_the_way(
    member: MemberEvidence, health: Health, primary: ServerFacts | None, patience: float
) -> Remedy:
    """All it holds is the primary's; can it go on from there?"""
    if Trouble.NO_CHECKPOINT in member.troubles:
        return Remedy(Remediation.RESEED, "its server finds no valid checkpoint and can never start")
    if Trouble.NOT_A_CHILD in member.troubles:
        return Remedy(Remediation.RESEED, "its server looks for a history that the primary's log is not of")
    if _starting(member, patience):
        return Remedy(Remediation.WAIT, "its server is starting")
    lost = _unreachable(member, primary)
    if lost:
        return Remedy(Remediation.RESEED, lost)
    return _goes_on(member, health)


def _goes_on(member: MemberEvidence, health: Health) -> Remedy:
    """What it lacks can still be had; what keeps it from getting that?"""
    if Trouble.DISK_FULL in member.troubles:
        return Remedy(Remediation.NONE, _FULL)
    if Trouble.MODE in member.troubles:
        return Remedy(Remediation.REWIND, f"{Trouble.MODE}, which is set right on the way")
    if isinstance(member.server, Known) and member.server.value.shadowed:
        return Remedy(Remediation.REWIND, _SHADOWED)
    if health is Health.NOT_STREAMING and Trouble.NEVER_STREAMED in member.troubles:
        return Remedy(Remediation.REWIND, f"{Trouble.NEVER_STREAMED}, so one more restart would not help")
    what = "is down" if health is Health.DOWN else "does not stream"
    return Remedy(Remediation.RESTART, f"it {what}, and the log it lacks can still be had")


def settling(member: MemberEvidence, cluster: ClusterFacts | None, primary: ServerFacts | None) -> str:
    """Why it may be merely on its way, empty where it is not: what comes back by itself is not treated (W2).

    An old primary whose pod is made again is rewound by its own instance manager, and a replica looks for a
    new primary every few seconds.
    """
    if member.troubles:
        return ""
    changed = cluster.primary_age if cluster is not None else None
    promoted = primary is None or primary.timeline > 1
    if promoted and changed is not None and changed < SETTLE_SECONDS:
        return f"the primary changed {changed:.0f} s ago, and it may be about to follow"
    if not isinstance(member.pod, Known) or isinstance(member.server, Known):
        return ""
    age, restarts = member.pod.value.age, member.pod.value.restarts
    if age is not None and age < SETTLE_SECONDS and restarts <= 1:
        return f"its container was started {age:.0f} s ago"
    return ""


def _starting(member: MemberEvidence, patience: float) -> bool:
    """Running for the first time and not ready yet: patience, not a repair; but not without end."""
    if not isinstance(member.pod, Known):
        return False
    pod = member.pod.value
    return (
        pod.container is ContainerState.RUNNING
        and not pod.ready
        and pod.restarts == 0
        and not member.troubles
        and (pod.unready is None or pod.unready <= patience)
    )


def in_vain(member: MemberEvidence, patience: float) -> str:
    """What shows that a new pod does not help this member; empty where it may.

    A restart makes a new pod, and leaves no other trace. So the pod tells: one that was ready before is worth
    a new one, and one that never was is what a restart makes.
    """
    if not isinstance(member.pod, Known) or not member.pod.value.fresh or member.troubles:
        return ""
    pod = member.pod.value
    if pod.restarts >= _STARTED_AGAIN:
        last = f" (the last one ended with {pod.last})" if pod.last else ""
        return f"its pod has never been ready, and its container was started {pod.restarts + 1} times{last}"
    if pod.unready is not None and pod.unready > patience:
        return f"its pod has not become ready in {pod.unready:.0f} s, and nothing that is known keeps it"
    return ""


def _unreachable(member: MemberEvidence, primary: ServerFacts | None) -> str:
    """Why the log after the member's end cannot be had any more; empty when it can, as far as is known."""
    if Trouble.WAL_REMOVED in member.troubles:
        return "the log it needs next has been removed from the primary"
    end = member.position.value.end if isinstance(member.position, Known) else None
    slot = _slot(member.name, primary)
    if slot is not None and slot.wal_status == "lost":
        return f"its slot {slot.name} has lost the log it needs"
    for comparison in member.comparisons:
        match comparison.alike:
            case Absent(why):
                return f"the primary holds no log from {end} on any more ({why})"
            case Known() | Unread():
                pass
    return ""


def _slot(member: str, primary: ServerFacts | None) -> Slot | None:
    """The member's slot by its exact name (W24: a name can be contained in another)."""
    if primary is None:
        return None
    return next((slot for slot in primary.slots if slot.name == slot_name(member)), None)
