"""Takes a Raft snapshot from the member that leads, unpacked, and proves that it is a whole one.

Three things make it count beside the proof of the stream: its own SHA256SUMS, an index that is not before
what the leader had applied when it was asked, and a leader that has led all the time until it is done. A
standby passes the request on and may answer with an empty file; a leader without its majority answers with
what it has.
"""

from __future__ import annotations

from typing import Any

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import InvalidInput, Refused, RunFailed, Unproven
from hasteward.domain.events import Warned
from hasteward.domain.reading import Known
from hasteward.kit.orphans import end_orphans
from hasteward.kit.sections import SectionWriter
from hasteward.ports.context import DumpOptions, DumpProof, DumpSink, EngineContext
from hasteward.ports.kubernetes import PodRef
from hasteward.streams.proof import Algorithm
from hasteward_vault.analyse import Analysis, Doubt, analyse, raft_of, status_of
from hasteward_vault.collect import collect
from hasteward_vault.collect.ask import script
from hasteward_vault.collect.token import Access, access
from hasteward_vault.evidence import Evidence, MemberEvidence
from hasteward_vault.facts.archive import Archive, ArchiveError, Meta
from hasteward_vault.facts.shell import SAVE
from hasteward_vault.plan import dump_plan
from hasteward_vault.resources import flags, pod_of

#: a tar ends with two blocks of nothing
_END_MARKER = bytes(512)
_SECTION = "raft"


class _Checked:
    """Passes bytes to the sink and to the archive that judges them."""

    def __init__(self, sink: DumpSink, archive: Archive) -> None:
        self._sink = sink
        self._archive = archive

    @property
    def position(self) -> int:
        return self._sink.position

    def write(self, data: bytes | memoryview) -> None:
        try:
            self._archive.feed(data)
        except ArchiveError as error:
            raise Unproven(f"the Raft snapshot is not whole: {error}", code="proof.archive") from error
        self._sink.write(data)


def dump(context: EngineContext, cluster: ClusterRef, sink: DumpSink, options: DumpOptions) -> DumpProof:
    """Choose the member, show the plan, and push the snapshot into `sink`."""
    evidence = collect(context, cluster)
    analysis = analyse(evidence)
    member, why, doubt = _choose(cluster, evidence, analysis, options.instance)
    status = status_of(member)
    assert status is not None  # noqa: S101  chosen by it; for the type checker
    allowed = access(context, cluster)
    plan = dump_plan(cluster, member=member.name, why=why, index=status.applied, doubt=doubt)
    if not context.approve(plan):
        return DumpProof(member.name, status.version, (), planned_only=True)
    pod = pod_of(cluster, member.name, evidence.stateful_set.container)
    end_orphans(context, pod)
    archive = Archive()
    writer = SectionWriter(context, _Checked(sink, archive), Algorithm.SHA256)
    _stream(writer, pod, allowed)
    meta = _conclude(archive, pod)
    if status.applied is not None and meta.index < status.applied:
        raise Unproven(
            f"the snapshot ends at Raft entry {meta.index}, but {member.name} had already applied"
            f" {status.applied} when it was asked for it",
            code="proof.stale",
        )
    if not doubt:
        _still_leads(context, cluster, member)
    else:
        context.reporter.emit(Warned("dump.not_proven_newest", doubt))
    catalog = _catalog(evidence, analysis, member, meta)
    return DumpProof(member.name, status.version, writer.sections, catalog)


def _stream(writer: SectionWriter, pod: PodRef, allowed: Access) -> None:
    try:
        writer.stream(
            _SECTION,
            "",
            pod,
            script(SAVE, *allowed.words),
            end_marker=_END_MARKER,
            feed=allowed.feed,
        )
    except RunFailed as error:
        if "permission denied" not in error.message:
            raise
        raise RunFailed(
            f"{error.message} (the token is {allowed.source})",
            hint="deploy/vault/backup.hcl is the policy that allows it",
            code="token.refused",
        ) from error


def _conclude(archive: Archive, pod: PodRef) -> Meta:
    try:
        return archive.conclude()
    except ArchiveError as error:
        raise Unproven(f"the Raft snapshot of {pod} is not whole: {error}", code="proof.archive") from error


def _choose(
    cluster: ClusterRef, evidence: Evidence, analysis: Analysis, instance: int | None
) -> tuple[MemberEvidence, str, str]:
    """The member, why it, and what speaks against its being the newest (only when it was asked for)."""
    triage = f"hasteward triage {flags(cluster)}"
    if instance is None:
        leader = evidence.member(analysis.leader)
        if leader is None:
            raise Refused(
                f"no member of {cluster.namespace}/{cluster.name} is proven to lead: {analysis.reason};"
                " only the leader's snapshot is sure to hold everything",
                hint=f"{triage}   (to save all the same what one member has:"
                f" hasteward backup {flags(cluster)} -i N)",
                code="dump.no_leader" if not analysis.has(Doubt.LEADER_UNREAD) else "dump.leader_unread",
            )
        return leader, "which leads", ""
    member = next((found for found in evidence.members if found.ordinal == instance), None)
    if member is None:
        known = ", ".join(str(found.ordinal) for found in evidence.members) or "none"
        raise InvalidInput(
            f"{cluster.namespace}/{cluster.name} has no member {instance}",
            hint=f"give the number of one that there is: {known}",
            code="member.unknown",
        )
    status = status_of(member)
    if status is None or status.sealed or not status.active:
        raise Refused(
            f"{member.name} cannot be dumped: a snapshot of it would be the leader's, or none"
            f" ({_state(member)})",
            hint=triage,
            code="dump.not_active",
        )
    return member, "asked for by its number", "" if member.name == analysis.leader else analysis.reason


def _state(member: MemberEvidence) -> str:
    match member.status:
        case Known(status):
            return "it is sealed" if status.sealed else "it is a standby"
        case unread:
            return getattr(unread, "reason", "") or getattr(unread, "proof", "")


def _still_leads(context: EngineContext, cluster: ClusterRef, before: MemberEvidence) -> None:
    """The leader that was asked must be the leader that answered to the end."""
    evidence = collect(context, cluster)
    was, now = status_of(before), status_of(evidence.member(before.name))
    leads = analyse(evidence).leader == before.name
    if not leads or was is None or now is None or now.active_since != was.active_since:
        raise Unproven(
            f"{before.name} lost its leadership while the snapshot was taken; it may not hold everything",
            hint="nothing was kept; run the same command again",
            code="proof.leader_lost",
        )


def _catalog(evidence: Evidence, analysis: Analysis, member: MemberEvidence, meta: Meta) -> dict[str, Any]:
    """Whose snapshot this is: compared with the live cluster before it is restored. No secret is in it."""
    status, raft = status_of(member), raft_of(member)
    identity: dict[str, Any] = {}
    if status is not None:
        identity = {
            "cluster_id": status.cluster_id,
            "seal_type": status.seal,
            "threshold": status.threshold,
            "shares": status.shares,
        }
    if raft is not None and isinstance(raft.key_term, Known):
        identity["key_term"] = raft.key_term.value
    return {
        "identity": identity,
        "index": meta.index,
        "term": meta.term,
        "peers": list(meta.peers),
        "leader": analysis.leader or None,
        "stateful_set": evidence.stateful_set.name,
    }
