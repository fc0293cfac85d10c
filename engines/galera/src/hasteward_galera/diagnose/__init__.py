"""Names what is wrong, with the evidence and a command that exists, and puts the report together. Pure."""

from __future__ import annotations

from typing import Any

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.report import Diagnosis, TriageReport
from hasteward_galera.analyse import Analysis, Choice, analyse, choose, server_of
from hasteward_galera.diagnose.cluster import about_cluster
from hasteward_galera.diagnose.member import about_member
from hasteward_galera.diagnose.operator import about_operator
from hasteward_galera.evidence import Evidence

__all__ = ["diagnose", "report"]


def report(cluster: ClusterRef, evidence: Evidence) -> TriageReport:
    """The whole answer to triage.

    `details` is a JSON object: ``components`` (list of ``members, uuid, seqno, size``), ``startFrom`` (the
    member that a cluster without a Primary component may be started from, or null), ``startReason``,
    ``questions`` (list of ``kind, member, text``) and ``operator`` (``suspended, latched, conditions``).
    """
    analysis = analyse(evidence)
    verdict = analysis.verdict
    kept = verdict.component
    if kept is None and verdict.components:
        named = (one for one in verdict.components if evidence.cluster.primary in one.members)
        kept = next(named, None)
    synced = [
        name
        for name in (kept.members if kept is not None else ())
        if (server := server_of(evidence.member(name))) is not None and server.synced
    ]
    first = evidence.cluster.primary if evidence.cluster.primary in synced else (synced or [""])[0]
    return TriageReport(
        cluster=cluster,
        authority=verdict.authority,
        authority_reason=verdict.reason,
        assessments=analysis.assessments,
        diagnoses=diagnose(cluster, evidence, analysis),
        details=_details(evidence, analysis),
        newest=verdict.newest,
        primaries=(first,) if first else (),
        donors=tuple(synced),
        evidence=evidence,
    )


def diagnose(cluster: ClusterRef, evidence: Evidence, analysis: Analysis) -> tuple[Diagnosis, ...]:
    """Every named finding, the cluster's first."""
    found = [*about_cluster(cluster, evidence, analysis), *about_operator(cluster, evidence, analysis)]
    for member in evidence.members:
        found += about_member(cluster, member, analysis)
    return tuple(found)


def _details(evidence: Evidence, analysis: Analysis) -> dict[str, Any]:
    verdict, facts = analysis.verdict, evidence.cluster
    start = choose(evidence, verdict)
    return {
        "components": [
            {"members": list(one.members), "uuid": one.uuid, "seqno": one.seqno, "size": one.size}
            for one in verdict.components
        ],
        "startFrom": start.member if isinstance(start, Choice) else None,
        "startReason": start.reason,
        "questions": [{"kind": q.kind.value, "member": q.member, "text": q.text} for q in verdict.questions],
        "operator": {
            "suspended": facts.suspended,
            "latched": facts.latched,
            "conditions": {name: row.status for name, row in facts.conditions.items()},
        },
    }
