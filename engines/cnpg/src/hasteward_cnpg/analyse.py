"""Judges the evidence: how every member is, and whether it is proven who holds the newest data. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hasteward.domain.reading import Absent, Known, Reading, Unread
from hasteward.domain.report import Assessment, Authority, Health
from hasteward_cnpg.evidence import (
    ClusterFacts,
    ContainerState,
    Evidence,
    MemberEvidence,
    PodFacts,
    ServerFacts,
)
from hasteward_cnpg.facts.room import counted, human

#: a standby that has this much still to replay is lagging
LAG_BYTES = 64 * 1024 * 1024


class Doubt(StrEnum):
    """Why the authority is not proven."""

    INVENTORY = "inventory"
    TWO_PRIMARIES = "two_primaries"
    NO_PRIMARY = "no_primary"
    NOT_CURRENT = "not_current"
    SWITCHOVER = "switchover"
    MEMBER_DOWN = "member_down"
    MEMBER_UNREAD = "member_unread"
    OTHER_SYSTEM = "other_system"
    NOT_FOLLOWING = "not_following"
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True)
class Question:
    """One open question; `text` says it in words."""

    kind: Doubt
    text: str
    member: str = ""


@dataclass(frozen=True, slots=True)
class Analysis:
    """The verdict. `primary` is the member that accepts writes and is named by the Cluster; may be empty."""

    authority: Authority
    reason: str
    questions: tuple[Question, ...]
    assessments: tuple[Assessment, ...]
    primary: str

    def assessment(self, member: str) -> Assessment | None:
        """What was said of one member."""
        return next((found for found in self.assessments if found.member == member), None)


def analyse(evidence: Evidence, *, lag_bytes: int = LAG_BYTES) -> Analysis:
    """Assess every member and give one verdict for the cluster."""
    writers = accepting_writes(evidence)
    primary = _primary(evidence, writers)
    reference = _server(primary)
    assessments = tuple(
        _assess(evidence, member, primary, reference, lag_bytes) for member in evidence.members
    )
    questions = tuple(_questions(evidence, assessments, writers, primary))
    if questions:
        authority, reason = Authority.UNDETERMINABLE, "; ".join(question.text for question in questions)
    else:
        name = primary.name if primary is not None else ""
        authority = Authority.PROVABLE
        reason = f"{name} accepts writes, the Cluster names it, and no other member holds a later position"
    return Analysis(authority, reason, questions, assessments, primary.name if primary is not None else "")


def accepting_writes(evidence: Evidence) -> tuple[MemberEvidence, ...]:
    """Members whose running server is not in recovery."""
    return tuple(m for m in evidence.members if (server := _server(m)) is not None and not server.in_recovery)


def _server(member: MemberEvidence | None) -> ServerFacts | None:
    return member.server.value if member is not None and isinstance(member.server, Known) else None


def _cluster(evidence: Evidence) -> ClusterFacts | None:
    return evidence.cluster.value if isinstance(evidence.cluster, Known) else None


def _primary(evidence: Evidence, writers: tuple[MemberEvidence, ...]) -> MemberEvidence | None:
    cluster = _cluster(evidence)
    return next((m for m in writers if cluster is not None and m.name == cluster.current_primary), None)


# --- the authority ----------------------------------------------------------------------------------------


def _questions(
    evidence: Evidence,
    assessments: tuple[Assessment, ...],
    writers: tuple[MemberEvidence, ...],
    primary: MemberEvidence | None,
) -> list[Question]:
    questions: list[Question] = []
    if len(writers) > 1:
        names = ", ".join(member.name for member in writers)
        count = "two" if len(writers) == 2 else str(len(writers))  # noqa: PLR2004  said by the words around it
        questions.append(Question(Doubt.TWO_PRIMARIES, f"{count} members accept writes: {names}"))
    questions += _inventory_questions(evidence)
    questions += _role_questions(evidence, writers, primary)
    health = {assessment.member: assessment.health for assessment in assessments}
    for member in evidence.members:
        questions += _member_questions(member, health[member.name], primary)
    return questions


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


def _role_questions(
    evidence: Evidence, writers: tuple[MemberEvidence, ...], primary: MemberEvidence | None
) -> list[Question]:
    cluster = _cluster(evidence)
    if cluster is None:
        return []
    questions = []
    if cluster.current_primary != cluster.target_primary:
        text = (
            f"a change of primary is under way: currentPrimary is {cluster.current_primary or 'not set'},"
            f" targetPrimary {cluster.target_primary or 'not set'}"
        )
        questions.append(Question(Doubt.SWITCHOVER, text))
    if not writers:
        questions.append(Question(Doubt.NO_PRIMARY, "no member that could be read accepts writes"))
    elif primary is None:
        text = (
            f"{writers[0].name} accepts writes, but the Cluster names {cluster.current_primary or 'nobody'}"
        )
        questions.append(Question(Doubt.NOT_CURRENT, text, writers[0].name))
    return questions


def _member_questions(
    member: MemberEvidence, health: Health, primary: MemberEvidence | None
) -> list[Question]:
    reference = _server(primary)
    match member.server:
        case Absent(why) | Unread(why):
            kind = Doubt.MEMBER_DOWN if health is Health.DOWN else Doubt.MEMBER_UNREAD
            text = f"{member.name} could not be read ({why}); it may hold commits the primary does not have"
            return [Question(kind, text, member.name)]
        case Known(server) if reference is not None and primary is not None and member is not primary:
            return [
                Question(kind, text, member.name) for kind, text in _against(member.name, server, reference)
            ]
        case Known():
            return []


def _against(name: str, server: ServerFacts, reference: ServerFacts) -> list[tuple[Doubt, str]]:
    """What speaks against `server` being a plain follower of the primary `reference`."""
    if server.system_id != reference.system_id:
        text = f"{name} holds another database system ({server.system_id}, the primary {reference.system_id})"
        return [(Doubt.OTHER_SYSTEM, text)]
    if not server.in_recovery:
        return []  # two members accept writes: said once, for the cluster
    doubts = []
    obstacle = not_following(server, reference)
    if obstacle:
        doubts.append((Doubt.NOT_FOLLOWING, f"{name} does not follow the primary: {obstacle}"))
    reached, current = server.reached, reference.current
    if reached is not None and current is not None and reached > current:
        doubts.append((Doubt.AHEAD, f"{name} holds log up to {reached}, the primary only to {current}"))
    return doubts


def not_following(server: ServerFacts, primary: ServerFacts) -> str:
    """Why a running standby is not streaming from the primary's timeline; empty when it is."""
    receiver = server.receiver
    if receiver is None:
        return "it has no WAL receiver"
    if receiver.status != "streaming":
        return f"its WAL receiver is {receiver.status or 'in no known state'}"
    if receiver.timeline is None:
        return "its WAL receiver names no timeline"
    if receiver.timeline != primary.timeline:
        return f"it receives timeline {receiver.timeline}, the primary writes timeline {primary.timeline}"
    return ""


# --- the members ------------------------------------------------------------------------------------------


def _assess(
    evidence: Evidence,
    member: MemberEvidence,
    primary: MemberEvidence | None,
    reference: ServerFacts | None,
    lag_bytes: int,
) -> Assessment:
    cluster = _cluster(evidence)
    words = _pod_words(member.pod)
    if cluster is not None and cluster.is_fenced(member.name):
        words.append("the Cluster's annotation fences it")
    if not member.named and cluster is not None:
        words.append("the Cluster's status does not name it")
    role = _role(member)
    health, more, missing = _health(member, primary, reference, lag_bytes)
    return Assessment(
        member=member.name,
        role=role,
        health=health,
        evidence=(*words, *more),
        missing=missing,
        details=_details(member, reference),
    )


def _role(member: MemberEvidence) -> str:
    server = _server(member)
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
    server = _server(member)
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
