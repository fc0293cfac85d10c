"""The one executor of acts: every repair, of every engine, forward and back.

Before an act its journal entry says that it begins, with what undo will need; after it, that it is done. A
process that dies in between leaves one act in doubt, which is why every act comes to the same end when it is
done, or taken back, again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from hasteward.domain.errors import HastewardError, Refused, RunFailed
from hasteward.domain.events import PhaseStarted, StepDone, Warned
from hasteward.domain.plan import Reversal
from hasteward.domain.repair import RELEASE, Act, ActState, Entry, Record
from hasteward.ports.context import Direction, EngineContext, Order

Memo = Mapping[str, str]

_TRIES = 5
_PAUSE_SECONDS = 1.0


class Deed(Protocol):
    """How one kind of act is done and taken back. `record` holds target and preconditions."""

    def prepare(self, context: EngineContext, act: Act, record: Record) -> Memo:
        """Read what undo will need and check what must hold; changes nothing.

        Raises Refused or RunFailed when the world is not as the plan found it.
        """

    def do(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> str | None:
        """Do it; the same end when it was half done, or done, before.

        What it returns says why it is not possible yet. It has changed nothing then, and is asked for again
        when the other members of the run have been treated.
        """

    def undo(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """Take it back; the same end when it was never done, half done, or taken back before."""


Deeds = Mapping[str, Deed]


def walk(context: EngineContext, order: Order, deeds: Deeds) -> None:
    """Do what is not done yet, or take back what was begun.

    An error ends the walk where it is, with the journal telling how far it came; the caller decides about
    going back. Raises Refused when there is no way back any more.
    """
    unknown = sorted({e.act.kind for e in order.journal.record.entries} - {*deeds, RELEASE})
    if unknown:
        raise Refused(
            f"the journal names acts that this version does not know: {', '.join(unknown)}",
            hint="use the version of the engine that began the repair",
            code="journal.unknown_act",
        )
    if order.direction is Direction.FORWARD:
        _forward(context, order, deeds)
    else:
        _back(context, order, deeds)


def _forward(context: EngineContext, order: Order, deeds: Deeds) -> None:
    journal = order.journal
    for index, entry in enumerate(journal.record.entries):
        if entry.state in {ActState.DONE, ActState.RELEASED}:
            continue
        act = entry.act
        context.check_lease()
        context.reporter.emit(PhaseStarted("heal", act.text))
        if act.kind == RELEASE:
            _release(context, order, deeds, index)
            continue
        deed = deeds[act.kind]
        # what a dead run noted down before it began is the truth; the world may bear its mark already
        memo = entry.memo if entry.state is ActState.DOING else deed.prepare(context, act, journal.record)
        journal.begin(index, memo)
        later = deed.do(context, act, journal.record, memo)
        if later:
            journal.postpone(index)
            context.reporter.emit(Warned("heal.later", f"put off until later: {act.text} ({later})"))
            continue
        journal.end(index)
        context.reporter.emit(StepDone("heal", act.text))


def _release(context: EngineContext, order: Order, deeds: Deeds, index: int) -> None:
    """Take back an earlier act as a part of going forward: unfence, delete the helper."""
    journal = order.journal
    act = journal.record.entries[index].act
    at, held = _held(journal.record, act)
    journal.begin(index, {})
    if held.begun:
        deeds[held.act.kind].undo(context, held.act, journal.record, held.memo)
        journal.release(at)
    journal.end(index)
    context.reporter.emit(StepDone("heal", act.text))


def _held(record: Record, act: Act) -> tuple[int, Entry]:
    wanted = act.args.get("of", "")
    for index, entry in enumerate(record.entries):
        if entry.act.id == wanted:
            return index, entry
    raise Refused(
        f"the journal's act {act.id} releases {wanted!r}, which is not there",
        hint="use the version of hasteward and of its engine that began the repair",
        code="journal.release",
    )


def _back(context: EngineContext, order: Order, deeds: Deeds) -> None:
    journal = order.journal
    barrier = journal.record.point_of_no_return
    if barrier is not None:
        raise Refused(
            f"it cannot be taken back any more: {barrier.act.text} has begun, which only goes forward",
            hint="finish it: hasteward repair with the same -e, -c and -n",
            code="undo.forward_only",
        )
    for index in reversed(range(len(journal.record.entries))):
        entry = journal.record.entries[index]
        if not entry.begun or entry.act.kind == RELEASE:
            continue
        changed = entry.act.reversal is Reversal.REVERSIBLE
        if changed:
            context.reporter.emit(PhaseStarted("undo", f"taking back: {entry.act.text}"))
        _insist(context, order, deeds, index, changed=changed)
        if changed:
            context.reporter.emit(StepDone("undo", f"taken back: {entry.act.text}"))


def _insist(context: EngineContext, order: Order, deeds: Deeds, index: int, *, changed: bool) -> None:
    """Take one act back, again if it fails: a cluster must not stay half fenced for one lost packet (L30).

    The order has a meaning (what was fenced first is freed last), so an act that cannot be taken back ends
    the walk; the journal stays and `hasteward undo` begins there again.
    """
    entry = order.journal.record.entries[index]
    for attempt in range(1, _TRIES + 1):
        context.check_lease()
        try:
            if changed:
                deeds[entry.act.kind].undo(context, entry.act, order.journal.record, entry.memo)
            order.journal.taken_back(index)
        except HastewardError as error:
            if attempt == _TRIES:
                raise RunFailed(
                    f"it could not be taken back: {entry.act.text}: {error.message}",
                    hint="hasteward undo with the same -e, -c and -n",
                    code="undo.failed",
                ) from error
            context.clock.sleep(_PAUSE_SECONDS * attempt)
        else:
            return
