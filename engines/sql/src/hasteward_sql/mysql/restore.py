"""Loads proven schemas beside the live ones, compares them, and swaps them in one by one.

Not one act for all schemas: a run that fails at one has made those before it live, and says which. Within
a schema the tables change places at once. Killed anywhere, the next restore puts the schema in order first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError, RunFailed, Unproven
from hasteward.domain.events import PhaseStarted, StepDone, Warned
from hasteward.domain.manifest import Manifest
from hasteward.domain.plan import Plan, Reversal, Step
from hasteward.kit.orphans import end_orphans
from hasteward.ports.context import EngineContext, RestoreOptions, RestoreOutcome, RestoreSource
from hasteward_sql.mysql.catalog import (
    NEW_PREFIX,
    OLD_PREFIX,
    Schema,
    account_name,
    is_ours,
    read_names,
    read_schemas,
)
from hasteward_sql.mysql.client import Server
from hasteward_sql.mysql.gates import (
    check_crossings,
    check_server,
    check_source,
    check_space,
    live_words,
    sessions,
)
from hasteward_sql.mysql.group import Group, check_replicated
from hasteward_sql.mysql.quoting import account as account_sql
from hasteward_sql.mysql.quoting import identifier
from hasteward_sql.mysql.state import mark, mark_table
from hasteward_sql.mysql.swap import Names, put_in_order, swap
from hasteward_sql.words import human

_NAME_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class Item:
    """One schema to restore; `entry` is its part of the manifest's catalog."""

    names: Names
    entry: Mapping[str, Any]
    live: Schema | None


@dataclass(frozen=True, slots=True)
class Target:
    """What the work needs, once every gate was passed."""

    items: tuple[Item, ...]
    accounts: tuple[str, ...]
    plan: Plan


def restore(
    context: EngineContext,
    cluster: ClusterRef,
    server: Server,
    source: RestoreSource,
    options: RestoreOptions,
    *,
    group: Group | None = None,
) -> RestoreOutcome:
    """Check every gate, show the plan, load, compare, swap; `group` are the members that must agree first."""
    target = prepare(context, cluster, server, source, options, grouped=group is not None)
    if not context.approve(target.plan):
        return RestoreOutcome(planned_only=True)
    end_orphans(context, server.place)
    checks = put_in_order(context, server)
    context.reporter.emit(PhaseStarted("restore", "loading beside the live schemas"))
    try:
        _make_accounts(context, server, source, target)
        for item in target.items:
            checks.append(_load(context, server, source, item))
        if group is not None:
            checks += group.agree(context, [item.names.new for item in target.items])
    except BaseException:
        _discard(context, server, target)
        raise
    return _swap_all(context, server, source, target, keep_old=options.keep_old, checks=checks)


def prepare(
    context: EngineContext,
    cluster: ClusterRef,
    server: Server,
    source: RestoreSource,
    options: RestoreOptions,
    *,
    grouped: bool = False,
) -> Target:
    """Every gate, and the plan. Changes nothing."""
    manifest = source.manifest
    wanted = check_source(manifest, options)
    check_server(context, server, manifest, options, grouped=grouped)
    check_crossings(context, server, manifest, wanted)
    entries = {name: manifest.catalog["schemas"][name] for name in wanted}
    notes = check_space(context, server, entries, options)
    notes += check_replicated(entries, options) if grouped else []
    found = read_schemas(context, server)
    items = tuple(
        Item(_names(context, number, name), entries[name], found.get(name))
        for number, name in enumerate(wanted, 1)
    )
    have = {account_name(user, host) for user, host in read_names(context, server)}
    missing = tuple(name for name in manifest.catalog.get("accounts", []) if name not in have)
    notes += _notes(manifest, found, wanted)
    return Target(
        items,
        missing,
        _plan(
            context,
            cluster,
            server,
            source,
            items=items,
            missing=missing,
            options=options,
            notes=notes,
        ),
    )


def _names(context: EngineContext, number: int, name: str) -> Names:
    job = context.run.job
    return Names(name, f"{NEW_PREFIX}{job}_{number}", kept_name(job, number, name))


def kept_name(job: str, number: int, name: str) -> str:
    """What a replaced schema is called; by its number when its name would be too long."""
    kept = f"{OLD_PREFIX}{job}_{name}"
    return kept if len(kept) <= _NAME_CHARACTERS else f"{OLD_PREFIX}{job}_{number}"


def _notes(manifest: Manifest, found: Mapping[str, Schema], wanted: list[str]) -> list[str]:
    notes = ["accounts that exist keep their passwords and grants"]
    skipped = [name for name in manifest.catalog["schemas"] if name not in wanted]
    if skipped:
        notes.append(f"in the snapshot, but not restored: {', '.join(skipped)}")
    others = [name for name in found if name not in manifest.catalog["schemas"] and not is_ours(name)]
    if others:
        notes.append(f"not in the snapshot, left as they are: {', '.join(others)}")
    if len(wanted) > 1:
        notes.append("the schemas are swapped one after the other, not in one act")
    notes.append("while a schema is swapped, for a moment its triggers, views and programs are not there")
    return notes


def _plan(
    context: EngineContext,
    cluster: ClusterRef,
    server: Server,
    source: RestoreSource,
    *,
    items: tuple[Item, ...],
    missing: tuple[str, ...],
    options: RestoreOptions,
    notes: list[str],
) -> Plan:
    steps = [Step("finish or take back what an interrupted restore has left", Reversal.REVERSIBLE)]
    if missing:
        steps.append(Step(f"create the accounts that are missing: {', '.join(missing)}", Reversal.REVERSIBLE))
    gives_up = []
    for item in items:
        names = item.names
        size = human(int(item.entry.get("bytes") or 0))
        steps.append(Step(f"load {names.live} ({size}) beside the live schemas", Reversal.REVERSIBLE))
    for item in items:
        names = item.names
        if item.live is None:
            steps.append(Step(f"create schema {names.live} and move the tables in", Reversal.REVERSIBLE))
            continue
        steps.append(Step(f"swap the tables of {names.live} in one RENAME", Reversal.REVERSIBLE))
        users = sessions(context, server, names.live)
        kept = f"kept as {names.old}" if options.keep_old else "DROPPED after the swap"
        gives_up.append(f"schema {names.live} ({live_words(item.live, users)}; {kept})")
    if not options.keep_old:
        steps.append(Step("drop the replaced schemas", Reversal.FORWARD_ONLY))
    title = f"restore snapshot {source.snapshot_id[:8]} of {source.manifest.finished} into {cluster}"
    return Plan(title, tuple(steps), tuple(gives_up), tuple(notes))


def _make_accounts(context: EngineContext, server: Server, source: RestoreSource, target: Target) -> None:
    keys = [f"account:{name}" for name in target.accounts]
    for section, chunks in source.read(keys) if keys else ():
        context.check_lease()
        server.load(context, chunks, what=f"account {section.name}")


def _load(context: EngineContext, server: Server, source: RestoreSource, item: Item) -> str:
    """Load one schema and compare what came to be with what the manifest says."""
    names, entry = item.names, item.entry
    context.check_lease()
    charset = f"CHARACTER SET {entry['charset']} COLLATE {entry['collation']}"
    server.run(
        context,
        f"CREATE DATABASE {identifier(names.new)} {charset}",
        mark_table(names.new),
        mark(names.new, "run", context.run.id.encode()),
        what=f"making room for {names.live}",
    )
    keys = [f"{kind}:{names.live}" for kind in ("tables", "programs", "views")]
    for section, chunks in source.read(keys):
        if section.kind == "tables":
            what = f"the tables of {names.live}"
            same = server.algorithm == section.algorithm
            given, known = (chunks.fed(), section.fed_digest) if same else (chunks, "")
            server.load(context, given, what=what, schema=names.new, known=known)
        else:
            body = b"".join(bytes(chunk) for chunk in chunks)
            row = mark(names.new, section.kind, body)
            server.run(context, row, what=f"keeping the {section.kind} of {names.live}")
    return _compare(context, server, item)


def _compare(context: EngineContext, server: Server, item: Item) -> str:
    loaded = read_schemas(context, server)[item.names.new]
    have, wanted = sorted(loaded.content), sorted(item.entry["tables"])
    if have != wanted:
        differ = ", ".join(sorted(set(have) ^ set(wanted)))
        raise Unproven(f"the tables of {item.names.live} are not those of the snapshot: {differ}")
    text = f"{item.names.live}: {len(have)} tables, digest compared where they arrived"
    context.reporter.emit(StepDone("restore", text))
    return text


def _discard(context: EngineContext, server: Server, target: Target) -> None:
    """Take back what was made beside the live schemas."""
    statements = [f"DROP DATABASE IF EXISTS {identifier(item.names.new)}" for item in target.items]
    for name in target.accounts:
        user, _, host = name.rpartition("@") if "@" in name else (name, "", "")
        kind = "USER" if host else "ROLE"
        statements.append(f"DROP {kind} IF EXISTS {account_sql(user, host)}")
    if not statements:
        return
    try:
        server.run(context, *statements, what="removing what was loaded")
    except HastewardError as error:
        context.reporter.emit(Warned("restore.left", f"{error.message}; the next restore removes it"))


def _swap_all(
    context: EngineContext,
    server: Server,
    source: RestoreSource,
    target: Target,
    *,
    keep_old: bool,
    checks: list[str],
) -> RestoreOutcome:
    live: list[str] = []
    for item in target.items:
        try:
            _swap_one(context, server, item)
        except HastewardError as error:
            _discard_waiting(context, server, target, live)
            rest = [one.names.live for one in target.items if one.names.live not in live]
            back = f" (hasteward undo {context.run.id} takes that back)"
            done = f"restored and live: {', '.join(live)}{back}; " if live else ""
            raise RunFailed(
                f"{error.message}; {done}not restored: {', '.join(rest)}",
                hint="run it again with " + " ".join(f"--database {name}" for name in rest),
                code="restore.partly" if live else "restore.failed",
            ) from error
        live.append(item.names.live)
    # Only now: till all are live, what is set aside is what tells that a restore is under way.
    kept = [
        item.names.old
        for item in target.items
        if (item.live is not None and keep_old) or not _drop_old(context, server, item.names.old)
    ]
    keys = [f"grants:{name}" for name in target.accounts]
    for section, chunks in source.read(keys) if keys else ():
        server.load(context, chunks, what=f"grants of {section.name}")
    return RestoreOutcome(restored=tuple(live), kept=tuple(kept), checks=tuple(checks))


def _discard_waiting(context: EngineContext, server: Server, target: Target, live: list[str]) -> None:
    """Take back what is not swapped in; accounts stay when something that may need them is live.

    Of a swap that could be neither finished nor taken back the next run needs both sides.
    """
    try:
        found = read_schemas(context, server)
    except HastewardError as error:
        context.reporter.emit(Warned("restore.left", f"{error.message}; the next restore removes it"))
        return
    half = [item.names.live for item in target.items if item.names.old in found]
    rest = tuple(item for item in target.items if item.names.live not in {*live, *half})
    accounts = () if live or half else target.accounts
    _discard(context, server, replace(target, items=rest, accounts=accounts))


def _swap_one(context: EngineContext, server: Server, item: Item) -> None:
    names, entry = item.names, item.entry
    if item.live is None:
        charset = f"CHARACTER SET {entry['charset']} COLLATE {entry['collation']}"
        statement = f"CREATE DATABASE IF NOT EXISTS {identifier(names.live)} {charset}"
        server.run(context, statement, what=f"creating {names.live}")
    swap(context, server, names)
    wanted = entry.get("counts")
    have = read_schemas(context, server)[names.live].counts
    if wanted is not None and have != dict(wanted):
        text = f"schema {names.live} has {have}, and the snapshot had {dict(wanted)}"
        context.reporter.emit(Warned("restore.counts", text))
    context.reporter.emit(StepDone("restore", f"schema {names.live} is live"))


def _drop_old(context: EngineContext, server: Server, old: str) -> bool:
    context.check_lease()
    try:
        server.run(context, f"DROP DATABASE IF EXISTS {identifier(old)}", what=f"dropping {old}")
    except HastewardError as error:
        context.reporter.emit(Warned("restore.old_stayed", error.message))
        return False
    return True
