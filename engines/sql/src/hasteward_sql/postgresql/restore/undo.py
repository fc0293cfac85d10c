"""Takes a restore back: the databases that it replaced and kept change places with those it brought.

Everything it needs is in the server (see `facts.marks`), so the run that made the swap may be long dead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hasteward.domain.errors import Refused
from hasteward.domain.events import PhaseStarted, StepDone
from hasteward.domain.plan import Plan, Reversal, Step
from hasteward.kit.orphans import end_orphans
from hasteward.ports.context import EngineContext, PutBack
from hasteward_sql.postgresql.facts.marks import Kept, read_kept, read_mark
from hasteward_sql.postgresql.names import OLD_PREFIX
from hasteward_sql.postgresql.restore import drop_stand, kept_name, make_stand, stand_in
from hasteward_sql.postgresql.restore.gates import check_bound
from hasteward_sql.postgresql.restore.load import drop_all
from hasteward_sql.postgresql.restore.sql import whole_swap
from hasteward_sql.postgresql.restore.survey import leftovers, survey
from hasteward_sql.postgresql.restore.swap import run_as_superuser, standbys_caught_up, swap_all
from hasteward_sql.postgresql.restore.target import (
    Exchange,
    Incoming,
    Leftovers,
    LiveDatabase,
    Scene,
    Stage,
    Survey,
)
from hasteward_sql.words import counted, human

#: notes for the plan about databases that change places; or a refusal
Say = Callable[[Sequence[str]], list[str]]


def put_back(context: EngineContext, stage: Stage, run: str, *, say: Say) -> PutBack:
    """Take back the restore of `run`; without one, what a dead run was loading, else the last restore."""
    found = survey(context, stage.login)
    left, _ = leftovers(found, context.run.id)
    loading = Leftovers(left.databases, (), left.roles)
    if _is_loading(loading) and (not run or run in _runs(found, loading)):
        return _remove(context, stage, found, loading)
    swaps = _swaps(found)
    if run and run not in swaps:
        raise Refused(
            f"run {run} has left nothing in {stage.words.whole} that could be put back: it replaced nothing,"
            " or what it replaced is dropped (--no-keep-old, or by hand)",
            hint="hasteward get backups   (a restore brings back what a snapshot holds)",
            code="undo.nothing_kept",
        )
    last = max(
        (one for one in swaps.values() if not one[0].swap.undo), key=lambda one: one[0].swap.job, default=None
    )
    chosen = swaps[run] if run else last
    if chosen is None:
        return PutBack()
    moves = _moves(context, stage, found, chosen)
    notes = say([move.exchange.name for move in moves])
    for move in moves:
        for database in (move.exchange.outgoing, move.back):
            if database is not None:
                check_bound(stage.words, database)
    chosen_run = chosen[0].swap.run
    plan = _plan(stage, chosen_run, moves, notes)
    if not context.approve(plan):
        return PutBack(chosen_run, planned_only=True)
    moving = {move.exchange.name for move in moves} | {one.name for one in chosen} | {*loading.names}
    scene = Scene(stage, found.algorithm, stand_in(context, found, moving), found.superuser)
    context.reporter.emit(PhaseStarted("undo", plan.title))
    end_orphans(context, stage.login.place)
    drop_all(context, stage, found.algorithm, loading, phase="undo")
    _swap_back(context, scene, [move.exchange for move in moves])
    undone = tuple(_undone(move) for move in moves)
    context.reporter.emit(StepDone("undo", f"in one transaction: {'; '.join(undone)}"))
    standbys_caught_up(context, scene)
    stayed = tuple(move.exchange.old_name for move in moves if move.exchange.outgoing is not None)
    return PutBack(chosen_run, undone, stayed)


def _is_loading(left: Leftovers) -> bool:
    """Whether a dead run was loading; one that died after its swap leaves at most a place to stand."""
    return bool(left.roles) or any(not name.endswith("_0") for name in left.databases)


def _runs(found: Survey, left: Leftovers) -> set[str]:
    comments = [found.databases[name].comment for name in left.databases]
    comments += [found.role_comments[name] for name in left.roles]
    return {str(read_mark(comment).get("run", "")) for comment in comments}


def _swaps(found: Survey) -> dict[str, list[Kept]]:
    """What is kept, by the run that replaced it."""
    swaps: dict[str, list[Kept]] = {}
    for name, database in found.databases.items():
        kept = read_kept(name, database.kept) if name.startswith(OLD_PREFIX) else None
        if kept is not None:
            swaps.setdefault(kept.swap.run, []).append(kept)
    return swaps


def _remove(context: EngineContext, stage: Stage, found: Survey, left: Leftovers) -> PutBack:
    """A restore that died before its swap: nothing of it is live."""
    runs = sorted(_runs(found, left) - {""})
    run = runs[-1] if runs else ""
    steps = tuple(
        Step(f"drop {name}, which a dead run has left", Reversal.FORWARD_ONLY) for name in left.names
    )
    title = f"take back what a restore of {stage.words.place} was loading when it died"
    if not context.approve(Plan(title, steps, notes=("the live databases are as they were before it",))):
        return PutBack(run, planned_only=True)
    end_orphans(context, stage.login.place)
    drop_all(context, stage, found.algorithm, left, phase="undo")
    return PutBack(run or "(not known)", tuple(f"{name} is dropped" for name in left.names))


@dataclass(frozen=True, slots=True)
class _Move:
    """One name: what comes back to it, and what goes out."""

    exchange: Exchange
    back: LiveDatabase | None


def _swap_back(context: EngineContext, scene: Scene, exchanges: Sequence[Exchange]) -> None:
    def script(sql: str, what: str) -> None:
        run_as_superuser(context, scene.stage, scene.algorithm, sql, what)

    make_stand(scene, script)
    try:
        scene.stage.still(context)
        whole = whole_swap(exchanges, context.run.id, context.run.job, undo=True, keep=True)
        swap_all(context, scene, exchanges, whole)
    finally:
        drop_stand(context, scene, script)


def _undone(move: _Move) -> str:
    name = move.exchange.name
    if move.back is None:
        return f"database {name} is out of service: its name was free"
    return f"database {name} is what it was before"


def _moves(context: EngineContext, stage: Stage, found: Survey, chosen: Sequence[Kept]) -> list[_Move]:
    """Every name of the swap; Refused when anything of it is not as the swap left it."""
    swap = chosen[0].swap
    gone = sorted(set(swap.kept) - found.databases.keys())
    if gone:
        raise Refused(
            f"what run {swap.run} replaced is not there any more: {', '.join(gone)} was dropped, so it cannot"
            " be put back as it was",
            hint=f"{stage.words.psql} -l   (the others can still be renamed by hand)",
            code="undo.dropped",
        )
    job = context.run.job
    moves = []
    for number, kept in enumerate(sorted(chosen, key=lambda one: one.database), 1):
        live, back = found.databases.get(kept.database), found.databases[kept.name]
        if live is not None and live.oid != kept.successor:
            raise _replaced(stage, kept)
        incoming = Incoming(
            kept.name, back.oid, comment=back.comment, limit=None, template=kept.template, kept=True
        )
        old_name = kept_name(job, number, kept.database)
        moves.append(_Move(Exchange(kept.database, incoming, live, old_name), back))
    for number, (name, oid) in enumerate(sorted(swap.free.items()), len(moves) + 1):
        live = found.databases.get(name)
        if live is not None and live.oid == oid:
            moves.append(_Move(Exchange(name, None, live, kept_name(job, number, name)), None))
    return moves


def _replaced(stage: Stage, kept: Kept) -> Refused:
    return Refused(
        f"database {kept.database} is not what run {kept.swap.run} had put there: it was replaced since",
        hint="undo what replaced it first (hasteward undo without a run takes the last restore back), or swap"
        f" by hand: {stage.words.psql} -c 'ALTER DATABASE ... RENAME TO ...'",
        code="undo.replaced",
    )


def _plan(stage: Stage, run: str, moves: Sequence[_Move], notes: Sequence[str]) -> Plan:
    leaving = [(move.exchange, live) for move in moves if (live := move.exchange.outgoing) is not None]
    return Plan(
        title=f"take the restore of run {run} back in {stage.words.place}",
        steps=(
            *(Step(_step(move), Reversal.REVERSIBLE) for move in moves),
            Step("wait until the replicas have replayed the change"),
        ),
        gives_up=tuple(_gives_up(one, live) for one, live in leaving),
        notes=(
            *(f"{one.name}: {live.activity}" for one, live in leaving),
            "roles that the restore has created stay",
            *notes,
        ),
    )


def _gives_up(one: Exchange, live: LiveDatabase) -> str:
    open_now = f", {counted(live.sessions, 'session')}" if live.sessions else ""
    return f"database {one.name} ({human(live.size)}{open_now}) as it is now; kept as {one.old_name}"


def _step(move: _Move) -> str:
    one = move.exchange
    words = [f"in one transaction with the others: end the sessions of {one.name}"]
    if one.outgoing is not None:
        words.append(f"call it {one.old_name}")
    if one.incoming is not None:
        words.append(f"give {one.incoming.name} its name again")
    return ", ".join(words)
