"""Findings about the cluster as a whole. Pure; every remedy is a command that exists."""

from __future__ import annotations

from collections.abc import Iterator

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.reading import Known
from hasteward.domain.report import Authority, Diagnosis, Severity
from hasteward_cnpg.analyse import Analysis, Doubt
from hasteward_cnpg.evidence import ClaimState, ClusterFacts, Evidence, MemberEvidence
from hasteward_cnpg.facts.lineage import rewinds
from hasteward_cnpg.facts.names import ordinal_of
from hasteward_cnpg.resources import RECONCILIATION


def findings(cluster: ClusterRef, evidence: Evidence, analysis: Analysis) -> Iterator[Diagnosis]:
    """What is to be said of the cluster, the gravest first."""
    yield from _authority(cluster, analysis)
    yield from _two_primaries(cluster, analysis)
    if isinstance(evidence.cluster, Known):
        yield from _switches(cluster, evidence.cluster.value)
    for member in evidence.members:
        yield from _rewound(cluster, member)
        yield from _claims(cluster, member)


def flags(cluster: ClusterRef) -> str:
    """The flags that name a cluster."""
    return f"-e {cluster.engine} -c {cluster.name} -n {cluster.namespace}"


def describe(cluster: ClusterRef) -> str:
    """Look at the Cluster object."""
    return f"kubectl describe clusters.postgresql.cnpg.io {cluster.name} -n {cluster.namespace}"


def _authority(cluster: ClusterRef, analysis: Analysis) -> Iterator[Diagnosis]:
    against = tuple(q.text for q in analysis.questions if q.kind in {Doubt.AHEAD, Doubt.DIVERGED})
    match analysis.authority:
        case Authority.LEADER_NOT_PRIMARY:
            leader = analysis.newest[0]
            yield Diagnosis(
                "cnpg-authority-not-primary",
                Severity.CRITICAL,
                f"the newest data is on {', '.join(analysis.newest)}, which is not the primary",
                against,
                f"kubectl cnpg promote {cluster.name} {leader} -n {cluster.namespace}"
                f"   (once {leader} runs; until then nothing may write to the primary)",
                leader,
            )
        case Authority.DIVERGED:
            branches = [one.member for one in analysis.assessments if one.branch is not None]
            ordinal = ordinal_of(branches[0]) if branches else None
            yield Diagnosis(
                "cnpg-diverged",
                Severity.CRITICAL,
                "the members have diverged: each branch holds commits that the others lack",
                against,
                f"hasteward backup {flags(cluster)} -i {ordinal}"
                "   (captures a branch; do it for each that runs)",
            )
        case Authority.PROVABLE | Authority.UNDETERMINABLE | Authority.MAJORITY_LOST:
            return


def _two_primaries(cluster: ClusterRef, analysis: Analysis) -> Iterator[Diagnosis]:
    for question in analysis.questions:
        if question.kind is Doubt.TWO_PRIMARIES:
            words = tuple(
                f"{one.member}: {word}"
                for one in analysis.assessments
                if one.role == "primary"
                for word in one.evidence
            )
            yield Diagnosis("cnpg-two-primaries", Severity.CRITICAL, question.text, words, describe(cluster))


def _switches(cluster: ClusterRef, facts: ClusterFacts) -> Iterator[Diagnosis]:
    if facts.current_primary != facts.target_primary:
        yield Diagnosis(
            "cnpg-switchover-stuck",
            Severity.WARNING,
            "a change of primary is under way; if it lasts, the target cannot take over",
            (f"currentPrimary {facts.current_primary}, targetPrimary {facts.target_primary}",),
            describe(cluster),
        )
    if facts.reconciliation_off:
        yield Diagnosis(
            "cnpg-reconciliation-off",
            Severity.WARNING,
            "the operator was told to leave this cluster alone: nothing that fails is healed",
            (f"annotation {RECONCILIATION}: disabled",),
            f"kubectl annotate clusters.postgresql.cnpg.io {cluster.name} -n {cluster.namespace}"
            f" {RECONCILIATION}-   (once the reason for it is gone)",
        )
    if facts.hibernated:
        yield Diagnosis(
            "cnpg-hibernated",
            Severity.INFO,
            "the cluster is hibernated: it has no pods, and that is what was asked for",
            ("annotation cnpg.io/hibernation: on",),
            f"kubectl cnpg hibernate off {cluster.name} -n {cluster.namespace}",
        )
    if facts.fence_note:
        yield Diagnosis(
            "cnpg-fence-unreadable",
            Severity.WARNING,
            "the list of fenced instances cannot be read, so the operator fences nobody",
            (facts.fence_note,),
            describe(cluster),
        )


def _rewound(cluster: ClusterRef, member: MemberEvidence) -> Iterator[Diagnosis]:
    """L8: a restore to an older point that nobody noticed."""
    if not isinstance(member.position, Known):
        return
    for fork in rewinds(member.position.value):
        yield Diagnosis(
            "cnpg-timeline-rewind",
            Severity.WARNING,
            f"{member.name} comes from a restore to an older point: timeline {fork.timeline} was left at"
            f" {fork.at}, before where it had begun",
            (member.position.source,),
            f"hasteward get backups -c {cluster.name} -n {cluster.namespace}",
            member.name,
        )


_CLAIMS = {
    ClaimState.PENDING: "is not bound to a volume",
    ClaimState.LOST: "has lost its volume, and the data with it",
    ClaimState.TERMINATING: "is being deleted, and goes when no pod uses it any more",
}


def _claims(cluster: ClusterRef, member: MemberEvidence) -> Iterator[Diagnosis]:
    if not isinstance(member.claim, Known) or member.claim.value is ClaimState.BOUND:
        return
    yield Diagnosis(
        f"cnpg-claim-{member.claim.value}",
        Severity.WARNING,
        f"the volume claim of {member.name} {_CLAIMS[member.claim.value]}",
        (f"persistentvolumeclaim {member.name}: {member.claim.value}",),
        f"kubectl describe pvc {member.name} -n {cluster.namespace}",
        member.name,
    )
