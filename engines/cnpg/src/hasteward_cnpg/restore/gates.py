"""Every reason not to restore. Each names the evidence, the rule and the next command; nothing is touched."""

from __future__ import annotations

from collections.abc import Sequence

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import Refused
from hasteward.domain.reading import Known
from hasteward.kit.reading import short
from hasteward.ports.context import EngineContext
from hasteward_cnpg.analyse import Analysis, Doubt
from hasteward_cnpg.collect.room import volumes_each
from hasteward_cnpg.evidence import ClusterFacts, Evidence, ServerFacts
from hasteward_cnpg.facts.room import human
from hasteward_cnpg.resources import pod_of
from hasteward_sql.postgresql.restore.gates import room_needed
from hasteward_sql.postgresql.restore.target import Item


def triage_command(cluster: ClusterRef) -> str:
    """The command that shows what a refusal rests on."""
    return f"hasteward triage -e {cluster.engine} -c {cluster.name} -n {cluster.namespace}"


def check_cluster(
    cluster: ClusterRef, evidence: Evidence, analysis: Analysis, *, force: bool
) -> tuple[str, ServerFacts, list[str]]:
    """The primary to restore to, its server, and what the plan must say about doubts that were overridden."""
    if isinstance(evidence.cluster, Known):
        _check_switches(cluster, evidence.cluster.value)
    notes = _check_authority(cluster, analysis, force=force)
    member = evidence.member(analysis.primary)
    if member is None or not isinstance(member.server, Known):
        raise Refused(
            f"no member of {cluster.namespace}/{cluster.name} is proven to be its primary: {analysis.reason}",
            hint=triage_command(cluster),
            code="restore.no_primary",
        )
    return member.name, member.server.value, notes


def _check_switches(cluster: ClusterRef, facts: ClusterFacts) -> None:
    describe = f"kubectl describe clusters.postgresql.cnpg.io {cluster.name} -n {cluster.namespace}"
    if facts.fenced or facts.fence_note:
        names = ", ".join(sorted(facts.fenced))
        raise Refused(
            f"instances are fenced ({names or facts.fence_note}); whoever did that had a reason,"
            " and a fenced member may hold data the primary does not have",
            hint=describe,
            code="restore.fenced",
        )
    if facts.hibernated:
        raise Refused(
            "the cluster is hibernated; its servers do not run", hint=describe, code="restore.hibernated"
        )
    if facts.current_primary != facts.target_primary:
        raise Refused(
            f"a change of primary is under way (currentPrimary {facts.current_primary or 'not set'},"
            f" targetPrimary {facts.target_primary or 'not set'}); a restore waits until it is over",
            hint=describe,
            code="restore.switchover",
        )


def _check_authority(cluster: ClusterRef, analysis: Analysis, *, force: bool) -> list[str]:
    if not analysis.questions:
        return []
    down_only = all(question.kind is Doubt.MEMBER_DOWN for question in analysis.questions)
    if down_only and force:
        return [f"FORCED past: {question.text}" for question in analysis.questions]
    rule = "a restore needs proof that the primary holds the newest data"
    if down_only:
        rule += "; --force goes past members that are down, and only past those"
    raise Refused(f"{analysis.reason}; {rule}", hint=triage_command(cluster), code="restore.authority")


def check_space(
    context: EngineContext,
    cluster: ClusterRef,
    evidence: Evidence,
    items: Sequence[Item],
    log_growth: int,
) -> list[str]:
    """Both copies must fit on every member that runs, and the log of the load: a full volume stops a server.

    Where the log is held back beyond that, by an archive or a slot, the plan only tells.
    """
    data_need, log_need = room_needed(items, log_growth)
    notes = []
    running = [member for member in evidence.members if isinstance(member.server, Known)]
    found = volumes_each(short(context), [pod_of(cluster, member.name) for member in running])
    for member, volumes in zip(running, found, strict=True):
        if isinstance(volumes, Exception):
            raise _unread(cluster, member.name, volumes) from volumes
        data, log = volumes
        shared = log.device == data.device
        _enough(member.name, data.free, data_need + (log_need if shared else 0), "data")
        if not shared:
            _enough(member.name, log.free, log_need, "log")
            if log.free < data_need:
                notes.append(f"the log volume of {member.name} has {human(log.free)} free; watch it")
    return notes


def _unread(cluster: ClusterRef, member: str, error: Exception) -> Refused:
    return Refused(
        f"the free space of {member} could not be read ({error})",
        hint=f"kubectl describe pod {member} -n {cluster.namespace}",
        code="restore.space_unread",
    )


def _enough(member: str, free: int, need: int, what: str) -> None:
    if free < need:
        field = "storage" if what == "data" else "walStorage"
        raise Refused(
            f"{member} has {human(free)} free on its {what} volume; the restore needs {human(need)}"
            " beside the live data",
            hint=f"enlarge spec.{field}.size of the Cluster, or restore fewer databases",
            code="restore.space",
        )
