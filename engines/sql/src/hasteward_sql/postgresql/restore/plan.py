"""Plans in words. Pure: everything they say was read before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hasteward.domain.plan import Plan, Reversal, Step
from hasteward_sql.words import counted, human


@dataclass(frozen=True, slots=True)
class Live:
    """A database as it is now, before it is replaced."""

    size: int
    sessions: int
    applications: tuple[str, ...]
    activity: str


@dataclass(frozen=True, slots=True)
class Replacement:
    """One database of a restore; `live` is None when there is none of this name now."""

    name: str
    old_name: str
    live: Live | None


@dataclass(frozen=True, slots=True)
class RestoreWords:
    """What a restore plan tells beside its databases. `place` is where: ``db/pg on its primary pg-1``."""

    snapshot: str
    member: str
    finished: str
    place: str
    new_roles: tuple[str, ...]
    leftovers: tuple[str, ...]
    keep_old: bool
    notes: tuple[str, ...]


def restore_plan(databases: Sequence[Replacement], words: RestoreWords) -> Plan:
    """What a restore does, in its order, and which live databases it gives up."""
    steps = []
    if words.leftovers:
        steps.append(Step(f"drop what a dead run left: {', '.join(words.leftovers)}", Reversal.FORWARD_ONLY))
    if words.new_roles:
        steps.append(Step(f"create the missing roles {', '.join(words.new_roles)}", Reversal.REVERSIBLE))
    steps += [
        Step(
            f"load database {item.name} beside the live ones, compare its digest and count its objects",
            Reversal.REVERSIBLE,
        )
        for item in databases
    ]
    steps += [_swap_step(item, keep_old=words.keep_old) for item in databases]
    replaced = [item for item in databases if item.live is not None]
    if replaced and not words.keep_old:
        steps.append(Step("drop the replaced databases", Reversal.FORWARD_ONLY))
    steps.append(Step("wait until the replicas have replayed the change"))
    return Plan(
        title=(
            f"restore {words.place} from snapshot {words.snapshot[:8]}"
            f" (dumped from {words.member}, finished {words.finished})"
        ),
        steps=tuple(steps),
        gives_up=tuple(_gives_up(item, item.live, keep_old=words.keep_old) for item in replaced if item.live),
        notes=(*(f"{item.name}: {item.live.activity}" for item in replaced if item.live), *words.notes),
    )


def _swap_step(item: Replacement, *, keep_old: bool) -> Step:
    if item.live is None:
        return Step(f"give the loaded database the name {item.name}, which is free", Reversal.REVERSIBLE)
    live = item.live
    ended = f"end {counted(live.sessions, 'session')}" if live.sessions else "swap out"
    if live.applications:
        ended += f" ({', '.join(live.applications)})"
    ended += f" of {item.name} and swap it" if live.sessions else f" {item.name}"
    stays = f"the old one becomes {item.old_name}" if keep_old else "the old one is dropped afterwards"
    reversal = Reversal.REVERSIBLE if keep_old else Reversal.FORWARD_ONLY
    return Step(f"in one transaction: {ended}; {stays}", reversal)


def _gives_up(item: Replacement, live: Live, *, keep_old: bool) -> str:
    fate = f"kept as {item.old_name}" if keep_old else "DROPPED, not kept"
    open_now = f", {counted(live.sessions, 'session')}" if live.sessions else ""
    return f"database {item.name} ({human(live.size)}{open_now}) as it is now; {fate}"
