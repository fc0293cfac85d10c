"""How every member is, and the least that would make it well. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hasteward.domain.reading import Absent, Known, Reading, Unread
from hasteward.domain.report import Assessment, Branch, Health, Remediation
from hasteward_vault.analyse.remedies import Remedy, dead_peer, remedy
from hasteward_vault.analyse.survival import Survivor
from hasteward_vault.analyse.verdict import PeerMatch, status_of
from hasteward_vault.evidence import MemberEvidence, PodFacts, Status
from hasteward_vault.facts.words import counted, human

Judgement = tuple[Health, tuple[str, ...], tuple[str, ...]]


def assess(
    member: MemberEvidence,
    peers: tuple[PeerMatch, ...],
    leader: MemberEvidence | None,
    lag_entries: int,
) -> Assessment:
    """One member, judged against the proven leader; None when there is none."""
    entry = next((found for found in peers if found.member == member.name), None)
    health, words, missing = _health(member, entry, leader, known=bool(peers), lag_entries=lag_entries)
    found = remedy(member, entry, leader, health)
    return Assessment(
        member=member.name,
        role=_role(member, entry, leader),
        health=health,
        evidence=(*_pod_words(member.pod), *words, *_disk_words(member)),
        missing=missing,
        details=_details(member, entry, leader),
        ordinal=member.ordinal,
        remediation=found.remediation,
        reason=found.reason,
        branch=found.branch,
    )


def alone(found: Assessment, survivor: Survivor | None) -> Assessment:
    """As assessed, or as one of those that can begin the cluster anew."""
    if survivor is None:
        return found
    reach = f"entry {survivor.log.index} of term {survivor.log.term}"
    return replace(
        found,
        remediation=Remediation.BOOTSTRAP,
        reason=f"nobody that is left goes beyond {reach}, where its log ends",
        branch=Branch(f"its data and its log, up to {reach}", None),
    )


def assess_dead(entry: PeerMatch) -> Assessment:
    """A peer without a pod, as a member that is down."""
    found: Remedy = dead_peer(entry)
    heard = entry.watched.contact if entry.watched is not None else None
    silent = f"last heard of {heard:.0f} s ago" if heard is not None else "never heard of"
    tail = entry.peer.id.rpartition("-")[2]
    return Assessment(
        member=entry.peer.id,
        role="dead peer",
        health=Health.DOWN,
        evidence=(f"the Raft configuration names it at {entry.peer.address}", silent),
        details={"voter": entry.peer.voter},
        ordinal=int(tail) if tail.isdigit() else None,
        remediation=found.remediation,
        reason=found.reason,
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
