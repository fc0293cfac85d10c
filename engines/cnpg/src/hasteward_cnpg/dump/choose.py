"""Which member is dumped, and why that one."""

from __future__ import annotations

from dataclasses import dataclass

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import InvalidInput, Refused, RunFailed
from hasteward.domain.reading import Absent, Known, Reading, Unread
from hasteward.domain.report import Authority, Health
from hasteward.kit.reading import short
from hasteward.ports.context import EngineContext
from hasteward_cnpg.analyse import Analysis, Doubt
from hasteward_cnpg.collect.room import free_memory
from hasteward_cnpg.evidence import Evidence, ServerFacts
from hasteward_cnpg.facts.room import LEAST_MEMORY, human, producer_limit
from hasteward_cnpg.resources import pod_of


@dataclass(frozen=True, slots=True)
class Choice:
    """The member to dump. `memory_limit` is bytes of address space for the producer, 0 for none."""

    member: str
    why: str
    memory_limit: int
    server: ServerFacts


def choose(
    context: EngineContext, cluster: ClusterRef, evidence: Evidence, analysis: Analysis, instance: int | None
) -> Choice:
    """The member asked for, or a streaming replica with room, or the primary."""
    if instance is not None:
        return _asked_for(context, cluster, evidence, f"{cluster.name}-{instance}")
    triage = f"hasteward triage -e {cluster.engine} -c {cluster.name} -n {cluster.namespace}"
    split = next((q for q in analysis.questions if q.kind is Doubt.TWO_PRIMARIES), None)
    if split is not None and analysis.authority is not Authority.PROVABLE:
        raise Refused(
            f"{split.text}; which of them holds the data you need is not known, so none is dumped unasked",
            hint=f"{triage}, then dump each by its number with -i",
            code="dump.two_primaries",
        )
    passed: list[str] = []
    for assessment in analysis.assessments:
        server = _known(evidence, assessment.member)
        if server is None or not server.in_recovery:
            continue
        if assessment.health is not Health.HEALTHY:
            passed.append(f"{assessment.member} is {assessment.health}")
            continue
        free = _memory(context, cluster, assessment.member)
        if isinstance(free, Known) and free.value < LEAST_MEMORY:
            passed.append(f"{assessment.member} has only {human(free.value)} of memory free")
            continue
        return _choice(assessment.member, "a replica that streams and is not behind", free, server)
    primary = _known(evidence, analysis.primary)
    if primary is None:
        raise RunFailed(
            f"no member of {cluster.namespace}/{cluster.name} can be dumped: {analysis.reason}",
            hint=triage,
            code="dump.no_member",
        )
    because = f" ({'; '.join(passed)})" if passed else ""
    free = _memory(context, cluster, analysis.primary)
    return _choice(analysis.primary, f"the primary: no replica is fit{because}", free, primary)


def primary_instead(
    context: EngineContext, cluster: ClusterRef, evidence: Evidence, analysis: Analysis, because: str
) -> Choice:
    """The primary, because a replica would leave something out; RunFailed if it cannot be read."""
    server = _known(evidence, analysis.primary)
    if server is None:
        raise RunFailed(
            f"only the primary can be dumped ({because}), and it cannot be read: {analysis.reason}",
            hint=f"hasteward triage -e {cluster.engine} -c {cluster.name} -n {cluster.namespace}",
            code="dump.no_primary",
        )
    free = _memory(context, cluster, analysis.primary)
    return _choice(analysis.primary, f"the primary: {because}", free, server)


def _asked_for(context: EngineContext, cluster: ClusterRef, evidence: Evidence, name: str) -> Choice:
    member = evidence.member(name)
    if member is None:
        known = ", ".join(m.name for m in evidence.members) or "none"
        raise InvalidInput(
            f"{cluster.namespace}/{cluster.name} has no member {name}",
            hint=f"give the number of one that there is: {known}",
            code="member.unknown",
        )
    match member.server:
        case Known(server):
            return _choice(name, "asked for by its number", _memory(context, cluster, name), server)
        case Absent(reason) | Unread(reason):
            raise RunFailed(
                f"{name} cannot be dumped: {reason}",
                hint=f"kubectl describe pod {name} -n {cluster.namespace}",
                code="dump.member_unread",
            )


def _known(evidence: Evidence, name: str) -> ServerFacts | None:
    member = evidence.member(name)
    return member.server.value if member is not None and isinstance(member.server, Known) else None


def _memory(context: EngineContext, cluster: ClusterRef, member: str) -> Reading[int]:
    return free_memory(short(context), pod_of(cluster, member))


def _choice(member: str, why: str, free: Reading[int], server: ServerFacts) -> Choice:
    limit = producer_limit(free.value) if isinstance(free, Known) else 0
    return Choice(member, why, limit, server)
