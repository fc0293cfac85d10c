"""Undo: what an unfinished repair did, else what the last restore swapped."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from hasteward.domain.capability import Capability, Supported
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import Refused
from hasteward.domain.events import Warned
from hasteward.domain.plan import Plan
from hasteward.pipelines import repair
from hasteward.pipelines.leased import leased_on_approval
from hasteward.pipelines.repair import UndoResult
from hasteward.plugins import Engine
from hasteward.ports.context import EngineContext


def capabilities(engine: Engine) -> tuple[Capability, ...]:
    """What of the engine an undo makes use of; none when there is nothing that it could take back."""
    heals = isinstance(engine.info.capability(Capability.HEAL), Supported)
    found = [Capability.HEAL] if heals else []
    return (*found, Capability.RESTORE) if engine.puts_back is not None else tuple(found)


def undo(engine: Engine, context: EngineContext, cluster: ClusterRef, run: str = "") -> UndoResult:
    """Take back what `run` did; without it, an unfinished repair, and if there is none the last restore."""
    wanted = capabilities(engine) or (Capability.HEAL,)
    for capability in wanted:
        engine.require(capability)
    if Capability.HEAL in wanted:
        result = repair.undo(engine, context, cluster, run)
        if result.run:
            return result
    spec = engine.puts_back
    if spec is None:
        return UndoResult("", ())
    asked: list[Plan] = []

    def approve(plan: Plan) -> bool:
        asked.append(plan)
        return context.approve(plan)

    try:
        with contextlib.ExitStack() as stack:
            leased = leased_on_approval(replace(context, approve=approve), cluster, stack)
            back = spec.put_back(context=leased, cluster=cluster, run=run)
    except Refused as error:
        if run or asked or Capability.HEAL not in wanted:
            raise
        # whoever asks after a repair that left nothing must not be told of gates that are a restore's
        text = f"no repair is unfinished; whether a restore could be taken back was not seen: {error.message}"
        context.reporter.emit(Warned("undo.not_seen", text))
        return UndoResult("", ())
    return UndoResult(back.run, back.undone, back.kept, dry_run=back.planned_only)
