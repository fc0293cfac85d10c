"""Findings about one member, from its log, its slot and its health. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.reading import Known
from hasteward.domain.report import Assessment, Diagnosis, Severity
from hasteward_cnpg.analyse.remedy import in_vain
from hasteward_cnpg.diagnose.cluster import flags
from hasteward_cnpg.evidence import MemberEvidence, ServerFacts, Trouble
from hasteward_cnpg.facts.names import slot_name
from hasteward_cnpg.resources import CONTAINER, SUPERUSER

_TROUBLES: dict[Trouble, tuple[str, Severity, str]] = {
    Trouble.NO_CHECKPOINT: (
        "cnpg-invalid-checkpoint",
        Severity.CRITICAL,
        "finds no valid checkpoint and can never start",
    ),
    Trouble.NOT_A_CHILD: (
        "cnpg-not-a-child",
        Severity.CRITICAL,
        "is on a way that the primary's history does not know",
    ),
    Trouble.WAL_REMOVED: (
        "cnpg-wal-removed",
        Severity.CRITICAL,
        "needs log that has been removed from the primary, and never streams again by itself",
    ),
    Trouble.DISK_FULL: ("cnpg-disk-full", Severity.CRITICAL, "has a full volume"),
    Trouble.CERTIFICATE: (
        "cnpg-certificate-rejected",
        Severity.CRITICAL,
        "is refused by the primary: a certificate between them is not accepted",
    ),
    Trouble.MODE: (
        "cnpg-data-mode",
        Severity.CRITICAL,
        "finds its data directory open to others, and its server does not start on that",
    ),
    Trouble.NEVER_STREAMED: (
        "cnpg-never-streamed",
        Severity.CRITICAL,
        "has not streamed since its server was started: one more restart would not help",
    ),
}


def logged(cluster: ClusterRef, member: MemberEvidence) -> Iterator[Diagnosis]:
    """What its own log names."""
    logs = f"kubectl logs {member.name} -n {cluster.namespace} -c {CONTAINER} --tail=200"
    for trouble in sorted(member.troubles):
        identifier, severity, words = _TROUBLES[trouble]
        remedy, seen = logs, "its log"
        if trouble is Trouble.DISK_FULL:
            seen = "its log, or its volume"
            remedy = f"kubectl describe pvc {member.name} -n {cluster.namespace}"
            remedy += "   (then enlarge spec.storage.size)"
        yield Diagnosis(
            identifier,
            severity,
            f"{member.name} {words}",
            (f"{seen}: {trouble.value}",),
            remedy,
            member.name,
        )


def helpless(
    cluster: ClusterRef, member: MemberEvidence, assessed: Assessment, patience: float
) -> Iterator[Diagnosis]:
    """A new pod has just been shown not to help it, and its log names no reason that we know."""
    vain = in_vain(member, patience)
    if not vain or not assessed.reason.startswith(vain):
        return
    logs = f"kubectl logs {member.name} -n {cluster.namespace} -c {CONTAINER} --previous"
    yield Diagnosis(
        "cnpg-restart-in-vain",
        Severity.CRITICAL,
        f"{member.name} does not become ready, and one more restart would not help",
        (vain,),
        f"hasteward repair {flags(cluster)} -i {assessed.ordinal}   (makes it anew; what it says: {logs})",
        member.name,
    )


def shadowed(cluster: ClusterRef, member: MemberEvidence) -> Iterator[Diagnosis]:
    """L12: what an earlier tool left wins over what the operator writes."""
    if not isinstance(member.server, Known) or not member.server.value.shadowed:
        return
    yield Diagnosis(
        "cnpg-conninfo-shadowed",
        Severity.CRITICAL,
        f"{member.name} takes the address of its primary from postgresql.auto.conf, not from its operator",
        ("pg_file_settings: primary_conninfo stands in postgresql.auto.conf too, which is read last",),
        f"hasteward repair {flags(cluster)}   (takes the line out)",
        member.name,
    )


def paused(cluster: ClusterRef, member: MemberEvidence) -> Iterator[Diagnosis]:
    """L14: it streams, nothing is lost, and who reads from it reads the past."""
    if not isinstance(member.server, Known) or not member.server.value.replay_paused:
        return
    server = member.server.value
    yield Diagnosis(
        "cnpg-replay-paused",
        Severity.WARNING,
        f"{member.name} receives the log and does not replay it: somebody has paused it",
        (f"pg_is_wal_replay_paused: received to {server.received}, replayed to {server.replayed}",),
        f"kubectl exec -n {cluster.namespace} {member.name} -c {CONTAINER} -- psql -U {SUPERUSER}"
        " -c 'SELECT pg_wal_replay_resume()'",
        member.name,
    )


def slotted(cluster: ClusterRef, member: MemberEvidence, primary: ServerFacts | None) -> Iterator[Diagnosis]:
    """What the primary's slot for it tells, found by its exact name (W24)."""
    if primary is None:
        return
    slot = next((one for one in primary.slots if one.name == slot_name(member.name)), None)
    if slot is None:
        return
    remedy = f"hasteward triage {flags(cluster)} --deep"
    if slot.wal_status == "lost":
        text = f"the slot of {member.name} has lost the log that it was to keep"
        evidence = (f"slot {slot.name}: wal_status lost",)
        yield Diagnosis("cnpg-slot-lost", Severity.WARNING, text, evidence, remedy, member.name)
    elif not slot.active and slot.restart is not None and primary.current is not None:
        text = f"nobody uses the slot of {member.name}, and it keeps log on the primary"
        evidence = (f"slot {slot.name}: inactive, {primary.current - slot.restart} bytes kept",)
        yield Diagnosis("cnpg-slot-inactive", Severity.INFO, text, evidence, remedy, member.name)
