"""Restores into the running cluster: beside what is live, compared on every member, then swapped.

A RENAME goes through Galera as one act in one total order, so every member swaps at the same place of its
history. What is loaded is compared by checksum on every member before that: nobody writes there yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import Unproven
from hasteward.domain.events import StepDone, Warned
from hasteward.domain.reading import Known
from hasteward.kit.notes import noted
from hasteward.ports.context import EngineContext, RestoreOptions, RestoreOutcome, RestoreSource
from hasteward_galera.analyse import analyse
from hasteward_galera.collect import collect, read_servers
from hasteward_galera.collect.login import demand
from hasteward_galera.facts.words import counted, listed
from hasteward_galera.resources import pod_of
from hasteward_galera.restore.gates import Target, check_room, find_target
from hasteward_sql import mysql
from hasteward_sql.mysql.catalog import read_schemas
from hasteward_sql.mysql.quoting import qualified

#: a member shows what was told to another only after it has applied it
_WAIT = "SET SESSION wsrep_sync_wait = 15"


def restore(
    context: EngineContext, cluster: ClusterRef, source: RestoreSource, options: RestoreOptions
) -> RestoreOutcome:
    """Check every gate, show the plan, load, compare everywhere, swap, and see that the members agree."""
    evidence = collect(context, cluster)
    target = find_target(cluster, evidence, analyse(evidence), options)
    check_room(cluster, evidence, target, source.manifest, options)
    word = demand(context, cluster, evidence.cluster)
    server = mysql.connect(context, pod_of(cluster, target.member), user="root", password=word)
    members = _Members(cluster, target, server)
    outcome = mysql.restore(noted(context, target.notes), cluster, server, source, options, group=members)
    if outcome.planned_only:
        return outcome
    return replace(outcome, checks=(*outcome.checks, *_afterwards(context, cluster, target, word)))


@dataclass(frozen=True, slots=True)
class _Members:
    """Every member of the component, asked for the checksums of what was loaded through one of them."""

    cluster: ClusterRef
    target: Target
    server: mysql.Server

    def agree(self, context: EngineContext, schemas: Sequence[str]) -> list[str]:
        """Unproven unless the checksums of every table are the same everywhere.

        All count at the same time; a table that one of them has not is a checksum that differs.
        """
        found_tables = read_schemas(context, self.server)
        tables = [
            qualified(schema, table) for schema in schemas for table in sorted(found_tables[schema].content)
        ]
        found = self._checksums(context, tables)
        first = found[self.target.member]
        for name, sums in found.items():
            if sums != first:
                differ = sorted(set(sums) ^ set(first))[:4]
                raise Unproven(
                    f"{name} does not hold what was loaded through {self.target.member}: {', '.join(differ)}",
                    hint="nothing was made live; hasteward triage says how the members are",
                    code="restore.members_differ",
                )
        text = f"{listed(tuple(found))} agree on the checksums of {counted(len(first), 'table')}"
        context.reporter.emit(StepDone("restore", text))
        return [text]

    def _checksums(self, context: EngineContext, tables: list[str]) -> dict[str, list[str]]:
        names = (self.target.member, *self.target.others)
        servers = [replace(self.server, place=pod_of(self.cluster, name)) for name in names]
        found: dict[str, list[str]] = {name: [] for name in names}
        for batch in mysql.batches(tables):
            answers = mysql.plain_each(context, servers, f"{_WAIT}; CHECKSUM TABLE {', '.join(batch)}")
            for name, answer in zip(names, answers, strict=True):
                found[name] += answer.splitlines()
        return found


def _afterwards(context: EngineContext, cluster: ClusterRef, target: Target, word: str) -> list[str]:
    """Whether every member is still in the component after the swap; a warning names those that are not."""
    found = read_servers(context, cluster, (target.member, *target.others), word)
    gone = [
        name
        for name, server in found.items()
        if not isinstance(server, Known) or not server.value.synced or server.value.uuid != target.uuid
    ]
    if gone:
        text = f"{listed(tuple(gone))} did not come through the restore Synced; the others have it"
        context.reporter.emit(Warned("restore.member_lost", text))
        return []
    return [f"{listed((target.member, *target.others))} are Synced after it"]
