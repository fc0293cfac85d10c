"""Every reason not to restore. Each names the evidence, the rule and the next command; nothing is touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError, Refused
from hasteward.domain.manifest import Manifest
from hasteward.domain.plan import Plan
from hasteward.domain.reading import Known
from hasteward.domain.report import Health
from hasteward.ports.context import EngineContext, RestoreOptions, RestoreSource
from hasteward.ports.kubernetes import PodRef
from hasteward_vault.analyse import Analysis, Doubt, analyse, raft_of, status_of
from hasteward_vault.collect import collect
from hasteward_vault.collect.ask import ask
from hasteward_vault.collect.token import Access, access
from hasteward_vault.evidence import Evidence, MemberEvidence, Raft, Status
from hasteward_vault.facts.answers import parse_volume
from hasteward_vault.facts.shell import TEMPORARY
from hasteward_vault.facts.words import MIB, human
from hasteward_vault.plan import RestoreWords, restore_plan
from hasteward_vault.resources import DUMP_FORMAT, KEPT_PREFIX, flags, pod_of


@dataclass(frozen=True, slots=True)
class Target:
    """Everything the work needs. `well` are the members that must stand again; `kept` is empty for none.

    `flags` name the cluster in commands.
    """

    leader: str
    flags: str
    pod: PodRef
    access: Access
    index: int
    kept: str
    differences: tuple[str, ...]
    well: tuple[str, ...]
    plan: Plan


def prepare(
    context: EngineContext, cluster: ClusterRef, source: RestoreSource, options: RestoreOptions
) -> Target:
    """Every gate, and the plan. Changes nothing."""
    manifest = source.manifest
    _check_source(cluster, manifest, options)
    evidence = collect(context, cluster)
    analysis = analyse(evidence)
    leader, status, raft = _leader(cluster, evidence, analysis)
    found = differences(manifest.catalog.get("identity") or {}, status)
    if found and not options.force:
        raise Refused(
            f"the snapshot is not of this cluster as it is now: {'; '.join(found)}",
            hint=f"--force installs it all the same; afterwards only the unseal keys of {manifest.finished}"
            " open the cluster",
            code="restore.other_cluster",
        )
    folder = evidence.stateful_set.data
    kept = f"{folder}/{KEPT_PREFIX}{context.run.job}.snap" if options.keep_old else ""
    pod = pod_of(cluster, leader.name, evidence.stateful_set.container)
    _check_space(cluster, leader, manifest, kept)
    _check_temporary(context, pod, manifest)
    index = int(manifest.catalog.get("index") or 0)
    words = RestoreWords(
        snapshot=source.snapshot_id,
        finished=manifest.finished,
        index=index,
        live_index=status.committed,
        leader=leader.name,
        size=manifest.size,
        kept=kept,
        differences=found,
        notes=tuple(_notes(manifest, analysis, leader, raft)),
    )
    return Target(
        leader=leader.name,
        flags=flags(cluster),
        pod=pod,
        access=access(context, cluster),
        index=index,
        kept=kept,
        differences=found,
        well=tuple(a.member for a in analysis.assessments if a.health is Health.HEALTHY),
        plan=restore_plan(cluster, words),
    )


def _check_source(cluster: ClusterRef, manifest: Manifest, options: RestoreOptions) -> None:
    if manifest.format != DUMP_FORMAT or manifest.section("raft") is None:
        raise Refused(
            f"the snapshot is in format {manifest.format or '(none)'!r};"
            f" only {DUMP_FORMAT!r} can be restored by this engine",
            hint="hasteward export writes any snapshot to a file",
            code="restore.format",
        )
    if options.databases:
        raise Refused(
            "a Raft snapshot is restored as a whole; it has no databases to choose from",
            hint=f"hasteward restore {flags(cluster)}",
            code="restore.databases",
        )


def _leader(
    cluster: ClusterRef, evidence: Evidence, analysis: Analysis
) -> tuple[MemberEvidence, Status, Raft]:
    leader = evidence.member(analysis.leader)
    status, raft = status_of(leader), raft_of(leader)
    if leader is None or status is None or raft is None:
        raise Refused(
            f"no member of {cluster.namespace}/{cluster.name} is proven to lead: {analysis.reason};"
            " a restore goes through the leader",
            hint=f"hasteward triage {flags(cluster)}",
            code="restore.leader_unread" if analysis.has(Doubt.LEADER_UNREAD) else "restore.no_leader",
        )
    return leader, status, raft


def differences(identity: Mapping[str, Any], status: Status) -> tuple[str, ...]:
    """In words, what tells the snapshot's cluster from the live one; all of it needs ``--force``."""
    compared = (
        ("cluster id", identity.get("cluster_id"), status.cluster_id),
        ("seal type", identity.get("seal_type"), status.seal),
        ("unseal key shares", identity.get("shares"), status.shares),
        ("unseal key threshold", identity.get("threshold"), status.threshold),
    )
    return tuple(
        f"its {what} is {have if have not in (None, '') else 'not recorded'}, the live one's is {live}"
        for what, have, live in compared
        if have != live
    )


def _notes(manifest: Manifest, analysis: Analysis, leader: MemberEvidence, raft: Raft) -> list[str]:
    notes = []
    then = (manifest.catalog.get("identity") or {}).get("key_term")
    match raft.key_term:
        case Known(now) if then is not None and then != now:
            notes.append(f"the keyring was rotated since: term {then} in the snapshot, {now} now")
        case _:
            pass
    if manifest.type == "diverged":
        notes.append(f"the snapshot was taken of {manifest.member} while it was not proven to lead")
    down = [a.member for a in analysis.assessments if a.health is not Health.HEALTHY]
    if down:
        notes.append(f"not well now, and not waited for: {', '.join(down)}")
    notes.append(f"leases and tokens issued since the snapshot are gone from {leader.name} afterwards")
    return notes


def _check_space(cluster: ClusterRef, leader: MemberEvidence, manifest: Manifest, kept: str) -> None:
    """The snapshot, and what is kept, must fit on the leader's volume: a full one stops the server."""
    match leader.volume:
        case Known(volume):
            used = volume.size - volume.free
            need = manifest.size * 2 + (used if kept else 0) + 16 * MIB
            if volume.free < need:
                raise Refused(
                    f"{leader.name} has {human(volume.free)} free on its volume;"
                    f" the restore needs {human(need)}",
                    hint="enlarge the volume, or restore without keeping what is live: --no-keep-old",
                    code="restore.space",
                )
        case unread:
            raise Refused(
                f"the free space of {leader.name} could not be read ({getattr(unread, 'reason', '')})",
                hint=f"kubectl describe pod {leader.name} -n {cluster.namespace}",
                code="restore.space_unread",
            )


def _check_temporary(context: EngineContext, pod: PodRef, manifest: Manifest) -> None:
    """The server unpacks the snapshot into its temporary folder before it takes it."""
    try:
        volume = parse_volume(ask(context, pod, TEMPORARY)["disk"])
    except (HastewardError, ValueError, KeyError) as error:
        raise Refused(
            f"the server on {pod.name} has no temporary folder to unpack a snapshot in ({error})",
            hint="mount an emptyDir at /tmp in the server's container, or set TMPDIR to a folder it may use",
            code="restore.temporary",
        ) from error
    if volume.free < manifest.size * 2:
        raise Refused(
            f"the temporary folder of the server on {pod.name} has {human(volume.free)} free;"
            f" the snapshot has {human(manifest.size)}",
            hint="give the server's container a larger /tmp, or set TMPDIR to a folder with room",
            code="restore.temporary",
        )
