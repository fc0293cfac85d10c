"""A bare PostgreSQL; the dump itself is `hasteward_sql.postgresql.dump`."""

from __future__ import annotations

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import Refused
from hasteward.domain.plan import Plan, Step
from hasteward.domain.reading import Known
from hasteward.ports.context import DumpProof, DumpSink, EngineContext
from hasteward_sql.postgresql.collect.catalog import read_counts, read_globals
from hasteward_sql.postgresql.collect.replica import unlogged_tables
from hasteward_sql.postgresql.collect.room import free_memory
from hasteward_sql.postgresql.collect.server import Server
from hasteward_sql.postgresql.dump import Choice, Source, choose_databases, write
from hasteward_sql.postgresql.facts.room import producer_limit
from hasteward_sql.postgresql.names import EVERYWHERE
from hasteward_sql.words import human


def dump(context: EngineContext, cluster: ClusterRef, server: Server, sink: DumpSink) -> DumpProof:
    """Show the plan, and push every section into `sink`."""
    login = server.login
    if not server.superuser:
        raise Refused(
            f"{login.user} is no superuser, so it may not see everything that a backup must hold",
            hint="--db-user postgres, or the superuser of this server",
            code="dump.not_superuser",
        )
    found = read_globals(context, login)
    databases = choose_databases(found)
    _refuse_empty(context, server, databases)
    unlogged = unlogged_tables(context, login, databases.names) if server.in_recovery else []
    if not context.approve(_plan(cluster, server, databases)):
        return DumpProof(str(login.place), server.release.text, (), planned_only=True)
    free = free_memory(context, login.place, str(login.place))
    source = Source(
        login,
        server.release,
        in_recovery=server.in_recovery,
        memory_limit=producer_limit(free.value) if isinstance(free, Known) else 0,
    )
    writer, catalog = write(context, source, sink, found, databases, unlogged=unlogged)
    catalog |= {"standby": server.in_recovery}
    return DumpProof(str(login.place), server.release.text, writer.sections, catalog)


def _refuse_empty(context: EngineContext, server: Server, databases: Choice) -> None:
    """A server as initdb makes it: whoever backs that up has lost something."""
    if set(databases.names) - set(EVERYWHERE):
        return
    if any(read_counts(context, server.login, name)["tables"] for name in databases.names):
        return
    raise Refused(
        f"the server in {server.login} has no database of a user and not one table: a backup of it would hide"
        " what was lost",
        hint="look whether it is the right server, and whether its volume is mounted",
        code="dump.empty",
    )


def _plan(cluster: ClusterRef, server: Server, databases: Choice) -> Plan:
    steps = [Step("read roles, their passwords, memberships and tablespaces")]
    steps += [Step(f"dump database {name} (about {human(size)} on disk)") for name, size in databases.sizes]
    notes = ["each database is as it was at one moment, but not all at the same moment"]
    if databases.excluded:
        notes.append(f"not dumped: {', '.join(databases.excluded)} (closed, or left by a restore)")
    if server.in_recovery:
        notes.append(
            "the server is a standby: sequences may be ahead, and rows of unlogged tables are not there"
        )
    title = f"dump {cluster} from PostgreSQL {server.release.text} in {server.login}"
    return Plan(title, tuple(steps), (), tuple(notes))
