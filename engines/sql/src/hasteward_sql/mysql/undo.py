"""Takes a restore back: the schemas that it replaced and kept change places with those it brought.

Everything it needs is in the server (see `state`). As a restore, it is not one act for all schemas: killed
between two, it is run again with the same run and does the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError, Refused, RunFailed
from hasteward.domain.events import PhaseStarted, StepDone
from hasteward.domain.plan import Plan, Reversal, Step
from hasteward.kit.orphans import end_orphans
from hasteward.ports.context import EngineContext, PutBack
from hasteward_sql.mysql.catalog import Schema, is_ours, read_crossings, read_marks, read_schemas
from hasteward_sql.mysql.client import Server
from hasteward_sql.mysql.gates import check_role, live_words, refuse_crossings, sessions
from hasteward_sql.mysql.quoting import identifier
from hasteward_sql.mysql.restore import kept_name
from hasteward_sql.mysql.state import Kept, died_at, whose
from hasteward_sql.mysql.swap import Names, put_in_order, swap


def put_back(
    context: EngineContext, cluster: ClusterRef, server: Server, run: str, *, grouped: bool = False
) -> PutBack:
    """Take back the restore of `run`; without one, what a dead run was at, else the last restore.

    An undo that died is ended, not taken back: what it was taking back is `of` its run.

    `grouped` is as in `restore`: somebody looks after the other members.
    """
    found = read_schemas(context, server)
    marks = {name: read_marks(context, server, name) for name in found if is_ours(name)}
    kept, loading = whose(marks)
    died = died_at(kept, loading)
    if loading and not died and (not run or run in loading.values()):
        return _remove(context, cluster, server, loading)
    wanted = run or died or _last(kept)
    if not wanted:
        return PutBack()
    chosen = sorted((one for one in kept if one.run == wanted), key=lambda one: one.live)
    half = [one for one in kept if one.half]
    if not chosen and wanted not in {one.of for one in half}:
        raise Refused(
            f"run {run} has left nothing in the server that could be put back: it replaced nothing, or what"
            " it replaced is dropped (--no-keep-old, or by hand)",
            hint="hasteward get backups   (a restore brings back what a snapshot holds)",
            code="undo.nothing_kept",
        )
    check_role(context, server, force=False, grouped=grouped)
    _check(context, server, kept, chosen)
    left = [
        *(f"drop {name}, which a dead run has left" for name in loading),
        *(f"finish or take back what run {o.run} had begun with schema {o.live} when it died" for o in half),
    ]
    plan = _plan(context, server, found, chosen, left=left)
    plan = replace(plan, title=f"take the restore of run {wanted} back in {cluster}")
    if not context.approve(plan):
        return PutBack(wanted, planned_only=True)
    end_orphans(context, server.place)
    said = put_in_order(context, server)
    context.reporter.emit(PhaseStarted("undo", plan.title))
    return _swap_all(context, server, wanted, chosen, said=said)


def _last(kept: Sequence[Kept]) -> str:
    """The last restore; what an undo has set aside is only put back when its run is named."""
    restores = [one for one in kept if not one.undo]
    return max(restores, key=lambda one: one.job).run if restores else ""


def _check(context: EngineContext, server: Server, kept: Sequence[Kept], chosen: Sequence[Kept]) -> None:
    refuse_crossings(read_crossings(context, server), [one.live for one in chosen])
    for one in chosen:
        later = [other for other in kept if other.live == one.live and not other.undo and other.job > one.job]
        if later:
            raise Refused(
                f"schema {one.live} is not what run {one.run} had put there: run {later[-1].run} has replaced"
                " it since",
                hint=f"hasteward undo {later[-1].run}   (that one first, with the same options)",
                code="undo.replaced",
            )


def _plan(
    context: EngineContext,
    server: Server,
    found: Mapping[str, Schema],
    chosen: Sequence[Kept],
    *,
    left: Sequence[str],
) -> Plan:
    steps = [Step(text, Reversal.REVERSIBLE) for text in left]
    gives_up = []
    for number, one in enumerate(chosen, 1):
        old = kept_name(context.run.job, number, one.live)
        steps.append(Step(f"swap the tables of {one.live} and {one.name} in one RENAME", Reversal.REVERSIBLE))
        if (live := found.get(one.live)) is not None:
            users = sessions(context, server, one.live)
            gives_up.append(f"schema {one.live} ({live_words(live, users)}; kept as {old})")
    notes = ["accounts that the restore has created stay"]
    if len(chosen) > 1:
        notes.append("the schemas are swapped one after the other, not in one act")
    return Plan("", tuple(steps), tuple(gives_up), tuple(notes))


def _remove(
    context: EngineContext, cluster: ClusterRef, server: Server, loading: Mapping[str, str]
) -> PutBack:
    """A restore that died before its first swap, or that has kept nothing of what it replaced."""
    run = max(loading.values())
    steps = tuple(Step(f"drop {name}, which a dead run has left", Reversal.FORWARD_ONLY) for name in loading)
    title = f"take back what a restore of {cluster} was loading when it died"
    if not context.approve(Plan(title, steps, notes=("the live schemas stay as they are",))):
        return PutBack(run, planned_only=True)
    end_orphans(context, server.place)
    return PutBack(run or "(not known)", tuple(put_in_order(context, server)))


def _swap_all(
    context: EngineContext, server: Server, run: str, chosen: Sequence[Kept], *, said: Sequence[str]
) -> PutBack:
    undone, stayed = list(said), []
    for number, one in enumerate(chosen, 1):
        found = read_schemas(context, server)
        if one.name not in found:  # it was half done, and has been taken back
            continue
        names = Names(one.live, one.name, kept_name(context.run.job, number, one.live))
        try:
            _make_room(context, server, found, names)
            swap(context, server, names, of=run)
        except HastewardError as error:
            done = f" ({'; '.join(undone)})" if undone else ""
            raise RunFailed(
                f"{error.message}; schema {one.live} is not put back{done}",
                hint=f"hasteward undo {run}   (with the same options; it does the rest)",
                code="undo.partly",
            ) from error
        text = f"schema {one.live} is what it was before"
        context.reporter.emit(StepDone("undo", text))
        undone.append(text)
        stayed.append(names.old)
    return PutBack(run, tuple(undone), tuple(stayed))


def _make_room(context: EngineContext, server: Server, found: Mapping[str, Schema], names: Names) -> None:
    """A schema that was dropped since is made again, so that the tables have where to go."""
    if names.live in found:
        return
    kept = found[names.new]
    charset = f"CHARACTER SET {kept.charset} COLLATE {kept.collation}"
    statement = f"CREATE DATABASE IF NOT EXISTS {identifier(names.live)} {charset}"
    server.run(context, statement, what=f"creating {names.live}")
