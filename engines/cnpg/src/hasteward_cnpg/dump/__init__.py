"""Chooses the member to dump; the dump itself is `hasteward_sql.postgresql.dump`."""

from __future__ import annotations

from typing import Any

from hasteward.domain.cluster import ClusterRef
from hasteward.ports.context import DumpOptions, DumpProof, DumpSink, EngineContext
from hasteward_cnpg.analyse import analyse
from hasteward_cnpg.collect import collect
from hasteward_cnpg.collect.login import login_of
from hasteward_cnpg.dump.choose import Choice, choose, primary_instead
from hasteward_cnpg.evidence import Evidence
from hasteward_cnpg.plan import dump_plan
from hasteward_cnpg.resources import pod_of
from hasteward_sql.postgresql.collect.catalog import read_globals
from hasteward_sql.postgresql.collect.replica import unlogged_tables
from hasteward_sql.postgresql.dump import Source, choose_databases, write
from hasteward_sql.postgresql.facts.release import Release


def dump(context: EngineContext, cluster: ClusterRef, sink: DumpSink, options: DumpOptions) -> DumpProof:
    """Choose a member, show the plan, and push every section into `sink`."""
    evidence = collect(context, cluster)
    analysis = analyse(evidence)
    choice = choose(context, cluster, evidence, analysis, options.instance)
    login = login_of(pod_of(cluster, choice.member))
    found = read_globals(context, login)
    databases = choose_databases(found)
    unlogged: list[str] = []
    if choice.server.in_recovery:
        unlogged = unlogged_tables(context, login, databases.names)
    if unlogged and options.instance is None:
        because = f"unlogged tables are only there ({', '.join(unlogged)})"
        choice = primary_instead(context, cluster, evidence, analysis, because)
        login = login_of(pod_of(cluster, choice.member))
    plan = dump_plan(
        cluster,
        member=choice.member,
        why=choice.why,
        databases=databases.sizes,
        excluded=databases.excluded,
        doubt=analysis.reason if analysis.questions else "",
    )
    if not context.approve(plan):
        return DumpProof(choice.member, choice.server.version, (), planned_only=True)
    source = Source(
        login,
        Release(choice.server.version, choice.server.version_number),
        in_recovery=choice.server.in_recovery,
        primary=login_of(pod_of(cluster, analysis.primary)) if analysis.primary else None,
        memory_limit=choice.memory_limit,
        parameters="spec.postgresql.parameters",
    )
    writer, catalog = write(context, source, sink, found, databases, unlogged=unlogged)
    return DumpProof(
        choice.member, choice.server.version, writer.sections, catalog | _position(evidence, choice)
    )


def _position(evidence: Evidence, choice: Choice) -> dict[str, Any]:
    """``primary`` (a name), ``timeline`` (a number) and ``lsn`` (text), as they were before the dump."""
    primary = getattr(getattr(evidence.cluster, "value", None), "current_primary", "")
    position = choice.server.replayed if choice.server.in_recovery else choice.server.current
    return {"primary": primary, "timeline": choice.server.timeline, "lsn": str(position)}
