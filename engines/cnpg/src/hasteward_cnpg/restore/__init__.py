"""Loads a proven snapshot into fresh databases beside the live ones and swaps them by rename.

Killed at any moment before the swap's COMMIT, the live databases are as they were and the next run drops
what was left; after it, the restored ones are live and the replaced ones lie beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError
from hasteward.domain.events import PhaseStarted, StepDone, Warned
from hasteward.domain.manifest import Manifest
from hasteward.ports.context import EngineContext, RestoreOptions, RestoreOutcome, RestoreSource
from hasteward_cnpg.analyse import analyse
from hasteward_cnpg.collect import collect
from hasteward_cnpg.plan import Live, Replacement, RestoreWords, restore_plan
from hasteward_cnpg.resources import NEW_PREFIX, OLD_PREFIX, pod_of
from hasteward_cnpg.restore.gates import (
    EVERYWHERE,
    check_cluster,
    check_live,
    check_needs,
    check_source,
    check_space,
    check_version,
)
from hasteward_cnpg.restore.load import Loader
from hasteward_cnpg.restore.sql import drop_database
from hasteward_cnpg.restore.surroundings import check_surroundings
from hasteward_cnpg.restore.survey import dead_roles, leftovers, survey
from hasteward_cnpg.restore.swap import (
    SwapUnknown,
    drop_old,
    standbys_caught_up,
    still_primary,
    swap_all,
    swapped,
)
from hasteward_cnpg.restore.target import Item, Survey, Target

_NAME_BYTES = 63


def restore(
    context: EngineContext, cluster: ClusterRef, source: RestoreSource, options: RestoreOptions
) -> RestoreOutcome:
    """Check every gate, show the plan, load, compare, swap."""
    target = prepare(context, cluster, source, options)
    if not context.approve(target.plan):
        return RestoreOutcome(planned_only=True)
    loader = Loader(context, target)
    context.reporter.emit(PhaseStarted("restore", "loading beside the live databases"))
    if options.as_superuser:
        text = "the dump is replayed as superuser: its functions may do everything"
        context.reporter.emit(Warned("restore.as_superuser", text))
    swapping = False
    try:
        loader.drop_leftovers()
        loader.load(source)
        if target.stand.startswith(NEW_PREFIX):
            loader.script(f'CREATE DATABASE "{target.stand}" TEMPLATE template0;\n', "making room to stand")
        still_primary(context, target)
        swapping = True
        swap_all(context, target)
    except SwapUnknown:
        raise
    except BaseException:
        _retreat(context, target, loader, swapping=swapping)
        raise
    return _finish(context, target, loader)


def _retreat(context: EngineContext, target: Target, loader: Loader, *, swapping: bool) -> None:
    """After a failure: take everything back, unless the swap turns out to be committed."""
    if swapping and swapped(context, target):
        names = ", ".join(item.name for item in target.items)
        text = f"the restored databases {names} are live; what followed was not finished"
        context.reporter.emit(Warned("restore.interrupted_after_swap", text))
        return
    loader.undo()
    _drop_stand(context, target, loader)


def _drop_stand(context: EngineContext, target: Target, loader: Loader) -> None:
    if target.stand.startswith(NEW_PREFIX):
        try:
            loader.script(drop_database(target.stand), f"dropping {target.stand}")
        except HastewardError as error:
            context.reporter.emit(Warned("restore.left", error.message))


def _finish(context: EngineContext, target: Target, loader: Loader) -> RestoreOutcome:
    restored = tuple(item.name for item in target.items)
    context.reporter.emit(StepDone("restore", _done(target.items)))
    _drop_stand(context, target, loader)
    kept = [item.old_name for item in target.items if item.live is not None]
    if not target.keep_old:
        kept = drop_old(context, target)
    caught_up = standbys_caught_up(context, target)
    return RestoreOutcome(restored=restored, kept=tuple(kept), checks=(*loader.checks, caught_up))


def _done(items: Sequence[Item]) -> str:
    replaced = [item.name for item in items if item.live is not None]
    new = [item.name for item in items if item.live is None]
    said = [f"swapped in one transaction: {', '.join(replaced)}"] if replaced else []
    if new:
        said.append(f"took the free name{'s' if len(new) > 1 else ''} {', '.join(new)}")
    return "; ".join(said)


def prepare(
    context: EngineContext, cluster: ClusterRef, source: RestoreSource, options: RestoreOptions
) -> Target:
    """Every gate, and the plan. Changes nothing."""
    manifest = source.manifest
    wanted = check_source(manifest, options)
    evidence = collect(context, cluster)
    said = check_surroundings(context, cluster, wanted)
    member, server, notes = check_cluster(cluster, evidence, analyse(evidence), options)
    check_version(manifest, server)
    notes += said
    pod = pod_of(cluster, member)
    found = survey(context, pod)
    items = tuple(_item(context, manifest, found, number, name) for number, name in enumerate(wanted, 1))
    snapshot_roles = [str(role["name"]) for role in manifest.catalog.get("roles", [])]
    new_roles = tuple(name for name in snapshot_roles if name not in found.roles)
    check_live(cluster, member, items, found, found.roles | set(snapshot_roles))
    notes += check_needs(server, found, items, options)
    notes += check_space(context, cluster, evidence, items, found.log_growth)
    dead, foreign = leftovers(found, context.run.id)
    ghosts = dead_roles(found, context.run.id)
    grants, of_grants = _grants(manifest, found, new_roles)
    notes += [*_notes(manifest, found, wanted, foreign), *of_grants]
    words = RestoreWords(
        snapshot=source.snapshot_id,
        member=manifest.member,
        finished=manifest.finished,
        primary=member,
        new_roles=new_roles,
        leftovers=(*dead, *ghosts),
        keep_old=options.keep_old,
        notes=tuple(notes),
    )
    keys = [f"{kind}:{name}" for kind in ("role", "role-settings") for name in new_roles]
    return Target(
        cluster=cluster,
        member=member,
        pod=pod,
        server=server,
        algorithm=found.algorithm,
        items=items,
        stand=_stand(context, found, wanted, dead),
        new_roles=new_roles,
        role_keys=tuple(key for key in keys if manifest.section(key) is not None),
        grants=tuple(grants),
        leftovers=tuple(dead),
        dead_roles=ghosts,
        tablespaces=tuple(space for space in found.tablespaces if not space.startswith("pg_")),
        keep_old=options.keep_old,
        as_superuser=options.as_superuser,
        plan=restore_plan(cluster, [_replacement(item) for item in items], words),
    )


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
    job = context.run.job
    old_name = f"{OLD_PREFIX}{job}_{name}"
    if len(old_name.encode()) > _NAME_BYTES:
        old_name = f"{OLD_PREFIX}{job}_{number}"
    return Item(
        name=name,
        new_name=f"{NEW_PREFIX}{job}_{number}",
        old_name=old_name,
        section=section,
        entry=manifest.catalog["databases"][name],
        live=found.databases.get(name),
    )


def _replacement(item: Item) -> Replacement:
    live = item.live
    if live is None:
        return Replacement(item.name, item.old_name, None)
    words = Live(live.size, live.sessions, live.applications, live.activity)
    return Replacement(item.name, item.old_name, words)


def _stand(context: EngineContext, found: Survey, wanted: Sequence[str], dead: Sequence[str]) -> str:
    """Where the swap's own session is: no session can rename the database it is in."""
    rest = [
        name
        for name, database in found.databases.items()
        if database.connectable and name not in wanted and name not in dead
    ]
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
