"""Dumps the least loaded Synced member, schema by schema, and says between which positions.

Nothing is switched for it: a desynced member that a killed run left behind would be a third state, and a
dump in one transaction holds up nobody's writes.
"""

from __future__ import annotations

from dataclasses import replace

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import Unproven
from hasteward.domain.reading import Known
from hasteward.kit.notes import noted
from hasteward.ports.context import DumpOptions, DumpProof, DumpSink, EngineContext
from hasteward_galera.analyse import analyse
from hasteward_galera.collect import collect, read_server
from hasteward_galera.collect.login import demand
from hasteward_galera.dump.choose import choose_member
from hasteward_galera.evidence import ServerFacts
from hasteward_galera.resources import flags, pod_of
from hasteward_sql import mysql


def dump(context: EngineContext, cluster: ClusterRef, sink: DumpSink, options: DumpOptions) -> DumpProof:
    """Show the plan, dump, and prove that the member was in one component all the while."""
    evidence = collect(context, cluster)
    chosen = choose_member(cluster, evidence, analyse(evidence), options.instance)
    word = demand(context, cluster, evidence.cluster)
    server = mysql.connect(context, pod_of(cluster, chosen.member), user="root", password=word)
    proof = mysql.dump(noted(context, chosen.notes), cluster, server, sink)
    proof = replace(proof, member=chosen.member)
    if proof.planned_only:
        return proof
    before = chosen.server
    after = _after(context, cluster, chosen.member, word, before)
    bracket = {"uuid": before.uuid, "first": before.seqno, "last": after.seqno}
    return replace(proof, catalog=proof.catalog | {"wsrep": bracket})


def _after(
    context: EngineContext, cluster: ClusterRef, member: str, word: str, before: ServerFacts
) -> ServerFacts:
    """Where the member is now; Unproven when it was thrown out of its component, or joined another."""
    found = read_server(context, cluster, member, word)
    if not isinstance(found, Known):
        raise Unproven(
            f"where {member} is after the dump could not be read: {found}",
            hint="nothing was kept; run the same command again",
            code="dump.position",
        )
    after = found.value
    same = after.uuid == before.uuid and after.node == before.node and after.seqno >= before.seqno
    if not same or after.primary != before.primary:
        raise Unproven(
            f"{member} left its component while it was dumped ({before.uuid[:8]}:{before.seqno} before,"
            f" {after.uuid[:8]}:{after.seqno} after)",
            hint=f"hasteward triage {flags(cluster)}",
            code="dump.moved",
        )
    return after
