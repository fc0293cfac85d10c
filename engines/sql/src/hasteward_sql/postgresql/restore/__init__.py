"""Loads a proven snapshot into fresh databases beside the live ones and swaps them by rename.

Killed at any moment before the swap's COMMIT, the live databases are as they were and the next run drops
what was left; after it, the restored ones are live and the replaced ones lie beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from hasteward.domain.errors import HastewardError
from hasteward.domain.events import PhaseStarted, StepDone, Warned
from hasteward.domain.manifest import Manifest
from hasteward.ports.context import EngineContext, RestoreOptions, RestoreOutcome, RestoreSource
from hasteward_sql.postgresql.names import EVERYWHERE, NAME_BYTES, NEW_PREFIX, OLD_PREFIX
from hasteward_sql.postgresql.restore.gates import (
    check_live,
    check_needs,
    check_source,
    check_version,
)
from hasteward_sql.postgresql.restore.load import Loader
from hasteward_sql.postgresql.restore.plan import Live, Replacement, RestoreWords, restore_plan
from hasteward_sql.postgresql.restore.sql import drop_database, whole_swap
from hasteward_sql.postgresql.restore.survey import leftovers, survey
from hasteward_sql.postgresql.restore.swap import (
    SwapUnknown,
    drop_kept,
    oids,
    standbys_caught_up,
    swap_all,
    swapped,
)
from hasteward_sql.postgresql.restore.target import (
    Exchange,
    Incoming,
    Item,
    Scene,
    Stage,
    Survey,
    Target,
)

#: notes for the plan, given what is to be loaded and by how much the log may grow; or a refusal
Room = Callable[[Sequence[Item], int], list[str]]


def prepare(
    context: EngineContext,
    stage: Stage,
    source: RestoreSource,
    options: RestoreOptions,
    *,
    say: Callable[[Sequence[str]], list[str]],
    room: Room,
) -> Target:
    """The gates of the snapshot and of the server itself, and the plan. Changes nothing.

    `say` is what the engine has to say about the databases that will be restored. The server is asked first:
    the manifest is still on its way.
    """
    found = survey(context, stage.login)
    manifest = source.manifest
    wanted = check_source(manifest, options)
    check_version(manifest, stage.server, stage.words.whole)
    notes = say(wanted)
    items = tuple(_item(context, manifest, found, number, name) for number, name in enumerate(wanted, 1))
    snapshot_roles = [str(role["name"]) for role in manifest.catalog.get("roles", [])]
    new_roles = tuple(name for name in snapshot_roles if name not in found.roles)
    check_live(stage.words, items, found, found.roles | set(snapshot_roles))
    said = [*notes, *check_needs(stage, found, items, options), *room(items, found.log_growth)]
    left, foreign = leftovers(found, context.run.id)
    grants, of_grants = _grants(manifest, found, new_roles)
    said += [*_notes(manifest, found, wanted, foreign), *of_grants]
    words = RestoreWords(
        snapshot=source.snapshot_id,
        member=manifest.member,
        finished=manifest.finished,
        place=stage.words.place,
        new_roles=new_roles,
        leftovers=left.names,
        keep_old=options.keep_old,
        notes=tuple(said),
    )
    keys = [f"{kind}:{name}" for kind in ("role", "role-settings") for name in new_roles]
    stand = stand_in(context, found, {*wanted, *left.names})
    return Target(
        scene=Scene(stage, found.algorithm, stand, found.superuser),
        items=items,
        new_roles=new_roles,
        role_keys=tuple(key for key in keys if manifest.section(key) is not None),
        grants=tuple(grants),
        leftovers=left,
        tablespaces=tuple(space for space in found.tablespaces if not space.startswith("pg_")),
        keep_old=options.keep_old,
        as_superuser=options.as_superuser,
        analyse=not found.autovacuum,
        plan=restore_plan([_replacement(item) for item in items], words),
    )


def carry_out(context: EngineContext, target: Target, source: RestoreSource) -> RestoreOutcome:
    """Load, compare, swap; the plan was approved."""
    loader = Loader(context, target)
    context.reporter.emit(PhaseStarted("restore", "loading beside the live databases"))
    if target.as_superuser:
        text = "the dump is replayed as superuser: its functions may do everything"
        context.reporter.emit(Warned("restore.as_superuser", text))
    swapping: tuple[Exchange, ...] = ()
    try:
        loader.drop_leftovers()
        loader.load(source)
        make_stand(target.scene, loader.script)
        target.scene.stage.still(context)
        swapping = _exchanges(context, target)
        run = context.run
        whole = whole_swap(swapping, run.id, run.job, undo=False, keep=target.keep_old)
        swap_all(context, target.scene, swapping, whole)
    except SwapUnknown:
        raise
    except BaseException:
        _retreat(context, target, loader, swapping)
        raise
    return _finish(context, target, loader)


def make_stand(scene: Scene, script: Callable[[str, str], None]) -> None:
    """A database for the swap's own session, if no other will do: nobody can rename the one he is in."""
    if scene.stand.startswith(NEW_PREFIX):
        script(f'CREATE DATABASE "{scene.stand}" TEMPLATE template0;\n', "making room to stand")


def drop_stand(context: EngineContext, scene: Scene, script: Callable[[str, str], None]) -> None:
    """And away with it."""
    if scene.stand.startswith(NEW_PREFIX):
        try:
            script(drop_database(scene.stand), f"dropping {scene.stand}")
        except HastewardError as error:
            context.reporter.emit(Warned("restore.left", error.message))


def _exchanges(context: EngineContext, target: Target) -> tuple[Exchange, ...]:
    known = oids(context, target.scene)
    return tuple(
        Exchange(
            name=item.name,
            incoming=Incoming(
                item.new_name,
                known[item.new_name],
                comment=item.entry["comment"],
                limit=int(item.entry["connection_limit"]),
                template=bool(item.entry["is_template"]),
            ),
            outgoing=item.live,
            old_name=item.old_name,
        )
        for item in target.items
    )


def _retreat(context: EngineContext, target: Target, loader: Loader, swapping: Sequence[Exchange]) -> None:
    """After a failure: take everything back, unless the swap turns out to be committed."""
    if swapping and swapped(context, target.scene, swapping):
        names = ", ".join(item.name for item in target.items)
        text = f"the restored databases {names} are live; what followed was not finished"
        context.reporter.emit(Warned("restore.interrupted_after_swap", text))
        return
    loader.undo()
    drop_stand(context, target.scene, loader.script)


def _finish(context: EngineContext, target: Target, loader: Loader) -> RestoreOutcome:
    restored = tuple(item.name for item in target.items)
    context.reporter.emit(StepDone("restore", _done(target.items)))
    drop_stand(context, target.scene, loader.script)
    kept = [item.old_name for item in target.items if item.live is not None]
    if not target.keep_old:
        kept = drop_kept(context, target.scene, kept)
    caught_up = standbys_caught_up(context, target.scene)
    return RestoreOutcome(restored=restored, kept=tuple(kept), checks=(*loader.checks, caught_up))


def _done(items: Sequence[Item]) -> str:
    replaced = [item.name for item in items if item.live is not None]
    new = [item.name for item in items if item.live is None]
    said = [f"swapped in one transaction: {', '.join(replaced)}"] if replaced else []
    if new:
        said.append(f"took the free name{'s' if len(new) > 1 else ''} {', '.join(new)}")
    return "; ".join(said)


def _grants(
    manifest: Manifest, found: Survey, new_roles: Sequence[str]
) -> tuple[list[Mapping[str, Any]], list[str]]:
    """Memberships to give back, and what the plan says of them and of the others."""
    missing = [
        row
        for row in manifest.catalog.get("memberships", [])
        if (row["role"], row["member"]) not in found.memberships
    ]
    grants, left = _of_new_roles(missing, new_roles)
    notes = [f"role {row['member']} becomes a member of {row['role']}" for row in grants]
    notes += [
        f"role {row['member']} was a member of {row['role']} and stays without: both roles exist, so somebody"
        " took that away"
        for row in left
    ]
    return grants, notes


def _of_new_roles(
    missing: Sequence[Mapping[str, Any]], new_roles: Sequence[str]
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Memberships to grant (a role in it is created by us) and those left as they are (both roles exist)."""
    grants = [row for row in missing if row["role"] in new_roles or row["member"] in new_roles]
    return grants, [row for row in missing if row not in grants]


def _item(context: EngineContext, manifest: Manifest, found: Survey, number: int, name: str) -> Item:
    section = manifest.section(f"database:{name}")
    assert section is not None  # noqa: S101  check_source made sure; for the type checker
    return Item(
        name=name,
        new_name=f"{NEW_PREFIX}{context.run.job}_{number}",
        old_name=kept_name(context.run.job, number, name),
        section=section,
        entry=manifest.catalog["databases"][name],
        live=found.databases.get(name),
    )


def kept_name(job: str, number: int, name: str) -> str:
    """What a replaced database is called; by its number when its name would be cut."""
    kept = f"{OLD_PREFIX}{job}_{name}"
    return kept if len(kept.encode()) <= NAME_BYTES else f"{OLD_PREFIX}{job}_{number}"


def _replacement(item: Item) -> Replacement:
    live = item.live
    if live is None:
        return Replacement(item.name, item.old_name, None)
    words = Live(live.size, live.sessions, live.applications, live.activity)
    return Replacement(item.name, item.old_name, words)


def stand_in(context: EngineContext, found: Survey, moving: Collection[str]) -> str:
    """Where the swap's own session is: no session can rename the database it is in."""
    rest = [name for name, one in found.databases.items() if one.connectable and name not in moving]
    for name in (*EVERYWHERE, *rest):
        if name in rest:
            return name
    return f"{NEW_PREFIX}{context.run.job}_0"


def _notes(manifest: Manifest, found: Survey, wanted: Sequence[str], foreign: Sequence[str]) -> list[str]:
    catalog = manifest.catalog
    notes = []
    if manifest.type == "diverged":
        notes.append(f"the snapshot is the diverged copy of {manifest.member}, not of the primary")
    skipped = [name for name in catalog.get("databases", {}) if name not in wanted]
    if skipped:
        notes.append(f"in the snapshot, but not restored: {', '.join(skipped)} (name them to restore them)")
    known = {*catalog.get("databases", {}), "template0", *catalog.get("excluded", [])}
    others = [name for name in found.databases if name not in known]
    if others:
        notes.append(f"not in the snapshot, left as they are: {', '.join(sorted(others))}")
    if foreign:
        notes.append(f"named like ours, but not ours, left as they are: {', '.join(sorted(foreign))}")
    notes.append("roles that exist keep their passwords and attributes")
    return notes
