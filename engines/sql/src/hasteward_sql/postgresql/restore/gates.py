"""Every reason not to restore. Each names the evidence, the rule and the next command; nothing is touched."""

from __future__ import annotations

import re
from collections.abc import Iterable

from hasteward.domain.errors import InvalidInput, Refused
from hasteward.domain.manifest import Manifest
from hasteward.ports.context import RestoreOptions
from hasteward_sql.postgresql.facts.release import Release
from hasteward_sql.postgresql.facts.room import MIB
from hasteward_sql.postgresql.names import EVERYWHERE, FORMAT
from hasteward_sql.postgresql.restore.replay import restricts
from hasteward_sql.postgresql.restore.target import Item, LiveDatabase, Stage, Survey, Words


def check_source(manifest: Manifest, options: RestoreOptions) -> list[str]:
    """The names of the databases to restore."""
    if manifest.format != FORMAT:
        raise Refused(
            f"the snapshot is in format {manifest.format or '(none)'!r};"
            f" only {FORMAT!r} can be restored by this engine",
            hint="hasteward export writes any snapshot to a file",
            code="restore.format",
        )
    have = list(manifest.catalog.get("databases", {}))
    unknown = [name for name in options.databases if name not in have]
    if unknown:
        raise InvalidInput(
            f"the snapshot has no database {', '.join(unknown)}",
            hint=f"name one that it has: {', '.join(have) or 'none'}",
            code="restore.no_such_database",
        )
    wanted = [n for n in have if n in options.databases or (not options.databases and n not in EVERYWHERE)]
    if not wanted:
        raise InvalidInput(
            "the snapshot has no database of a user",
            hint=f"name one that it has with --database: {', '.join(have) or 'none'}",
            code="restore.nothing",
        )
    lacking = [name for name in wanted if manifest.section(f"database:{name}") is None]
    if lacking:
        raise Refused(
            f"the manifest has no section for {', '.join(lacking)}",
            hint="choose another snapshot: hasteward get backups",
            code="restore.no_section",
        )
    return wanted


def check_version(manifest: Manifest, server: Release, whole: str) -> None:
    """A dump is never loaded into an older major version: it may use what is not there."""
    match = re.match(r"\d+", manifest.server_version)
    if match is None:
        raise Refused(
            f"the manifest does not say which server was dumped ({manifest.server_version!r})",
            hint="choose another snapshot: hasteward get backups",
            code="restore.version",
        )
    if server.major < int(match[0]):
        raise Refused(
            f"the dump is from PostgreSQL {manifest.server_version}, {whole} runs {server.text},"
            " which is older",
            hint=f"restore into {whole.replace('the ', 'a ', 1)} of the same or a newer major version",
            code="restore.version",
        )


def check_live(words: Words, items: Iterable[Item], found: Survey, roles: frozenset[str]) -> None:
    """What is bound to the databases being replaced, and what the new ones need to exist."""
    for item in items:
        if item.live is not None:
            check_bound(words, item.live)
        if item.entry["owner"] not in roles:
            raise Refused(
                f"database {item.name} belongs to role {item.entry['owner']}, which is neither in"
                f" {words.whole} nor in the snapshot",
                hint=f"{words.psql} -c 'CREATE ROLE ...'",
                code="restore.owner",
            )
        if item.entry["tablespace"] not in found.tablespaces:
            raise Refused(
                f"database {item.name} lies in tablespace {item.entry['tablespace']},"
                f" which {words.whole} does not have",
                hint=words.tablespace,
                code="restore.tablespace",
            )
        if item.old_name in found.databases:
            raise Refused(
                f"there already is a database {item.old_name}",
                hint="run it again: the name is made of the time",
                code="restore.old_name",
            )


def check_bound(words: Words, live: LiveDatabase) -> None:
    """What lies outside of a database and points at it."""
    for what, names, remedy in (
        ("prepared transactions", live.prepared, "COMMIT PREPARED or ROLLBACK PREPARED"),
        ("logical replication slots", live.slots, "SELECT pg_drop_replication_slot(...)"),
        ("subscriptions", live.subscriptions, "DROP SUBSCRIPTION"),
    ):
        if names:
            raise Refused(
                f"database {live.name} has {what}: {', '.join(names)}; they would stay with the replaced one",
                hint=f"{words.psql} (then {remedy}), and the same command again",
                code="restore.bound",
            )


def check_needs(stage: Stage, found: Survey, items: Iterable[Item], options: RestoreOptions) -> list[str]:
    """Whether the extensions are there, and whether a role without rights can load the rest."""
    for item in items:
        missing = [row["name"] for row in item.entry["extensions"] if row["name"] not in found.extensions]
        if missing:
            raise Refused(
                f"database {item.name} uses extensions that {stage.words.image} does not have:"
                f" {', '.join(missing)}",
                hint=stage.words.extension,
                code="restore.extension",
            )
    if options.as_superuser:
        return ["AS SUPERUSER: everything in the dump runs with all rights, in the database and beside it"]
    _check_role(stage, found, items)
    return []


def _check_role(stage: Stage, found: Survey, items: Iterable[Item]) -> None:
    hint = "--as-superuser runs all that is in the dump as superuser: only if you trust who could write to it"
    if not restricts(stage.client.number):
        raise Refused(
            f"psql of PostgreSQL {stage.client.text} cannot be told to run no commands of the dump",
            hint=f"{stage.words.update}; or {hint}",
            code="restore.unrestricted",
        )
    for item in items:
        reasons = [*item.entry["superuser"], *_extensions(found, item)]
        if reasons:
            raise Refused(
                f"database {item.name} holds what only a superuser can create: {'; '.join(reasons)}",
                hint=hint,
                code="restore.needs_superuser",
            )


def _extensions(found: Survey, item: Item) -> list[str]:
    """Extensions that lie in a schema of the content, and so must be created by whoever loads it."""
    return [
        f"extension {row['name']} in schema {row['schema']}"
        for row in item.entry["extensions"]
        if not row["outside"] and (row["config"] or not found.extensions[row["name"]])
    ]


def room_needed(items: Iterable[Item], log_growth: int) -> tuple[int, int]:
    """Bytes that both copies need beside what is there, on the volume of the data and on that of the log.

    The log of a load is as large as what is loaded. It is recycled on the way at `log_growth`, unless an
    archive or a slot holds it back.
    """
    size = sum(max(item.section.length * 12 // 10, int(item.entry.get("bytes") or 0)) for item in items)
    return size + 64 * MIB, min(size, log_growth) + 64 * MIB
