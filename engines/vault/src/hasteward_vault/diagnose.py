"""Names what is wrong, with the evidence and a command that exists, and puts the report together. Pure."""

from __future__ import annotations

from typing import Any

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.reading import Known
from hasteward.domain.report import Diagnosis, Health, Severity, TriageReport
from hasteward_vault.analyse import LAG_ENTRIES, Analysis, Doubt, analyse, lacks_token, raft_of, status_of
from hasteward_vault.evidence import Evidence, MemberEvidence
from hasteward_vault.facts.words import human
from hasteward_vault.resources import flags

#: below this share of its size, a volume is called full
_LEAST_FREE = 0.1
_LEAST_VERSIONS = 2


def report(cluster: ClusterRef, evidence: Evidence, *, lag_entries: int = LAG_ENTRIES) -> TriageReport:
    """The whole answer to triage.

    `details` is a JSON object: ``leader``, ``quorum`` (``voters, reached, needed, mayLose``), ``peers`` (list
    of ``id, address, voter, member, healthy, lastContactSeconds``), ``deadPeers`` (ids), ``seal`` (``type,
    threshold, shares``), ``clusterId``, ``keyTerm``, ``questions`` (list of ``kind, member, text``) and,
    where nobody leads, ``survivors`` (list of ``member, term, index``: where its log ends, the furthest
    first).
    """
    analysis = analyse(evidence, lag_entries=lag_entries)
    return TriageReport(
        cluster=cluster,
        authority=analysis.authority,
        authority_reason=analysis.reason,
        assessments=analysis.assessments,
        diagnoses=diagnose(cluster, evidence, analysis),
        details=_details(evidence, analysis),
        newest=(analysis.leader,) if analysis.leader else (),
        primaries=tuple(
            member.name
            for member in evidence.members
            if member.name == analysis.leader or ((status := status_of(member)) is not None and status.active)
        ),
        donors=tuple(a.member for a in analysis.assessments if a.health is Health.HEALTHY),
        evidence=evidence,
    )


def diagnose(cluster: ClusterRef, evidence: Evidence, analysis: Analysis) -> tuple[Diagnosis, ...]:
    """Every named finding, the cluster's first."""
    found = [*_about_leader(cluster, evidence, analysis), *_about_quorum(cluster, evidence, analysis)]
    found += _may_return(cluster, analysis)
    found += _dead_peers(cluster, analysis)
    found += _versions(cluster, evidence)
    for member in evidence.members:
        found += _about_member(cluster, evidence, member, analysis)
    return tuple(found)


def _kubectl(cluster: ClusterRef, evidence: Evidence, member: str, command: str) -> str:
    container = evidence.stateful_set.container
    return f"kubectl exec -it {member} -n {cluster.namespace} -c {container} -- {command}"


def _program(evidence: Evidence) -> str:
    return "vault" if evidence.stateful_set.container == "vault" else "bao"


def _about_leader(cluster: ClusterRef, evidence: Evidence, analysis: Analysis) -> list[Diagnosis]:
    triage = f"hasteward triage {flags(cluster)}"
    found = []
    for question in analysis.questions:
        match question.kind:
            case Doubt.LEADER_UNREAD if lacks_token(evidence):
                remedy = "bao policy write hasteward-backup deploy/vault/backup.hcl"
                found.append(
                    ("vault-token-refused", "the token is missing or may not read", remedy, question)
                )
            case Doubt.LEADER_UNREAD:
                found.append(("vault-leader-unread", "whether it leads is not known", triage, question))
            case Doubt.STALE_LEADER:
                found.append(("vault-stale-leader", "it leads no more, and does not know", triage, question))
            case Doubt.TWO_LEADERS:
                found.append(("vault-two-leaders", "more than one member claims to lead", triage, question))
            case Doubt.OTHER_CLUSTER:
                found.append(
                    ("vault-other-cluster", "the members are of different clusters", triage, question)
                )
            case Doubt.NO_LEADER | Doubt.NOT_INITIALIZED | Doubt.OTHER_STORAGE:
                first = evidence.members[0].name if evidence.members else "POD"
                remedy = _kubectl(cluster, evidence, first, f"{_program(evidence)} status")
                found.append((f"vault-{question.kind.replace('_', '-')}", question.text, remedy, question))
            case Doubt.INVENTORY | Doubt.NO_QUORUM | Doubt.MAY_RETURN:
                pass  # said below, or in the verdict
    return [
        Diagnosis(name, Severity.CRITICAL, summary, (question.text,), remedy, question.member)
        for name, summary, remedy, question in found
    ]


def _may_return(cluster: ClusterRef, analysis: Analysis) -> list[Diagnosis]:
    summary = "it may hold the newest data, so nobody may go on without it"
    return [
        Diagnosis(
            "vault-may-return",
            Severity.CRITICAL,
            summary,
            (question.text,),
            f"kubectl describe pod {question.member} -n {cluster.namespace}"
            if question.member
            else f"hasteward triage {flags(cluster)}",
            question.member,
        )
        for question in analysis.questions
        if question.kind is Doubt.MAY_RETURN
    ]


def _about_quorum(cluster: ClusterRef, evidence: Evidence, analysis: Analysis) -> list[Diagnosis]:
    left = analysis.survival
    if left is not None and left.lost:
        which = next(m.ordinal for m in evidence.members if m.name == left.fit[0].name)
        return [
            Diagnosis(
                "vault-majority-lost",
                Severity.CRITICAL,
                "too many voters are lost for good: nothing can be written until one goes on without them",
                (left.text,),
                f"hasteward repair {flags(cluster)} -i {which} --force --dry-run",
            )
        ]
    quorum = analysis.quorum
    if quorum is None or quorum.spare > 0 or quorum.voters == 1:
        return []
    down = [a.member for a in analysis.assessments if a.health is not Health.HEALTHY]
    first = (*down, *(match.member for match in analysis.peers if match.member), "POD")[0]
    describe = f"kubectl describe pod {first} -n {cluster.namespace}"
    if quorum.spare < 0:
        return [
            Diagnosis(
                "vault-quorum-lost",
                Severity.CRITICAL,
                "too few voters are left for a majority: nothing can be written",
                (str(quorum),),
                describe,
            )
        ]
    return [
        Diagnosis(
            "vault-no-spare",
            Severity.WARNING,
            "the loss of one more voter stops all writing",
            (str(quorum),),
            describe,
        )
    ]


def _dead_peers(cluster: ClusterRef, analysis: Analysis) -> list[Diagnosis]:
    return [
        Diagnosis(
            "vault-dead-peer",
            Severity.WARNING if analysis.leader else Severity.INFO,
            f"{'voter' if match.peer.voter else 'peer'} {match.peer.id} is counted on, but no pod can be it",
            (f"the Raft configuration names {match.peer.id} at {match.peer.address}",),
            f"hasteward repair {flags(cluster)} --dry-run",
        )
        for match in analysis.dead
    ]


def _versions(cluster: ClusterRef, evidence: Evidence) -> list[Diagnosis]:
    versions: dict[str, list[str]] = {}
    for member in evidence.members:
        status = status_of(member)
        if status is not None:
            versions.setdefault(status.version, []).append(member.name)
    if len(versions) < _LEAST_VERSIONS:
        return []
    words = tuple(f"{', '.join(names)}: {version}" for version, names in sorted(versions.items()))
    remedy = f"kubectl get pods -n {cluster.namespace} -o wide"
    summary = "the members run different versions"
    return [Diagnosis("vault-version-skew", Severity.WARNING, summary, words, remedy)]


def _about_member(
    cluster: ClusterRef, evidence: Evidence, member: MemberEvidence, analysis: Analysis
) -> list[Diagnosis]:
    found = []
    status = status_of(member)
    assessment = analysis.assessment(member.name)
    said = assessment.evidence if assessment is not None else ()
    describe = f"kubectl describe pod {member.name} -n {cluster.namespace}"
    logs = (
        f"kubectl logs {member.name} -n {cluster.namespace} -c {evidence.stateful_set.container} --tail=200"
    )
    if status is not None and status.sealed and status.initialized:
        remedy = _kubectl(cluster, evidence, member.name, f"{_program(evidence)} operator unseal")
        found.append(("vault-sealed", Severity.CRITICAL, f"{member.name} is sealed", remedy))
    elif status is not None and not status.initialized:
        summary = f"{member.name} is empty and has joined no cluster"
        found.append(("vault-not-joined", Severity.WARNING, summary, logs))
    elif assessment is not None:
        match assessment.health:
            case Health.DOWN:
                found.append(("vault-member-down", Severity.CRITICAL, f"{member.name} is down", describe))
            case Health.LAGGING:
                summary = f"{member.name} has much still to apply"
                found.append(("vault-lagging", Severity.WARNING, summary, logs))
            case Health.NOT_STREAMING:
                summary = f"{member.name} runs, but does not follow the leader"
                found.append(("vault-not-following", Severity.CRITICAL, summary, logs))
            case Health.UNDETERMINABLE if analysis.leader or status is None:
                summary = f"the state of {member.name} cannot be told"
                found.append(("vault-member-unread", Severity.WARNING, summary, logs))
            case Health.UNDETERMINABLE | Health.HEALTHY:
                pass
    missing = tuple(f"not known: {what}" for what in assessment.missing) if assessment is not None else ()
    named = [
        Diagnosis(name, level, text, (*said, *missing), remedy, member.name)
        for name, level, text, remedy in found
    ]
    return [*named, *_disk(cluster, member), *_kept(cluster, evidence, member)]


def _kept(cluster: ClusterRef, evidence: Evidence, member: MemberEvidence) -> list[Diagnosis]:
    return [
        Diagnosis(
            "vault-restore-kept",
            Severity.INFO,
            "a restore kept what it replaced; it takes space until you remove it",
            (kept,),
            _kubectl(cluster, evidence, member.name, f"rm {kept.split()[0]}"),
            member.name,
        )
        for kept in member.kept
    ]


def _disk(cluster: ClusterRef, member: MemberEvidence) -> list[Diagnosis]:
    if not isinstance(member.volume, Known):
        return []
    volume = member.volume.value
    if volume.free >= volume.size * _LEAST_FREE:
        return []
    return [
        Diagnosis(
            "vault-disk",
            Severity.CRITICAL if volume.free == 0 else Severity.WARNING,
            f"the volume of {member.name} is almost full: a server that cannot write its log stops",
            (f"{human(volume.free)} of {human(volume.size)} free",),
            f"kubectl get pvc -n {cluster.namespace}",
            member.name,
        )
    ]


def _details(evidence: Evidence, analysis: Analysis) -> dict[str, Any]:
    details: dict[str, Any] = {
        "leader": analysis.leader or None,
        "questions": [{"kind": q.kind.value, "member": q.member, "text": q.text} for q in analysis.questions],
        "deadPeers": [match.peer.id for match in analysis.dead],
        "peers": [
            {
                "id": match.peer.id,
                "address": match.peer.address,
                "voter": match.peer.voter,
                "member": match.member or None,
                "healthy": match.watched.healthy if match.watched else None,
                "lastContactSeconds": match.watched.contact if match.watched else None,
            }
            for match in analysis.peers
        ],
    }
    left = analysis.survival
    if left is not None:
        details["survivors"] = [
            {"member": one.name, "term": one.log.term, "index": one.log.index} for one in left.survivors
        ]
    quorum = analysis.quorum
    if quorum is not None:
        details["quorum"] = {
            "voters": quorum.voters,
            "reached": quorum.reached,
            "needed": quorum.needed,
            "mayLose": quorum.spare,
        }
    claimant = evidence.member(analysis.claimant)
    status, raft = status_of(claimant), raft_of(claimant)
    if status is not None:
        details["clusterId"] = status.cluster_id
        details["seal"] = {"type": status.seal, "threshold": status.threshold, "shares": status.shares}
    if raft is not None and isinstance(raft.key_term, Known):
        details["keyTerm"] = raft.key_term.value
    return details
