"""Writes a dump section by section: every byte is proven where it was made, nothing is written in the place.

Each database is as it was at one moment; two databases are at two moments. The sections in their order replay
with plain psql.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hasteward.domain.errors import HastewardError, RunFailed
from hasteward.domain.events import Progress, Warned
from hasteward.kit.orphans import end_orphans
from hasteward.kit.sections import SectionWriter, require_end
from hasteward.kit.streaming import Captured, Question
from hasteward.ports.context import DumpSink, EngineContext
from hasteward.streams.proof import TAIL_BYTES
from hasteward_sql.postgresql.collect.belongings import Before, asking_after, asking_before
from hasteward_sql.postgresql.collect.catalog import Globals
from hasteward_sql.postgresql.collect.client import (
    Asked,
    Login,
    ask_each,
    environment,
    one_line,
    unprompted,
)
from hasteward_sql.postgresql.collect.replica import Position, asking_positions
from hasteward_sql.postgresql.dump.catalog import catalog_entry, database_entry
from hasteward_sql.postgresql.dump.sql import (
    HEADER,
    SESSION,
    connect_sql,
    memberships_sql,
    role_settings_sql,
    role_sql,
    sequences_sql,
    tablespaces_sql,
)
from hasteward_sql.postgresql.facts.belongings import rights_sql
from hasteward_sql.postgresql.facts.grants import membership_entry
from hasteward_sql.postgresql.facts.quoting import conninfo
from hasteward_sql.postgresql.facts.release import Release
from hasteward_sql.postgresql.names import EVERYWHERE, NEW_PREFIX, OLD_PREFIX

_END_MARKER = b"-- PostgreSQL database dump complete"
_UNRESTRICT = re.compile(rb"\n(\\unrestrict [A-Za-z0-9]+\n)\n*\Z")
_INVALID = -2
_LIMITED = 'ulimit -v "$1" && shift && exec "$@"'


@dataclass(frozen=True, slots=True)
class Source:
    """The server that is dumped.

    `primary` is the one that it follows, None when it is not known; of a server that follows nobody it is
    not asked for. `memory_limit` is bytes of address space for the producer, 0 for none. `parameters` says
    where a setting of the server is changed.
    """

    login: Login
    release: Release
    in_recovery: bool
    primary: Login | None = None
    memory_limit: int = 0
    parameters: str = "postgresql.conf"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which databases are dumped, template1 first as pg_dumpall has it; and the names of those left out."""

    databases: tuple[Mapping[str, Any], ...]
    excluded: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """What the databases are called."""
        return [str(row["datname"]) for row in self.databases]

    @property
    def sizes(self) -> list[tuple[str, int]]:
        """And how large they are on disk."""
        return [(str(row["datname"]), int(row["bytes"] or 0)) for row in self.databases]


def choose_databases(found: Globals) -> Choice:
    """Every database that takes connections, but for ours and the one that nobody may enter."""
    databases: list[Mapping[str, Any]] = []
    excluded: list[str] = []
    for row in found.databases:
        name = str(row["datname"])
        ours = name.startswith((NEW_PREFIX, OLD_PREFIX))
        if row["datallowconn"] and row["datconnlimit"] != _INVALID and not ours:
            databases.append(row)
        elif name != "template0":
            excluded.append(name)
    return Choice(tuple(databases), tuple(excluded))


def write(
    context: EngineContext,
    source: Source,
    sink: DumpSink,
    found: Globals,
    choice: Choice,
    *,
    unlogged: Sequence[str] = (),
) -> tuple[SectionWriter, dict[str, Any]]:
    """Push every section into `sink`; the writer with their proof, and the catalog of what was there.

    `unlogged` are tables whose rows a replica does not have.
    """
    end_orphans(context, source.login.place)
    reporter = context.reporter
    for name in choice.excluded:
        reporter.emit(Warned("dump.excluded", f"database {name} is not part of the dump"))
    reporter.emit(Progress("dump", 0, about=sum(size for _, size in choice.sizes)))
    if source.in_recovery and unlogged:
        text = f"a replica has no rows of unlogged tables, so these are dumped empty: {', '.join(unlogged)}"
        reporter.emit(Warned("dump.unlogged", text))
    writer = SectionWriter(context, sink, found.algorithm)
    _write_globals(context, writer, found)
    entries = _write_databases(context, source, writer, choice) if choice.databases else {}
    return writer, catalog_entry(found) | {"databases": entries, "excluded": list(choice.excluded)}


def _write_databases(
    context: EngineContext, source: Source, writer: SectionWriter, choice: Choice
) -> dict[str, Any]:
    """One after the other; between two, all that is to know of both is asked at the same time."""
    major = source.release.major
    offered = _asking_options(context, source.login)
    upcoming = asking_before(context, source.login, choice.names[0], major)
    ask_each(context, offered, upcoming)
    options = offered.result()
    ahead: Before | None = upcoming.result()
    created = _asking_created(context, source, options, choice.names[0])
    ask_each(context, created)
    entries: dict[str, Any] = {}
    for row, following in zip(choice.databases, [*choice.names[1:], ""], strict=True):
        name = str(row["datname"])
        assert ahead is not None  # noqa: S101  there was a following one; for the type checker
        before, owners = ahead
        _write_database(context, writer, source, options, name=name, created=created)
        asked = asking_after(context, source.login, name, major, following=following)
        positions = _asking_positions(context, source, name)
        created = _asking_created(context, source, options, following)
        ask_each(context, asked, positions, created)
        if source.in_recovery:
            _write_sequences(context, writer, positions, name)
        after, belongings, ahead = asked.result()
        writer.text("rights", name, rights_sql(owners, belongings))
        if before != after:
            text = f"objects of database {name} came or went during its dump; their numbers are not recorded"
            context.reporter.emit(Warned("dump.counts", text))
        entries[name] = database_entry(row, after if before == after else None, belongings)
    return entries


def _write_globals(context: EngineContext, writer: SectionWriter, found: Globals) -> None:
    writer.text("header", "", HEADER)
    for role in found.roles:
        writer.text("role", str(role["rolname"]), role_sql(role))
    for role in found.roles:
        if role["settings"]:
            writer.text("role-settings", str(role["rolname"]), role_settings_sql(role))
    grants = [membership_entry(row) for row in found.memberships]
    writer.text("memberships", "", memberships_sql(grants, found.superuser))
    writer.text("tablespaces", "", tablespaces_sql(found.tablespaces))
    if found.tablespaces:
        names = ", ".join(str(row["name"]) for row in found.tablespaces)
        text = f"tablespaces {names} are named in the dump, but must exist before it can be restored"
        context.reporter.emit(Warned("dump.tablespaces", text))


def _asking_options(context: EngineContext, login: Login) -> Asked[list[str]]:
    """The options that all sections share, as far as the place's own pg_dump has them."""

    def understood(answer: Captured) -> list[str]:
        if answer.exit_status != 0:
            raise RunFailed(
                f"pg_dump --help in {login} exited with {answer.exit_status}: {one_line(answer.stderr)}",
                code="dump.no_pg_dump",
            )
        lock = f"--lock-wait-timeout={round(context.tuning.lock_seconds * 1000)}"
        options = [*login.words, lock]
        key = "".join(letter for letter in context.run.id if letter.isascii() and letter.isalnum())
        if b"--restrict-key" in answer.stdout and key:
            options.append(f"--restrict-key={key}")  # fixed, so that equal data makes equal digests
        return options

    return Asked(Question(login.place, [*environment(context), "pg_dump", "--help"]), understood)


def _asking_created(
    context: EngineContext, source: Source, options: Iterable[str], name: str
) -> Asked[bytes] | None:
    """How the database is created and connected to; None for one that is there in every server."""
    if not name or name in EVERYWHERE:
        return None
    what = f"the dump of create {name}"

    def understood(answer: Captured) -> bytes:
        if answer.exit_status != 0:
            said = f"{what} in {source.login} exited with {answer.exit_status}: {one_line(answer.stderr)}"
            raise RunFailed(said, code="dump.failed")
        require_end(what, source.login.place, answer.stdout[-TAIL_BYTES:], _END_MARKER)
        return answer.stdout

    # no schema is left: what remains is CREATE DATABASE, owner, rights, comment, settings, \connect
    only = ["--create", "--schema=pg_toast", "--exclude-schema=pg_toast"]
    argv = [*environment(context), "pg_dump", *only, "-d", conninfo(name), *options]
    if source.memory_limit:
        argv = ["sh", "-c", _LIMITED, "sh", str(source.memory_limit // 1024), *argv]
    return Asked(Question(source.login.place, argv, source.login.feed), understood)


def _write_database(
    context: EngineContext,
    writer: SectionWriter,
    source: Source,
    options: Iterable[str],
    *,
    name: str,
    created: Asked[bytes] | None,
) -> None:
    try:
        if created is None:
            writer.text("create", name, connect_sql(name))
        else:
            writer.text("create", name, created.result(), closing=_closing)
            writer.text("session", name, SESSION)
        # owners and rights are a section of their own: the content is then nothing a superuser is needed for
        plain = ["--no-owner", "--no-privileges", "-d", conninfo(name), *options]
        writer.stream(
            "database",
            name,
            source.login.place,
            [*environment(context), "pg_dump", *plain],
            end_marker=_END_MARKER,
            memory_limit=source.memory_limit,
            feed=source.login.feed,
            closing=_closing,
        )
    except RunFailed as error:
        if "conflict with recovery" not in error.message:
            raise unprompted(error) from error
        raise RunFailed(
            error.message,
            hint="the replica had to replay what the dump still read: run it again, or set"
            f" hot_standby_feedback or max_standby_streaming_delay in {source.parameters}",
            code="dump.recovery_conflict",
        ) from error


def _closing(tail: bytes) -> int:
    r"""Newer versions of pg_dump end with an ``\unrestrict``, whose key stands at the begin of their output.
    A restore has a key of its own, and for it the section ends before that line.
    """
    found = _UNRESTRICT.search(tail)
    return len(tail) - found.start(1) if found else 0


def _asking_positions(context: EngineContext, source: Source, name: str) -> Asked[list[Position]] | None:
    if not source.in_recovery or source.primary is None:
        return None
    return asking_positions(context, source.primary, name)


def _write_sequences(
    context: EngineContext, writer: SectionWriter, asked: Asked[list[Position]] | None, name: str
) -> None:
    """Read after the content, so no position lies before a value that the content uses."""
    try:
        if asked is None:
            raise RunFailed("no server is proven to be the primary")
        positions = asked.result()
    except HastewardError as error:
        text = f"sequences of database {name} are as the replica has them, up to 32 values ahead"
        context.reporter.emit(Warned("dump.sequences", f"{text} ({error.message})"))
        return
    writer.text("sequences", name, sequences_sql(positions))
