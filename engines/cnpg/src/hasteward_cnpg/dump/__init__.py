"""Writes a dump section by section: every byte is proven where it was made, nothing is written in the pod."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError, RunFailed
from hasteward.domain.events import Progress, Warned
from hasteward.kit.orphans import end_orphans
from hasteward.kit.sections import SectionWriter
from hasteward.kit.streaming import capture
from hasteward.ports.context import DumpOptions, DumpProof, DumpSink, EngineContext
from hasteward.ports.kubernetes import PodRef
from hasteward_cnpg.analyse import analyse
from hasteward_cnpg.collect import collect
from hasteward_cnpg.collect.belongings import read_belongings, read_owners
from hasteward_cnpg.collect.catalog import Globals, read_counts, read_globals
from hasteward_cnpg.collect.psql import environment, one_line
from hasteward_cnpg.collect.replica import sequence_positions, unlogged_tables
from hasteward_cnpg.dump.catalog import database_entry, membership_entry, role_entry
from hasteward_cnpg.dump.choose import Choice, choose, primary_instead
from hasteward_cnpg.dump.sql import (
    HEADER,
    SESSION,
    connect_sql,
    memberships_sql,
    role_settings_sql,
    role_sql,
    sequences_sql,
    tablespaces_sql,
)
from hasteward_cnpg.evidence import Evidence
from hasteward_cnpg.facts.belongings import rights_sql
from hasteward_cnpg.facts.quoting import conninfo
from hasteward_cnpg.plan import dump_plan
from hasteward_cnpg.resources import NEW_PREFIX, OLD_PREFIX, SUPERUSER, pod_of

_END_MARKER = b"-- PostgreSQL database dump complete"
#: every server has these, so a replay connects to them and does not create them
_EVERYWHERE = ("postgres", "template1")


def dump(context: EngineContext, cluster: ClusterRef, sink: DumpSink, options: DumpOptions) -> DumpProof:
    """Choose a member, show the plan, and push every section into `sink`."""
    evidence = collect(context, cluster)
    analysis = analyse(evidence)
    choice = choose(context, cluster, evidence, analysis, options.instance)
    found = read_globals(context, pod_of(cluster, choice.member))
    databases, excluded = split_databases(found)
    unlogged = _unlogged(context, cluster, choice, databases)
    if unlogged and options.instance is None:
        because = f"unlogged tables are only there ({', '.join(unlogged)})"
        choice = primary_instead(context, cluster, evidence, analysis, because)
    pod = pod_of(cluster, choice.member)
    plan = dump_plan(
        cluster,
        member=choice.member,
        why=choice.why,
        databases=[(str(row["datname"]), int(row["bytes"] or 0)) for row in databases],
        excluded=excluded,
        doubt=analysis.reason if analysis.questions else "",
    )
    if not context.approve(plan):
        return DumpProof(choice.member, choice.server.version, (), planned_only=True)
    end_orphans(context, pod)
    for name in excluded:
        context.reporter.emit(Warned("dump.excluded", f"database {name} is not part of the dump"))
    context.reporter.emit(Progress("dump", 0, about=sum(int(row["bytes"] or 0) for row in databases)))
    if choice.server.in_recovery and unlogged:
        text = f"a replica has no rows of unlogged tables, so these are dumped empty: {', '.join(unlogged)}"
        context.reporter.emit(Warned("dump.unlogged", text))
    writer = SectionWriter(context, sink, found.algorithm)
    _write_globals(context, writer, found)
    shared = _pg_dump_options(context, pod)
    entries: dict[str, Any] = {}
    for row in databases:
        name = str(row["datname"])
        before = read_owners(context, pod, name, choice.server.major)
        counts = _write_database(context, writer, pod, shared, name=name, memory=choice.memory_limit)
        if choice.server.in_recovery:
            _write_sequences(context, writer, cluster, analysis.primary, name)
        after = read_belongings(context, pod, name, choice.server.major)
        writer.text("rights", name, rights_sql(before, after))
        entries[name] = database_entry(row, counts, after)
    catalog = _catalog(evidence, choice, found) | {"databases": entries, "excluded": excluded}
    return DumpProof(choice.member, choice.server.version, writer.sections, catalog)


def split_databases(found: Globals) -> tuple[list[Mapping[str, Any]], list[str]]:
    """The databases to dump, template1 first as pg_dumpall has it; and the names of those left out."""
    databases: list[Mapping[str, Any]] = []
    excluded: list[str] = []
    for row in found.databases:
        name = str(row["datname"])
        ours = name.startswith((NEW_PREFIX, OLD_PREFIX))
        if row["datallowconn"] and row["datconnlimit"] != -2 and not ours:  # noqa: PLR2004  -2 is "invalid"
            databases.append(row)
        elif name != "template0":
            excluded.append(name)
    return databases, excluded


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


def _pg_dump_options(context: EngineContext, pod: PodRef) -> list[str]:
    """The options that all sections share, as far as the pod's own pg_dump has them."""
    answer = capture(context, pod, [*environment(context), "pg_dump", "--help"])
    if answer.exit_status != 0:
        raise RunFailed(
            f"pg_dump --help in {pod} exited with {answer.exit_status}: {one_line(answer.stderr)}",
            code="dump.no_pg_dump",
        )
    lock = f"--lock-wait-timeout={round(context.tuning.lock_seconds * 1000)}"
    options = ["--no-password", "-U", SUPERUSER, lock]
    key = "".join(letter for letter in context.run.id if letter.isascii() and letter.isalnum())
    if b"--restrict-key" in answer.stdout and key:
        options.append(f"--restrict-key={key}")  # fixed, so that equal data makes equal digests
    return options


def _write_database(
    context: EngineContext, writer: SectionWriter, pod: PodRef, options: list[str], *, name: str, memory: int
) -> dict[str, int] | None:
    before = read_counts(context, pod, name)
    producer = [*environment(context), "pg_dump"]
    try:
        if name in _EVERYWHERE:
            writer.text("create", name, connect_sql(name))
        else:
            # no schema is left: what remains is CREATE DATABASE, owner, rights, comment, settings, \connect
            only = ["--create", "--schema=pg_toast", "--exclude-schema=pg_toast"]
            argv = [*producer, *only, "-d", conninfo(name), *options]
            writer.stream("create", name, pod, argv, end_marker=_END_MARKER, memory_limit=memory)
            writer.text("session", name, SESSION)
        # owners and rights are a section of their own: the content is then nothing a superuser is needed for
        argv = [*producer, "--no-owner", "--no-privileges", "-d", conninfo(name), *options]
        writer.stream("database", name, pod, argv, end_marker=_END_MARKER, memory_limit=memory)
    except RunFailed as error:
        if "conflict with recovery" not in error.message:
            raise
        raise RunFailed(
            error.message,
            hint="the replica had to replay what the dump still read: run it again, or set"
            " hot_standby_feedback or max_standby_streaming_delay in spec.postgresql.parameters",
            code="dump.recovery_conflict",
        ) from error
    after = read_counts(context, pod, name)
    if before != after:
        text = f"objects of database {name} came or went during its dump, so their numbers are not recorded"
        context.reporter.emit(Warned("dump.counts", text))
    return after if before == after else None


def _unlogged(
    context: EngineContext, cluster: ClusterRef, choice: Choice, databases: list[Mapping[str, Any]]
) -> list[str]:
    """The unlogged tables that a dump of a replica would leave empty."""
    if not choice.server.in_recovery:
        return []
    names = [str(row["datname"]) for row in databases]
    return unlogged_tables(context, pod_of(cluster, choice.member), names)


def _write_sequences(
    context: EngineContext, writer: SectionWriter, cluster: ClusterRef, primary: str, name: str
) -> None:
    """Read after the content, so no position lies before a value that the content uses."""
    try:
        if not primary:
            raise RunFailed("no member is proven to be the primary")
        positions = sequence_positions(context, pod_of(cluster, primary), name)
    except HastewardError as error:
        text = f"sequences of database {name} are as the replica has them, up to 32 values ahead"
        context.reporter.emit(Warned("dump.sequences", f"{text} ({error.message})"))
        return
    writer.text("sequences", name, sequences_sql(positions))


def _catalog(evidence: Evidence, choice: Choice, found: Globals) -> dict[str, Any]:
    primary = getattr(getattr(evidence.cluster, "value", None), "current_primary", "")
    position = choice.server.replayed if choice.server.in_recovery else choice.server.current
    return {
        "roles": [role_entry(row) for row in found.roles],
        "memberships": [membership_entry(row) for row in found.memberships],
        "tablespaces": [dict(row) for row in found.tablespaces],
        "primary": primary,
        "timeline": choice.server.timeline,
        "lsn": str(position),
    }
