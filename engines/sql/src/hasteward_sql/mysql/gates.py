"""Every reason not to restore. Each names the evidence and the next command; nothing is touched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hasteward.domain.errors import InvalidInput, Refused
from hasteward.domain.manifest import Manifest
from hasteward.kit.streaming import capture
from hasteward.ports.context import EngineContext, RestoreOptions
from hasteward_sql.mysql.catalog import Crossing, Schema, read_crossings
from hasteward_sql.mysql.client import Flavour, Server, shown
from hasteward_sql.words import counted, human

_EXPORT = "hasteward export writes the snapshot to a file, to be loaded by hand"
_ROOM = 1.3


def check_source(manifest: Manifest, options: RestoreOptions) -> list[str]:
    """The names of the schemas to restore."""
    have = list(manifest.catalog.get("schemas", {}))
    unknown = [name for name in options.databases if name not in have]
    if unknown:
        raise InvalidInput(
            f"the snapshot has no schema {', '.join(unknown)}",
            hint=f"name one that it has: {', '.join(have) or 'none'}",
            code="restore.no_such_database",
        )
    wanted = [name for name in have if not options.databases or name in options.databases]
    if not wanted:
        raise InvalidInput("the snapshot has no schema of a user", code="restore.nothing")
    for name in wanted:
        if any(manifest.section(f"{kind}:{name}") is None for kind in ("tables", "programs", "views")):
            raise Refused(
                f"the manifest has not every section of {name}",
                hint="choose another snapshot: hasteward get backups",
                code="restore.no_section",
            )
    return wanted


def check_server(
    context: EngineContext,
    server: Server,
    manifest: Manifest,
    options: RestoreOptions,
    *,
    grouped: bool = False,
) -> None:
    """Whether this server can take the snapshot at all; `grouped` when somebody looks after the members."""
    flavour = Flavour(manifest.catalog.get("flavour", Flavour.MYSQL))
    if flavour is not server.flavour:
        raise Refused(
            f"the snapshot is of {flavour}, and the server in {server.place} is {server.flavour}",
            hint=_EXPORT,
            code="restore.flavour",
        )
    was = tuple(int(n) for n in manifest.server_version.split("-")[0].split(".")[:2] if n.isdigit())
    if server.release[:2] < was and not options.force:
        raise Refused(
            f"the snapshot is of version {manifest.server_version}, and the server has {server.version}",
            hint="restore into the same or a newer version; --force tries it all the same",
            code="restore.version",
        )
    lower_case = manifest.catalog.get("lower_case_table_names")
    if lower_case != server.lower_case:
        raise Refused(
            f"lower_case_table_names was {lower_case} and is {server.lower_case}: names would differ",
            hint=_EXPORT,
            code="restore.lower_case",
        )
    check_role(context, server, force=options.force, grouped=grouped)


def check_role(context: EngineContext, server: Server, *, force: bool, grouped: bool = False) -> None:
    """Whether tables may be renamed in it at all; `grouped` when somebody looks after the other members."""
    settings = _variables(context, server, "read_only", "wsrep_on")
    if settings.get("wsrep_on") == "ON" and not grouped:
        raise Refused(
            "this server is part of a Galera cluster, so what the other members make of it has to be watched",
            hint="restore it as a cluster, with the engine that knows it",
            code="restore.galera",
        )
    if settings.get("read_only", "OFF") not in {"OFF", "0"} and not force:
        raise Refused(
            "the server is read-only (read_only), so it is probably a replica",
            hint="restore into its primary; --force if this is the server you mean",
            code="restore.read_only",
        )
    prepared = [line for line in server.plain(context, "XA RECOVER").split("\n") if line]
    if prepared:
        raise Refused(
            f"{counted(len(prepared), 'prepared transaction')} (XA RECOVER) would hold the tables",
            hint="commit or roll them back first",
            code="restore.prepared",
        )


def _variables(context: EngineContext, server: Server, *names: str) -> dict[str, str]:
    listed = ", ".join(f"'{name}'" for name in names)
    answer = server.plain(context, f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({listed})")
    return dict(line.split("\t", 1) for line in answer.split("\n") if "\t" in line)


def check_crossings(
    context: EngineContext, server: Server, manifest: Manifest, wanted: Sequence[str]
) -> None:
    """A foreign key across schemas follows its table when that is renamed, so it would point astray."""
    refuse_crossings(read_crossings(context, server), wanted)
    stored = [
        Crossing(one["schema"], one["table"], one["key"], one["target"])
        for one in manifest.catalog.get("crossings", [])
    ]
    refuse_crossings(stored, wanted)


def refuse_crossings(crossings: Iterable[Crossing], wanted: Sequence[str]) -> None:
    """Refused when one of them begins or ends in a schema that changes."""
    for one in crossings:
        if one.schema in wanted or one.target in wanted:
            raise Refused(
                f"foreign key {one}: after a rename it would follow the replaced table",
                hint=f"drop the key and make it again after the restore, or: {_EXPORT}",
                code="restore.foreign_key",
            )


def check_space(
    context: EngineContext, server: Server, entries: Mapping[str, Mapping[str, Any]], options: RestoreOptions
) -> list[str]:
    """The data directory must hold the restored schemas beside the live ones; notes for the plan."""
    needed = round(sum(int(entry.get("bytes") or 0) for entry in entries.values()) * _ROOM)
    folder = server.rows(context, f"SELECT {shown('@@datadir')}")[0][0] or ""
    answer = capture(context, server.place, ["df", "-P", "-k", "--", folder])
    fields = answer.stdout.decode("utf-8", "replace").split("\n")[1:2]
    try:
        free = int(fields[0].split()[-3]) * 1024
    except (IndexError, ValueError):
        if options.force:
            return [f"FORCED past: the free space in {folder} could not be read"]
        raise Refused(
            f"the free space in {folder} could not be read, and {human(needed)} are needed",
            hint="--force restores without knowing",
            code="restore.space_unread",
        ) from None
    if free < needed:
        raise Refused(
            f"{folder} has {human(free)} free, and the restored schemas need {human(needed)} beside the live",
            hint="make room, or restore one schema: --database NAME",
            code="restore.space",
        )
    return []


def sessions(context: EngineContext, server: Server, schema: str) -> str:
    """Who is in a schema now, in words."""
    found = server.plain(context, "SHOW PROCESSLIST").split("\n")
    # the fourth column is the schema
    count = sum(line.split("\t")[3:4] == [schema] for line in found)
    return counted(count, "session")


def live_words(schema: Schema, users: str) -> str:
    """What is replaced, for the plan."""
    changed = f", last changed {schema.changed}" if schema.changed else ""
    return f"{counted(schema.counts['tables'], 'table')}, {human(schema.size)}, {users}{changed}"
