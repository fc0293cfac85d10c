"""Every reason not to restore that is about the cluster and not about one server. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import Refused
from hasteward.domain.manifest import Manifest
from hasteward.domain.reading import Known
from hasteward.domain.report import Authority
from hasteward.ports.context import RestoreOptions
from hasteward_galera.analyse import Analysis, Component, server_of
from hasteward_galera.evidence import Evidence
from hasteward_galera.facts.words import human, listed
from hasteward_galera.resources import flags

_ROOM = 1.3


@dataclass(frozen=True, slots=True)
class Target:
    """The member that is told, and the Synced ones that must have it too."""

    member: str
    others: tuple[str, ...]
    uuid: str
    notes: tuple[str, ...]


def find_target(
    cluster: ClusterRef, evidence: Evidence, analysis: Analysis, options: RestoreOptions
) -> Target:
    """The primary, if everything about the cluster allows a restore."""
    component = analysis.verdict.component
    if component is None or analysis.authority is not Authority.PROVABLE:
        raise Refused(
            "a restore would be one more history beside those that there may be already:"
            f" {analysis.verdict.reason}",
            hint=f"hasteward triage {flags(cluster)} --deep",
            code="restore.not_proven",
        )
    notes = [
        *_operator_notes(cluster, evidence, options),
        *_absent_notes(cluster, evidence, component, options),
    ]
    synced = [
        member.name
        for member in evidence.members
        if member.name in component.members and (server := server_of(member)) is not None and server.synced
    ]
    if not synced:
        raise Refused(
            f"no member of {component} is Synced",
            hint=f"hasteward triage {flags(cluster)}",
            code="restore.no_synced",
        )
    first = evidence.cluster.primary if evidence.cluster.primary in synced else synced[0]
    others = tuple(name for name in synced if name != first)
    notes.append(f"it goes to {first}, and {listed(others)} must hold the same before anything is swapped")
    return Target(first, others, component.uuid, tuple(notes))


def _operator_notes(cluster: ClusterRef, evidence: Evidence, options: RestoreOptions) -> list[str]:
    """An operator that recovers stops every member in the middle of it."""
    if not evidence.cluster.latched or evidence.cluster.suspended:
        return []
    if options.force:
        return ["FORCED past: the operator recovers the cluster, and may stop every member meanwhile"]
    raise Refused(
        "the operator has the cluster down as broken (GaleraReady is False) and may stop every member",
        hint=f"hasteward triage {flags(cluster)}   (names the command that sets it back)",
        code="restore.operator",
    )


def _absent_notes(
    cluster: ClusterRef, evidence: Evidence, component: Component, options: RestoreOptions
) -> list[str]:
    """A member that is out takes a whole state transfer later; it may also be one that nobody could ask."""
    out = [
        member.name
        for member in evidence.members
        if member.ordinal < evidence.cluster.replicas
        and not ((server := server_of(member)) is not None and server.synced)
    ]
    if not out:
        return []
    if options.force:
        return [f"FORCED past: {listed(tuple(out))} is not Synced, and gets it when it joins {component}"]
    raise Refused(
        f"{listed(tuple(out))} is not Synced, so it cannot be seen that it takes part",
        hint=f"hasteward triage {flags(cluster)}   (or --force, if it is to join later)",
        code="restore.member_out",
    )


def check_room(
    cluster: ClusterRef, evidence: Evidence, target: Target, manifest: Manifest, options: RestoreOptions
) -> None:
    """Every member holds the restored schemas beside the live ones, not only the one that is told."""
    schemas = manifest.catalog.get("schemas", {})
    wanted = [entry for name, entry in schemas.items() if not options.databases or name in options.databases]
    needed = round(sum(int(entry.get("bytes") or 0) for entry in wanted) * _ROOM)
    for name in target.others:
        member = evidence.member(name)
        if member is None or not isinstance(member.volume, Known):
            if options.force:
                continue
            raise Refused(
                f"the free space of {name} could not be read, and {human(needed)} are needed",
                hint=f"hasteward triage {flags(cluster)}   (--force restores without knowing)",
                code="restore.space_unread",
            )
        if member.volume.value.free < needed:
            raise Refused(
                f"{name} has {human(member.volume.value.free)} free, and the restored schemas need"
                f" {human(needed)} beside the live",
                hint="make room, or restore one schema: --database NAME",
                code="restore.space",
            )
