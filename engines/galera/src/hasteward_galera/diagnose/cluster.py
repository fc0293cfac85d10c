"""Findings about the cluster as a whole. Pure."""

from __future__ import annotations

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.reading import Known
from hasteward.domain.report import Diagnosis, Severity
from hasteward_galera.analyse import Analysis, Choice, Doubt, choose, server_of
from hasteward_galera.evidence import Evidence
from hasteward_galera.resources import CONTAINER, ZERO, flags

_LEAST = 2
_SPLITS = {
    Doubt.TWO_COMPONENTS: ("galera-two-components", "the cluster has split: two parts take writes"),
    Doubt.OTHER_HISTORY: ("galera-other-history", "a member has another history than the others"),
    Doubt.OWN_BRANCH: ("galera-own-branch", "a member holds, or may hold, what the others lack"),
}


def triage_of(cluster: ClusterRef) -> str:
    """The command that looks deeper."""
    return f"hasteward triage {flags(cluster)} --deep"


def patch_of(cluster: ClusterRef, merge: str) -> str:
    """The command that changes the MariaDB object."""
    return f"kubectl patch mariadb {cluster.name} -n {cluster.namespace} --type merge -p '{merge}'"


def about_cluster(cluster: ClusterRef, evidence: Evidence, analysis: Analysis) -> list[Diagnosis]:
    """Splits, no Primary component, versions, and what a scale-down would delete."""
    return [
        *_splits(cluster, analysis),
        *_no_primary(cluster, evidence, analysis),
        *_zero(cluster, evidence),
        *_versions(cluster, evidence),
        *_retention(cluster, evidence),
    ]


def _splits(cluster: ClusterRef, analysis: Analysis) -> list[Diagnosis]:
    found = []
    for question in analysis.verdict.questions:
        if question.kind not in _SPLITS:
            continue
        name, summary = _SPLITS[question.kind]
        assessment = analysis.assessment(question.member)
        if assessment is not None and analysis.verdict.components:
            remedy = f"hasteward repair {flags(cluster)} -i {assessment.ordinal} --force --dry-run"
        else:
            remedy = triage_of(cluster)
        found.append(Diagnosis(name, Severity.CRITICAL, summary, (question.text,), remedy, question.member))
    return found


def _no_primary(cluster: ClusterRef, evidence: Evidence, analysis: Analysis) -> list[Diagnosis]:
    if analysis.verdict.components:
        return []
    alive = [member.name for member in evidence.members if server_of(member) is not None]
    start = choose(evidence, analysis.verdict)
    name = "galera-not-primary" if alive else "galera-all-down"
    summary = (
        "servers run, and none is Primary: nothing can be read or written" if alive else "no server runs"
    )
    return [Diagnosis(name, Severity.CRITICAL, summary, (start.reason,), _start(cluster, start, alive))]


def _zero(cluster: ClusterRef, evidence: Evidence) -> list[Diagnosis]:
    """Servers that were started without their positions agree that they have none, and serve."""
    names = [
        m.name for m in evidence.members if (s := server_of(m)) is not None and s.primary and s.uuid == ZERO
    ]
    if not names:
        return []
    summary = "the servers are Primary under a UUID of zeros: they never compared what they hold"
    words = (f"wsrep_cluster_state_uuid is {ZERO} on {', '.join(names)}",)
    remedy = f"kubectl logs {names[0]} -n {cluster.namespace} -c {CONTAINER} --tail=200"
    return [Diagnosis("galera-zero-history", Severity.CRITICAL, summary, words, remedy)]


def _start(cluster: ClusterRef, start: object, alive: list[str]) -> str:
    if not isinstance(start, Choice):
        return triage_of(cluster)
    if start.member in alive:
        sql = "SET GLOBAL wsrep_provider_options='pc.bootstrap=YES'"
        return (
            f"kubectl exec -it {start.member} -n {cluster.namespace} -c {CONTAINER} --"
            f' mariadb -u root -p -e "{sql}"'
        )
    force = '{"spec":{"galera":{"recovery":{"forceClusterBootstrapInPod":"' + start.member + '"}}}}'
    return f"{patch_of(cluster, force)}   (and set it to null when the cluster is back)"


def _versions(cluster: ClusterRef, evidence: Evidence) -> list[Diagnosis]:
    versions: dict[str, list[str]] = {}
    for member in evidence.members:
        server = server_of(member)
        if server is not None:
            versions.setdefault(server.version, []).append(member.name)
    if len(versions) < _LEAST:
        return []
    words = tuple(f"{', '.join(names)}: {version}" for version, names in sorted(versions.items()))
    remedy = f"kubectl get pods -n {cluster.namespace} -l app.kubernetes.io/instance={cluster.name} -o wide"
    summary = "the members run different versions: a transfer of state from the newer one cannot be read"
    return [Diagnosis("galera-mixed-versions", Severity.WARNING, summary, words, remedy)]


def _retention(cluster: ClusterRef, evidence: Evidence) -> list[Diagnosis]:
    match evidence.stateful_set:
        case Known(found) if found.deletes_claims:
            pass
        case _:
            return []
    clean = '{"spec":{"storage":{"pvcRetentionPolicy":{"whenScaled":"Retain"}}}}'
    worst = _urgency(evidence)
    return [
        Diagnosis(
            "galera-scale-down-deletes",
            worst,
            "scaling down deletes volumes, and the operator's recovery scales to 0: all data would be gone",
            ("persistentVolumeClaimRetentionPolicy.whenScaled of the StatefulSet is Delete",),
            patch_of(cluster, clean),
        )
    ]


def _urgency(evidence: Evidence) -> Severity:
    """A recovery that is about to begin makes it urgent."""
    return Severity.CRITICAL if evidence.cluster.latched else Severity.WARNING


__all__ = ["about_cluster", "patch_of", "triage_of"]
