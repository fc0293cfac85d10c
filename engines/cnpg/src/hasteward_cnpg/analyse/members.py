"""How each member is, and the least that would make it well. Pure."""

from __future__ import annotations

from typing import Any

from hasteward.domain.reading import Absent, Known, Reading, Unread
from hasteward.domain.report import Assessment, Branch, Health
from hasteward_cnpg.analyse.authority import Standing, Verdict, cluster_of
from hasteward_cnpg.analyse.remedy import PATIENCE_SECONDS, settling
from hasteward_cnpg.analyse.remedy import remediation as remedy
from hasteward_cnpg.evidence import (
    ClaimState,
    ContainerState,
    Evidence,
    MemberEvidence,
    PodFacts,
    ServerFacts,
)
from hasteward_cnpg.facts.names import ordinal_of
from hasteward_cnpg.facts.room import counted, human
from hasteward_cnpg.facts.server import not_following


def assess(
    evidence: Evidence,
    member: MemberEvidence,
    primary: MemberEvidence | None,
    verdict: Verdict,
    *,
    lag_bytes: int,
    patience: float,
) -> Assessment:
    """What is said of one member; `primary` accepts writes and is named, None if there is no such member."""
    reference = server_of(primary)
    cluster = cluster_of(evidence)
    words = _pod_words(member.pod)
    if cluster is not None and cluster.is_fenced(member.name):
        words.append("the Cluster's annotation fences it")
    if not member.named and cluster is not None:
        words.append("the Cluster's status does not name it")
    health, more, missing = _health(member, primary, reference, lag_bytes)
    standing = verdict.standing[member.name]
    if standing is Standing.STRAY and health is not Health.DOWN:
        # an accepting primary beside the named one, or a standby of another way: it is no plain follower
        health, missing = Health.NOT_STREAMING, ()
    found = remedy(member, health, standing, cluster, reference, patience=patience)
    return Assessment(
        member=member.name,
        role=_role(member),
        health=health,
        evidence=(*words, *more, *_standing_words(standing, verdict.branches.get(member.name))),
        missing=missing,
        details=_details(member, reference),
        ordinal=ordinal_of(member.name),
        remediation=found.remediation,
        reason=found.reason,
        branch=verdict.branches.get(member.name),
    )


def server_of(member: MemberEvidence | None) -> ServerFacts | None:
    """What its running server said, None where none answered."""
    return member.server.value if member is not None and isinstance(member.server, Known) else None


def only_stopped(evidence: Evidence, *, patience: float = PATIENCE_SECONDS) -> tuple[MemberEvidence, ...]:
    """Those whose container runs while neither server nor files could be read: stopped, they can be.

    Never who is the primary, or about to be. Whom somebody has fenced is stopped already, and a server may be
    starting for `patience` seconds.
    """
    cluster = cluster_of(evidence)
    if cluster is None:
        return ()
    reference = server_of(evidence.member(cluster.current_primary))
    named = {cluster.current_primary, cluster.target_primary}
    return tuple(
        member
        for member in evidence.members
        if member.name not in named
        and not cluster.is_fenced(member.name)
        and _runs_unread(member, patience)
        and not settling(member, cluster, reference)
    )


def _runs_unread(member: MemberEvidence, patience: float) -> bool:
    """Its files are those of a server that runs, has had the time to start, and is not ready."""
    if not isinstance(member.position, Unread) or not isinstance(member.pod, Known):
        return False
    pod = member.pod.value
    starting = pod.fresh and (pod.unready is None or pod.unready <= patience)
    bound = isinstance(member.claim, Known) and member.claim.value is ClaimState.BOUND
    runs = pod.container is ContainerState.RUNNING and not pod.serving and not pod.terminating
    return runs and not starting and bound


def _standing_words(standing: Standing, branch: Branch | None) -> tuple[str, ...]:
    match standing:
        case Standing.STRAY | Standing.AHEAD | Standing.DIVERGED:
            return (f"holds log of its own: {branch.text}",) if branch is not None else ()
        case Standing.NOTHING:
            return ("it holds no data",)
        case Standing.REFERENCE | Standing.COMPLETE | Standing.BEHIND | Standing.UNKNOWN:
            return ()


def _role(member: MemberEvidence) -> str:
    server = server_of(member)
    if server is None:
        return "unknown"
    return "replica" if server.in_recovery else "primary"


def _pod_words(pod: Reading[PodFacts]) -> list[str]:
    match pod:
        case Known(facts):
            reason = f" ({facts.reason})" if facts.reason else ""
            state = (
                f"pod {facts.phase}, container postgres {facts.container}{reason},"
                f" {'ready' if facts.ready else 'not ready'}, {counted(facts.restarts, 'restart')}"
            )
            return [state, "the pod is being deleted"] if facts.terminating else [state]
        case Absent(proof):
            return [proof]
        case Unread():
            return []


Judgement = tuple[Health, tuple[str, ...], tuple[str, ...]]


def _health(
    member: MemberEvidence,
    primary: MemberEvidence | None,
    reference: ServerFacts | None,
    lag_bytes: int,
) -> Judgement:
    match member.pod:
        case Absent():
            return Health.DOWN, (), ()
        case Known(facts) if not facts.serving:
            return Health.DOWN, _down_words(member, facts), ()
        case Unread(reason):
            return Health.UNDETERMINABLE, (), (reason, *_why(member.server))
        case Known():
            pass
    match member.server:
        case Absent(reason) | Unread(reason):
            return Health.UNDETERMINABLE, (), (reason,)
        case Known(server) if not server.in_recovery:
            return _primary_health(member, server, primary, reference)
        case Known(server):
            return _standby_health(server, reference, lag_bytes)


def _down_words(member: MemberEvidence, facts: PodFacts) -> tuple[str, ...]:
    """What there is to say beside the words of its pod."""
    if isinstance(member.server, Known):
        return ("its server answered nevertheless",)
    return _why(member.server) if facts.container is ContainerState.RUNNING else ()


def _why(server: Reading[ServerFacts]) -> tuple[str, ...]:
    match server:
        case Known():
            return ()
        case Absent(reason) | Unread(reason):
            return (reason,)


def _primary_health(
    member: MemberEvidence,
    server: ServerFacts,
    primary: MemberEvidence | None,
    reference: ServerFacts | None,
) -> Judgement:
    words = (f"accepts writes on timeline {server.timeline} at {server.current}",)
    if member is primary:
        return Health.HEALTHY, words, ()
    lacking = "whether its timeline has left the primary's, and where"
    if reference is None:
        lacking = "why the Cluster does not name it as its primary"
    return Health.UNDETERMINABLE, words, (lacking,)


def _standby_health(server: ServerFacts, reference: ServerFacts | None, lag_bytes: int) -> Judgement:
    if server.receiver is None:
        return Health.NOT_STREAMING, ("it has no WAL receiver",), ()
    words = _standby_words(server)
    lacking = _lacking(server, reference)
    if lacking:
        return Health.UNDETERMINABLE, words, (lacking,)
    if reference is None or reference.current is None or server.replayed is None:
        return Health.UNDETERMINABLE, words, ("the positions to compare",)
    obstacle = not_following(server, reference)
    if obstacle:
        return Health.NOT_STREAMING, (*words, obstacle), ()
    lag = max(0, reference.current - server.replayed)
    words = (*words, f"{human(lag)} behind the primary (lagging from {human(lag_bytes)})")
    return (Health.LAGGING if lag > lag_bytes else Health.HEALTHY), words, ()


def _lacking(server: ServerFacts, reference: ServerFacts | None) -> str:
    """What would have to be known to judge a standby that has a receiver; empty when all is there."""
    if reference is None or reference.current is None:
        return "the position and timeline of the primary"
    if server.system_id != reference.system_id:
        return f"how it came to database system {server.system_id}; the primary's is {reference.system_id}"
    if server.receiver is not None and (server.receiver.timeline or 0) > reference.timeline:
        return f"where its timeline parted from the primary's, which is {reference.timeline}"
    if server.replayed is None:
        return "its replay position"
    if server.reached is not None and server.reached > reference.current:
        return f"where its log, up to {server.reached}, parted from the primary's, up to {reference.current}"
    return ""


def _standby_words(server: ServerFacts) -> tuple[str, ...]:
    receiver = server.receiver
    if receiver is None:
        return ()
    return (
        f"WAL receiver {receiver.status} on timeline {receiver.timeline} from {receiver.sender}",
        f"received {server.received}, replayed {server.replayed}",
    )


def _details(member: MemberEvidence, reference: ServerFacts | None) -> dict[str, Any]:
    """JSON: positions as PostgreSQL writes them, `lagBytes` in bytes; null where not known."""
    server = server_of(member)
    pod = member.pod.value if isinstance(member.pod, Known) else None
    details: dict[str, Any] = {
        "running": None if pod is None else pod.container.value == "running",
        "ready": None if pod is None else pod.ready,
    }
    if server is None:
        return details
    lag = None
    if server.in_recovery and server.replayed and reference is not None and reference.current:
        lag = max(0, reference.current - server.replayed)
    return details | {
        "serverVersion": server.version,
        "systemId": server.system_id,
        "timeline": server.timeline,
        "currentLsn": _text(server.current),
        "receivedLsn": _text(server.received),
        "replayedLsn": _text(server.replayed),
        "lagBytes": lag,
        "lastReplayedTransaction": server.last_replay or None,
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)
