"""Findings about one member. Pure."""

from __future__ import annotations

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.reading import Known
from hasteward.domain.report import Assessment, Diagnosis, Health, Severity
from hasteward_galera.analyse import LAG_SETS, Analysis, Standing, server_of
from hasteward_galera.diagnose.cluster import triage_of
from hasteward_galera.evidence import MemberEvidence
from hasteward_galera.facts.words import counted, human
from hasteward_galera.resources import CONTAINER, claim_of, flags

#: below this share of its size, a volume is called full
_LEAST_FREE = 0.1
#: a server that flow control held for more than this share of the time slows everybody
_PAUSED = 0.5

Finding = tuple[str, Severity, str, str]


def about_member(cluster: ClusterRef, member: MemberEvidence, analysis: Analysis) -> list[Diagnosis]:
    """What is wrong with one member; its state, its disk, its place."""
    assessment = analysis.assessment(member.name)
    if assessment is None:
        return []
    found = [*_state(cluster, member, assessment, analysis), *_server(cluster, member)]
    found += _surroundings(cluster, member)
    missing = tuple(f"not known: {what}" for what in assessment.missing)
    words = (*assessment.evidence, *missing)
    return [Diagnosis(name, level, text, words, remedy, member.name) for name, level, text, remedy in found]


def _describe(cluster: ClusterRef, member: MemberEvidence) -> str:
    return f"kubectl describe pod {member.name} -n {cluster.namespace}"


def _logs(cluster: ClusterRef, member: MemberEvidence) -> str:
    return f"kubectl logs {member.name} -n {cluster.namespace} -c {CONTAINER} --tail=200"


def _sql(cluster: ClusterRef, member: MemberEvidence, statement: str) -> str:
    return (
        f"kubectl exec -it {member.name} -n {cluster.namespace} -c {CONTAINER} --"
        f' mariadb -u root -p -e "{statement}"'
    )


def _state(
    cluster: ClusterRef, member: MemberEvidence, assessment: Assessment, analysis: Analysis
) -> list[Finding]:
    name, standing = member.name, analysis.verdict.standings[member.name]
    repair = f"hasteward repair {flags(cluster)} -i {member.ordinal} --dry-run"
    if standing is Standing.UNFINISHED:
        summary = f"a state transfer into {name} was never finished: what lies there is no data set (#1108)"
        return [("galera-aborted-transfer", Severity.CRITICAL, summary, repair)]
    if standing is Standing.UNJOINED:
        summary = f"{name} has data without a history: nothing says where it is from (#1701)"
        forced = f"hasteward repair {flags(cluster)} -i {member.ordinal} --force --dry-run"
        remedy = forced if analysis.verdict.components else triage_of(cluster)
        return [("galera-no-history", Severity.CRITICAL, summary, remedy)]
    match assessment.health:
        case Health.DOWN:
            remedy = triage_of(cluster) if standing is Standing.UNKNOWN else _describe(cluster, member)
            return [("galera-member-down", Severity.CRITICAL, f"{name} is down", remedy)]
        case Health.NOT_STREAMING:
            summary = f"{name} runs apart from the cluster"
            remedy = repair if analysis.verdict.components else _logs(cluster, member)
            return [("galera-member-apart", Severity.CRITICAL, summary, remedy)]
        case Health.UNDETERMINABLE:
            summary = f"the state of {name} cannot be told"
            return [("galera-member-unread", Severity.WARNING, summary, _logs(cluster, member))]
        case Health.LAGGING | Health.HEALTHY:
            return []


def _server(cluster: ClusterRef, member: MemberEvidence) -> list[Finding]:
    server, found = server_of(member), []
    if server is None:
        return []
    name = member.name
    if server.desynced:
        summary = f"{name} was told to leave flow control (wsrep_desync): it may fall behind without limit"
        remedy = _sql(cluster, member, "SET GLOBAL wsrep_desync=OFF")
        found.append(("galera-desynced", Severity.WARNING, summary, remedy))
    elif server.primary and not server.synced:
        summary = f"{name} is {server.state}: it sends or receives a state transfer"
        found.append(("galera-transfer", Severity.WARNING, summary, _logs(cluster, member)))
    if server.paused > _PAUSED or server.queue > LAG_SETS:
        summary = (
            f"{name} cannot keep up, and everybody waits for it: {counted(server.queue, 'write-set')} queued,"
            f" flow control held {server.paused:.0%} of the time"
        )
        remedy = _sql(cluster, member, "SHOW GLOBAL STATUS LIKE 'wsrep_flow%'")
        found.append(("galera-flow-control", Severity.WARNING, summary, remedy))
    if server.primary and server.synced and server.position is not None and server.view is None:
        summary = f"{name} does not say who is in its component: a split could not be seen"
        found.append(("galera-view-unread", Severity.INFO, summary, _logs(cluster, member)))
    return found


def _surroundings(cluster: ClusterRef, member: MemberEvidence) -> list[Finding]:
    found = []
    match member.volume:
        case Known(volume) if volume.free < volume.size * _LEAST_FREE:
            level = Severity.CRITICAL if volume.free == 0 else Severity.WARNING
            summary = f"the volume of {member.name} is almost full ({human(volume.free)} free)"
            found.append(("galera-disk", level, summary, f"kubectl get pvc -n {cluster.namespace}"))
        case _ if member.disk_full:
            summary = f"{member.name} stopped because its disk is full"
            remedy = f"kubectl describe pvc {claim_of(member.name)} -n {cluster.namespace}"
            found.append(("galera-disk-full", Severity.CRITICAL, summary, remedy))
        case _:
            pass
    match member.pod:
        case Known(pod) if not pod.scheduled:
            summary = (
                f"no node takes the pod of {member.name}, and the operator's recovery waits for it for ever"
            )
            found.append(("galera-unscheduled", Severity.CRITICAL, summary, _describe(cluster, member)))
        case _:
            pass
    match member.claim:
        case Known(claim) if claim.users:
            summary = f"another pod has the volume of {member.name} open: {', '.join(claim.users)}"
            remedy = f"kubectl describe pod {claim.users[0]} -n {cluster.namespace}"
            found.append(("galera-volume-in-use", Severity.WARNING, summary, remedy))
        case _:
            pass
    return found
