"""Names what is wrong, with the evidence and a command that exists, and puts the report together. Pure."""

from __future__ import annotations

from typing import Any

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.reading import Forbidden, Known
from hasteward.domain.report import Assessment, Diagnosis, Health, Severity, TriageReport
from hasteward_cnpg.analyse import LAG_BYTES, Analysis, analyse
from hasteward_cnpg.analyse.authority import accepting_writes
from hasteward_cnpg.analyse.members import only_stopped
from hasteward_cnpg.analyse.remedy import PATIENCE_SECONDS
from hasteward_cnpg.diagnose.cluster import findings
from hasteward_cnpg.diagnose.member import helpless, logged, paused, shadowed, slotted
from hasteward_cnpg.evidence import ClusterFacts, Evidence
from hasteward_cnpg.facts.room import human
from hasteward_cnpg.resources import CONTAINER, SUPERUSER, flags
from hasteward_sql.postgresql.names import NEW_PREFIX, OLD_PREFIX


def report(
    cluster: ClusterRef,
    evidence: Evidence,
    *,
    lag_bytes: int = LAG_BYTES,
    patience: float = PATIENCE_SECONDS,
) -> TriageReport:
    """The whole answer to triage; `patience` is for how many seconds a server may be starting.

    `details` is a JSON object: ``phase``, ``currentPrimary``, ``targetPrimary``, ``primary`` (who accepts
    writes and is named), ``fenced`` (list), ``hibernated``, ``detachedVolumes`` (list), ``questions``
    (list of ``kind, member, text``) and ``standbys``, ``slots``, ``databases`` as the primary lists them.
    """
    analysis = analyse(evidence, lag_bytes=lag_bytes, patience=patience)
    return TriageReport(
        cluster=cluster,
        authority=analysis.authority,
        authority_reason=analysis.reason,
        assessments=analysis.assessments,
        diagnoses=diagnose(cluster, evidence, analysis, patience),
        details=_details(evidence, analysis),
        newest=analysis.newest,
        primaries=_primaries(evidence),
        donors=tuple(one.member for one in analysis.assessments if one.health is Health.HEALTHY),
        evidence=evidence,
    )


def _primaries(evidence: Evidence) -> tuple[str, ...]:
    """Who is named or about to be, and who accepts writes while nobody that is named does.

    A member that accepts writes beside the named primary is a stray: it is fenced, read again and captured.
    """
    writers = [member.name for member in accepting_writes(evidence)]
    if not isinstance(evidence.cluster, Known):
        return tuple(sorted(writers))
    facts = evidence.cluster.value
    named = {facts.current_primary, facts.target_primary} - {""}
    return tuple(sorted(named if facts.current_primary in writers else {*named, *writers}))


def diagnose(
    cluster: ClusterRef, evidence: Evidence, analysis: Analysis, patience: float = PATIENCE_SECONDS
) -> tuple[Diagnosis, ...]:
    """Every named finding, the cluster's first."""
    found = list(findings(cluster, evidence, analysis))
    primary = evidence.member(analysis.primary)
    reference = primary.server.value if primary is not None and isinstance(primary.server, Known) else None
    for member in evidence.members:
        found += logged(cluster, member)
        found += paused(cluster, member)
        assessed = analysis.assessment(member.name)
        if assessed is not None and assessed.health is not Health.HEALTHY:
            found += slotted(cluster, member, reference)
            found += shadowed(cluster, member)
        if assessed is not None and assessed.health is Health.DOWN:
            found += helpless(cluster, member, assessed, patience)
    silent = frozenset(member.name for member in only_stopped(evidence, patience=patience))
    found += [
        finding
        for assessment in analysis.assessments
        if (finding := _member(cluster, evidence, assessment, silent)) is not None
    ]
    return (*found, *_left_by_restores(cluster, evidence, analysis))


def _left_by_restores(cluster: ClusterRef, evidence: Evidence, analysis: Analysis) -> tuple[Diagnosis, ...]:
    """Databases of ours on the primary: half-loaded ones of a killed run, and those a restore kept."""
    member = evidence.member(analysis.primary)
    if member is None or not isinstance(member.server, Known):
        return ()
    psql = f"kubectl exec -n {cluster.namespace} {member.name} -c {CONTAINER} -- psql -U {SUPERUSER}"
    found = []
    for database in member.server.value.databases:
        size = "size not read" if database.size is None else human(database.size)
        if database.name.startswith(NEW_PREFIX):
            found.append(
                Diagnosis(
                    "cnpg-restore-unfinished",
                    Severity.WARNING,
                    "a restore is loading, or was killed before its swap; the live databases are untouched",
                    (f"database {database.name} ({size})",),
                    f"hasteward restore {flags(cluster)}   (removes it and starts afresh)",
                    member.name,
                )
            )
        elif database.name.startswith(OLD_PREFIX):
            found.append(
                Diagnosis(
                    "cnpg-restore-kept",
                    Severity.INFO,
                    "a restore kept what it replaced; it takes space until you swap it back or drop it",
                    (f"database {database.name} ({size})",),
                    f"hasteward undo {flags(cluster)}   (swaps it back);"
                    f" or for good: {psql} -c 'DROP DATABASE \"{database.name}\"'",
                    member.name,
                )
            )
    return tuple(found)


def _member(
    cluster: ClusterRef, evidence: Evidence, assessment: Assessment, silent: frozenset[str]
) -> Diagnosis | None:
    name = assessment.member
    facts = evidence.cluster.value if isinstance(evidence.cluster, Known) else None
    logs = f"kubectl logs {name} -n {cluster.namespace} -c {CONTAINER} --tail=200"
    match assessment.health:
        case Health.HEALTHY:
            return None
        case Health.DOWN:
            return _down(cluster, facts, assessment, silent)
        case Health.LAGGING:
            return Diagnosis(
                "cnpg-replica-lagging",
                Severity.WARNING,
                f"{name} streams, but has much still to replay",
                assessment.evidence,
                f"hasteward triage -e {cluster.engine} -c {cluster.name} -n {cluster.namespace}",
                name,
            )
        case Health.NOT_STREAMING:
            return Diagnosis(
                "cnpg-replica-not-streaming",
                Severity.CRITICAL,
                f"{name} runs, but does not follow the primary",
                assessment.evidence,
                logs,
                name,
            )
        case Health.UNDETERMINABLE:
            return Diagnosis(
                "cnpg-member-unread",
                Severity.WARNING,
                f"the state of {name} cannot be told",
                (*assessment.evidence, *(f"not known: {lacking}" for lacking in assessment.missing)),
                _allow(cluster) if _forbidden(evidence, name) else logs,
                name,
            )


def _down(
    cluster: ClusterRef, facts: ClusterFacts | None, assessment: Assessment, silent: frozenset[str]
) -> Diagnosis:
    name = assessment.member
    severity, remedy = Severity.CRITICAL, f"kubectl describe pod {name} -n {cluster.namespace}"
    identifier, summary = "cnpg-member-down", f"{name} is down"
    if facts is not None and facts.is_fenced(name):
        identifier, summary = "cnpg-member-fenced", f"{name} is fenced: its server was stopped on purpose"
        severity = Severity.CRITICAL if name == facts.current_primary else Severity.WARNING
        remedy = f"kubectl describe clusters.postgresql.cnpg.io {cluster.name} -n {cluster.namespace}"
    elif name in silent:
        identifier = "cnpg-server-hangs"
        summary = f"the server of {name} runs and does not answer, so what it holds is not known"
        remedy = f"hasteward triage {flags(cluster)} --deep=stop   (stops it, reads its files, lets it go)"
    return Diagnosis(identifier, severity, summary, assessment.evidence, remedy, name)


def _forbidden(evidence: Evidence, name: str) -> bool:
    member = evidence.member(name)
    return member is not None and isinstance(member.server, Forbidden)


def _allow(cluster: ClusterRef) -> str:
    return f"kubectl auth can-i create pods/exec -n {cluster.namespace}"


def _details(evidence: Evidence, analysis: Analysis) -> dict[str, Any]:
    details: dict[str, Any] = {
        "primary": analysis.primary or None,
        "detachedVolumes": list(evidence.detached),
        "questions": [{"kind": q.kind.value, "member": q.member, "text": q.text} for q in analysis.questions],
    }
    if isinstance(evidence.cluster, Known):
        facts = evidence.cluster.value
        details |= {
            "phase": facts.phase,
            "currentPrimary": facts.current_primary,
            "targetPrimary": facts.target_primary,
            "fenced": sorted(facts.fenced),
            "hibernated": facts.hibernated,
        }
    member = evidence.member(analysis.primary)
    if member is not None and isinstance(member.server, Known):
        server = member.server.value
        details |= {
            "standbys": [
                {
                    "name": s.name,
                    "state": s.state,
                    "syncState": s.sync_state,
                    "sentLsn": str(s.sent) if s.sent else None,
                    "replayedLsn": str(s.replayed) if s.replayed else None,
                    "lagBytes": s.lag_bytes,
                }
                for s in server.standbys
            ],
            "slots": [
                {
                    "name": s.name,
                    "kind": s.kind,
                    "active": s.active,
                    "restartLsn": str(s.restart) if s.restart else None,
                    "database": s.database or None,
                    "walStatus": s.wal_status,
                }
                for s in server.slots
            ],
            "databases": [{"name": d.name, "bytes": d.size} for d in server.databases],
        }
    return details
