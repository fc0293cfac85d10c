"""The least that would make a member well, and what it may hold that nobody else does. Pure.

With a proven leader, a member that is a peer of its cluster holds nothing that was acknowledged and that the
leader lacks: that is what Raft promises. A member that is no peer any more may: it may have been cut off when
the others went on without what it knew. Its data is given up only after it was captured.
"""

from __future__ import annotations

from dataclasses import dataclass

from hasteward.domain.reading import Absent, Known, Unread
from hasteward.domain.report import Branch, Health, Remediation
from hasteward_vault.analyse.verdict import PeerMatch, status_of
from hasteward_vault.evidence import MemberEvidence, Status


@dataclass(frozen=True, slots=True)
class Remedy:
    """What would help, why, and what would be lost by it (None: nothing of its own)."""

    remediation: Remediation
    reason: str
    branch: Branch | None = None


_WELL = Remedy(Remediation.NONE, "")
_UNKNOWN = Branch("what it holds could not be compared with the leader's", None)


def remedy(
    member: MemberEvidence, entry: PeerMatch | None, leader: MemberEvidence | None, health: Health
) -> Remedy:
    """The least that would make a member well; nothing is proposed as long as no leader is proven."""
    if leader is None:
        return Remedy(Remediation.NONE, "", _UNKNOWN)
    if member is leader or health is Health.HEALTHY:
        return _WELL
    match member.pod:
        case Absent():
            return _wait("its StatefulSet makes its pod again")
        case Unread():
            return _wait("its pod could not be read, so it is left alone")
        case Known(pod) if not pod.alive:
            return _wait(f"the kubelet starts its container again{f' ({pod.reason})' if pod.reason else ''}")
        case Known():
            return _running(member, entry, health)


def _wait(reason: str) -> Remedy:
    """It may come back by itself; what it holds is not known until then."""
    return Remedy(Remediation.WAIT, reason, _UNKNOWN)


def _running(member: MemberEvidence, entry: PeerMatch | None, health: Health) -> Remedy:
    status = status_of(member)
    if status is None:
        return _wait("its server could not be read, so it is left alone")
    if not status.initialized:
        return Remedy(Remediation.WAIT, "it is empty and joins when it reaches the leader (retry_join)")
    if status.sealed:
        return _wait("it waits for its unseal keys")
    return _unsealed(status, entry, health)


def _unsealed(status: Status, entry: PeerMatch | None, health: Health) -> Remedy:
    if entry is None:
        text = f"up to entry {status.applied}, from the time when it was a peer"
        why = "it is no peer of the cluster and does not come back"
        return Remedy(Remediation.RESEED, why, Branch(text, None))
    match health:
        case Health.NOT_STREAMING:
            return Remedy(Remediation.RESTART, "its server runs, but does not follow the leader")
        case Health.LAGGING:
            return Remedy(Remediation.WAIT, "it applies what it still lacks")
        case Health.DOWN | Health.UNDETERMINABLE | Health.HEALTHY:
            return _wait("its state could not be told, so it is left alone")


def dead_peer(match: PeerMatch) -> Remedy:
    """A peer that no pod can be is taken out of the configuration; nothing of anybody is overwritten."""
    counted = "counts as a voter" if match.peer.voter else "is named as a peer"
    return Remedy(Remediation.RESTART, f"it {counted}, but no pod can be it; it is taken out of the cluster")
