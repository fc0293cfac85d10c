"""Writes a server as sections: accounts, then for every schema its tables, programs and views.

Tables of one schema are as they were at one moment; two schemas are at two moments. What belongs to the
server itself (``mysql.*`` with ``global_priv`` and ``wsrep_*``) is not dumped: accounts are statements, so
that a restore creates the missing ones and leaves the passwords of the others alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import Refused, Unproven
from hasteward.domain.events import PhaseStarted, Progress, Warned
from hasteward.domain.plan import Plan, Step
from hasteward.kit.orphans import end_orphans
from hasteward.kit.sections import SectionWriter
from hasteward.kit.streaming import download
from hasteward.ports.context import DumpProof, DumpSink, EngineContext
from hasteward_sql.mysql.catalog import (
    Account,
    Crossing,
    Schema,
    is_ours,
    read_accounts,
    read_all,
    read_marks,
    read_schemas,
)
from hasteward_sql.mysql.client import Server
from hasteward_sql.mysql.quoting import identifier
from hasteward_sql.mysql.state import died_at, whose
from hasteward_sql.words import counted, human

#: the name of what `dump` writes
FORMAT = "mysql-sections-1"
END_MARKER = b"-- Dump completed"
_HEADER = b"""--
-- MySQL or MariaDB schemas and accounts, written by hasteward; replays with the server's own client
--

SET NAMES utf8mb4;

"""
_SMALL = 64 * 1024 * 1024


def dump(context: EngineContext, cluster: ClusterRef, server: Server, sink: DumpSink) -> DumpProof:
    """Show the plan, and push every section into `sink`."""
    found = read_schemas(context, server)
    _refuse_half_swapped(context, server, found)
    schemas = [schema for name, schema in found.items() if not is_ours(name)]
    excluded = [name for name in found if is_ours(name)]
    if not schemas:
        raise Refused(
            f"the server in {server.place} has no schema of a user: a backup of it would hide what was lost",
            hint="look whether it is the right server, and whether its volume is mounted",
            code="dump.empty",
        )
    if not context.approve(_plan(cluster, server, schemas, excluded)):
        return DumpProof(str(server.place), server.version, (), planned_only=True)
    context.reporter.emit(PhaseStarted("dump", f"dumping {counted(len(schemas), 'schema')}"))
    context.reporter.emit(Progress("dump", 0, about=sum(schema.size for schema in schemas)))
    # the repository makes itself ready while the rest is asked
    writer = SectionWriter(context, sink, server.algorithm)
    writer.text("header", "", _HEADER)
    end_orphans(context, server.place)
    _warn(context, schemas, excluded)
    accounts = read_accounts(context, server)
    for account in accounts:
        writer.text("account", account.name, f"{account.create};\n".encode())
    for schema in schemas:
        _write_schema(context, server, writer, schema)
    for account in accounts:
        writer.text("grants", account.name, _statements(account.grants))
    after, crossings = read_all(context, server)
    catalog = _catalog(server, schemas, accounts, excluded, crossings=crossings)
    for schema in schemas:
        if after.get(schema.name, schema).counts != schema.counts:
            text = f"objects of schema {schema.name} came or went during its dump; their numbers are not kept"
            context.reporter.emit(Warned("dump.counts", text))
            catalog["schemas"][schema.name]["counts"] = None
    return DumpProof(str(server.place), server.version, writer.sections, catalog)


def _refuse_half_swapped(context: EngineContext, server: Server, found: Mapping[str, Schema]) -> None:
    """A backup of half a restore would be of something that never was."""
    marks = {name: read_marks(context, server, name) for name in found if is_ours(name)}
    kept, loading = whose(marks)
    run, half = died_at(kept, loading), next((one.name for one in kept if one.half), "")
    if not run and not half:
        return
    about = (
        f"schema {half} holds what it had set aside, and the live schema may be without its triggers"
        if half
        else f"some schemas are what run {run} restored, and others what was there before it"
    )
    raise Refused(
        f"a restore was interrupted between two acts: {about}",
        hint=f"run that hasteward restore again: it puts this in order first; or hasteward undo {run}",
        code="dump.half_restored",
    )


def _plan(cluster: ClusterRef, server: Server, schemas: Iterable[Schema], excluded: list[str]) -> Plan:
    steps = [Step("write the statements that make the accounts, roles and grants")]
    steps += [
        Step(f"dump schema {schema.name} ({human(schema.size)}) in one transaction") for schema in schemas
    ]
    notes = ["each schema is as it was at one moment, but not all at the same moment"]
    if excluded:
        notes.append(f"kept by earlier restores, not dumped: {', '.join(excluded)}")
    return Plan(
        f"dump {cluster} from {server.flavour} {server.version} in {server.place}",
        tuple(steps),
        (),
        tuple(notes),
    )


def _warn(context: EngineContext, schemas: Iterable[Schema], excluded: Iterable[str]) -> None:
    for name in excluded:
        context.reporter.emit(Warned("dump.excluded", f"schema {name} is not part of the dump"))
    for schema in schemas:
        if schema.unsafe:
            tables = ", ".join(schema.unsafe)
            text = f"tables of {schema.name} without transactions may be seen half-changed: {tables}"
            context.reporter.emit(Warned("dump.no_transactions", text))
        if schema.versioned:
            tables = ", ".join(schema.versioned)
            text = f"of versioned tables of {schema.name} only current rows are dumped: {tables}"
            context.reporter.emit(Warned("dump.versioned", text))


def _statements(lines: Collection[str]) -> bytes:
    return "".join(f"{line};\n" for line in lines).encode() or b"-- nothing was granted\n"


def create_sql(schema: Schema) -> bytes:
    """The schema itself; a replay then continues in it."""
    name = identifier(schema.name)
    charset = f"CHARACTER SET {schema.charset} COLLATE {schema.collation}"
    return f"\nCREATE DATABASE IF NOT EXISTS {name} {charset};\nUSE {name};\n\n".encode()


def _shared(server: Server) -> list[str]:
    """Options of every dump, as far as this server's own program has them."""
    wanted = ("--set-gtid-purged=OFF", "--column-statistics=0")
    found = [each for each in wanted if each[2:].partition("=")[0].encode() in server.dumper_help]
    return [*found, "--skip-dump-date", "--hex-blob", "--no-tablespaces", "--skip-add-locks"]


def tables_argv(server: Server, schema: Schema) -> list[str]:
    """Tables with their rows, in one transaction; no LOCK TABLES in it, no triggers, no views."""
    hidden = [f"--ignore-table={schema.name}.{view}" for view in schema.views]
    options = ["--single-transaction", "--quick", "--skip-triggers", "--skip-add-drop-table", *hidden]
    return server.dump_words([*_shared(server), *options, "--", schema.name])


def programs_argv(server: Server, schema: Schema) -> list[str]:
    """Triggers, routines and events."""
    only = ["--skip-opt", "--no-data", "--no-create-info", "--no-create-db"]
    kinds = ["--triggers", "--routines", "--events"]
    return server.dump_words([*_shared(server), *only, *kinds, "--", schema.name])


def views_argv(server: Server, schema: Schema) -> list[str]:
    """Views; each is first made as an empty one, so that their order does not matter."""
    only = ["--no-data", "--skip-triggers", "--skip-add-drop-table"]
    return server.dump_words([*_shared(server), *only, "--", schema.name, *schema.sound_views])


def _write_schema(context: EngineContext, server: Server, writer: SectionWriter, schema: Schema) -> None:
    name = schema.name
    writer.text("schema", name, create_sql(schema))
    writer.stream(
        "tables",
        name,
        server.place,
        tables_argv(server, schema),
        end_marker=END_MARKER,
        feed=server.feed,
    )
    programs, views = read_definitions(context, server, schema)
    writer.text("programs", name, programs)
    writer.text("views", name, views)


def read_definitions(context: EngineContext, server: Server, schema: Schema) -> tuple[bytes, bytes]:
    """Programs and views of a schema as statements, proven; views that the server calls broken are named."""
    if schema.broken:
        names = ", ".join(schema.broken)
        text = f"views of {schema.name} refer to what is not there, so no dump can hold them: {names}"
        context.reporter.emit(Warned("dump.broken_views", text))
    programs, views = b"-- no programs\n", b"-- no views\n"
    if schema.triggers or schema.routines or schema.events:
        programs = _small(context, server, programs_argv(server, schema), f"the programs of {schema.name}")
    if schema.sound_views:
        views = _small(context, server, views_argv(server, schema), f"the views of {schema.name}")
    return programs, views


def _small(context: EngineContext, server: Server, argv: list[str], what: str) -> bytes:
    parts = bytearray()

    def keep(data: bytes | memoryview) -> None:
        if len(parts) + len(data) > _SMALL:
            raise Unproven(f"{what} are more than {human(_SMALL)}")
        parts.extend(data)

    download(context, server.place, argv, keep, what=what, algorithm=server.algorithm, feed=server.feed)
    if END_MARKER not in parts[-512:]:
        raise Unproven(f"{what} do not end with {END_MARKER.decode()!r}", code="proof.end_marker")
    return bytes(parts)


def _catalog(
    server: Server,
    schemas: Iterable[Schema],
    accounts: Iterable[Account],
    excluded: list[str],
    *,
    crossings: Iterable[Crossing],
) -> dict[str, Any]:
    """The engine's part of the manifest: names and numbers, never a password."""
    return {
        "flavour": server.flavour.value,
        "lower_case_table_names": server.lower_case,
        "schemas": {
            schema.name: {
                "charset": schema.charset,
                "collation": schema.collation,
                "bytes": schema.size,
                "tables": dict(schema.tables),
                "counts": schema.counts,
            }
            for schema in schemas
        },
        "crossings": [
            {"schema": one.schema, "table": one.table, "key": one.key, "target": one.target}
            for one in crossings
        ],
        "accounts": [account.name for account in accounts],
        "excluded": excluded,
        "galera": server.galera,
    }
