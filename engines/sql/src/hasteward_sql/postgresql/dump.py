r"""Writes a server as sections: roles and tablespaces, then for every database its frame and its content.

The sections in their order replay with plain ``psql``. Each database is as it was at one moment; two
databases are at two moments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import Refused
from hasteward.domain.events import PhaseStarted, Progress, Warned
from hasteward.domain.plan import Plan, Step
from hasteward.kit.orphans import end_orphans
from hasteward.kit.sections import SectionWriter
from hasteward.ports.context import DumpProof, DumpSink, EngineContext
from hasteward_sql.postgresql.client import Server, conninfo
from hasteward_sql.words import counted, human

#: the name of what `dump` writes
FORMAT = "postgresql-plain-1"
END_MARKER = b"-- PostgreSQL database dump complete"
_GLOBALS_MARKER = b"-- PostgreSQL database cluster dump complete"
#: every server has these, so a replay connects to them and does not create them
_EVERYWHERE = ("postgres", "template1")
_INVALID = -2
_DATABASES = """
SELECT coalesce(json_agg(json_build_object('name', datname, 'bytes', pg_database_size(oid),
  'dumped', datallowconn AND datconnlimit <> %d) ORDER BY datname <> 'template1', datname), '[]')
FROM pg_database WHERE datname <> 'template0'
"""


def dump(context: EngineContext, cluster: ClusterRef, server: Server, sink: DumpSink) -> DumpProof:
    """Show the plan, and push every section into `sink`."""
    if not server.superuser:
        raise Refused(
            f"{server.user} is no superuser, so it may not see everything that a backup must hold",
            hint="--db-user postgres, or the superuser of this server",
            code="dump.not_superuser",
        )
    rows: Sequence[Mapping[str, Any]] = server.query(context, _DATABASES % _INVALID)
    wanted = [row for row in rows if row["dumped"]]
    left = [str(row["name"]) for row in rows if not row["dumped"]]
    if not context.approve(_plan(cluster, server, wanted, left)):
        return DumpProof(str(server.place), server.version, (), planned_only=True)
    end_orphans(context, server.place)
    for name in left:
        context.reporter.emit(Warned("dump.excluded", f"database {name} is not part of the dump"))
    if server.in_recovery:
        text = "the server is a standby: rows of unlogged tables are not there, sequences may be ahead"
        context.reporter.emit(Warned("dump.standby", text))
    context.reporter.emit(PhaseStarted("dump", f"dumping {counted(len(wanted), 'database')}"))
    context.reporter.emit(Progress("dump", 0, about=sum(int(row["bytes"]) for row in wanted)))
    writer = SectionWriter(context, sink, server.algorithm)
    words = server.words(context, "pg_dumpall", "--globals-only", *_shared(context, server))
    writer.stream("globals", "", server.place, words, end_marker=_GLOBALS_MARKER, feed=server.feed)
    for row in wanted:
        _write_database(context, server, writer, str(row["name"]))
    catalog = {
        "databases": {str(row["name"]): {"bytes": int(row["bytes"])} for row in wanted},
        "excluded": left,
        "standby": server.in_recovery,
    }
    return DumpProof(str(server.place), server.version, writer.sections, catalog)


def _plan(
    cluster: ClusterRef, server: Server, wanted: Iterable[Mapping[str, Any]], left: Sequence[str]
) -> Plan:
    steps = [Step("write roles, their passwords, and tablespaces")]
    steps += [Step(f"dump database {row['name']} ({human(int(row['bytes']))})") for row in wanted]
    notes = ["each database is as it was at one moment, but not all at the same moment"]
    if left:
        notes.append(f"takes no connections, not dumped: {', '.join(left)}")
    title = f"dump {cluster} from PostgreSQL {server.version} in {server.place}"
    return Plan(title, tuple(steps), (), tuple(notes))


def _shared(context: EngineContext, server: Server) -> list[str]:
    options = [f"--lock-wait-timeout={round(context.tuning.lock_seconds * 1000)}"]
    key = "".join(letter for letter in context.run.id if letter.isascii() and letter.isalnum())
    return [*options, f"--restrict-key={key}"] if server.restrict_key and key else options


def _write_database(context: EngineContext, server: Server, writer: SectionWriter, name: str) -> None:
    shared = [*_shared(context, server), "-d", conninfo(name)]
    if name in _EVERYWHERE:
        writer.text("create", name, f"--\n-- {name}\n--\n\n\\connect {name}\n\n".encode())
    else:
        # no schema is left: what remains is CREATE DATABASE with its properties, and the \connect
        only = ("--create", "--schema=pg_toast", "--exclude-schema=pg_toast")
        words = server.words(context, "pg_dump", *only, *shared)
        writer.stream("create", name, server.place, words, end_marker=END_MARKER, feed=server.feed)
    words = server.words(context, "pg_dump", *shared)
    writer.stream("database", name, server.place, words, end_marker=END_MARKER, feed=server.feed)
