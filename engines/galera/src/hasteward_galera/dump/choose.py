"""Which member is dumped. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import InvalidInput, Refused
from hasteward.domain.report import Authority
from hasteward_galera.analyse import Analysis, server_of
from hasteward_galera.evidence import Evidence, ServerFacts
from hasteward_galera.facts.words import listed
from hasteward_galera.resources import flags


@dataclass(frozen=True, slots=True)
class Chosen:
    """A member that can be dumped, and what the plan says of it."""

    member: str
    server: ServerFacts
    notes: tuple[str, ...]


def choose_member(
    cluster: ClusterRef, evidence: Evidence, analysis: Analysis, instance: int | None
) -> Chosen:
    """The wanted member, or the Synced one that has the least to do and is not the primary."""
    if instance is not None:
        return _wanted(cluster, evidence, instance)
    component = analysis.verdict.component
    if component is None:
        raise Refused(
            f"there is not one Primary component to dump from: {analysis.verdict.reason}",
            hint=f"hasteward triage {flags(cluster)} --deep   (a member by itself: -i N)",
            code="dump.no_component",
        )
    ranked = []
    for member in evidence.members:
        server = server_of(member)
        if server is not None and server.synced and member.name in component.members:
            busy = member.name == evidence.cluster.primary
            ranked.append(((server.desynced, busy, server.queue, -member.ordinal), member.name, server))
    if not ranked:
        raise Refused(
            f"no member of {listed(component.members)} is Synced",
            hint=f"hasteward triage {flags(cluster)}",
            code="dump.no_synced",
        )
    _, name, server = min(ranked, key=lambda one: one[0])
    notes = [f"{name} is Synced and has the least to do ({server.queue} write-sets queued)"]
    if analysis.authority is not Authority.PROVABLE:
        notes.append(f"it is not proven that {name} holds the newest data: {analysis.verdict.reason}")
    return Chosen(name, server, tuple(notes))


def _wanted(cluster: ClusterRef, evidence: Evidence, instance: int) -> Chosen:
    member = next((one for one in evidence.members if one.ordinal == instance), None)
    if member is None:
        known = ", ".join(str(one.ordinal) for one in evidence.members)
        raise InvalidInput(
            f"there is no member with the number {instance}; there are {known}",
            hint=f"hasteward triage {flags(cluster)}",
            code="member.unknown",
        )
    server = server_of(member)
    if server is None or not server.ready:
        raise Refused(
            f"{member.name} cannot be dumped: its server does not answer queries",
            hint=f"hasteward triage {flags(cluster)}",
            code="dump.member_down",
        )
    return Chosen(member.name, server, (f"{member.name} was asked for with -i {instance}",))
