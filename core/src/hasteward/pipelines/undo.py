"""Undo: what an unfinished repair did, else what the last restore swapped."""

from __future__ import annotations

import contextlib

from hasteward.domain.capability import Capability, Supported
from hasteward.domain.cluster import ClusterRef
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
    with contextlib.ExitStack() as stack:
        context = leased_on_approval(context, cluster, stack)
        back = spec.put_back(context=context, cluster=cluster, run=run)
    return UndoResult(back.run, back.undone, back.kept, dry_run=back.planned_only)
