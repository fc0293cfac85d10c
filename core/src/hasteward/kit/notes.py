"""What an engine adds to a plan that a shared part of it makes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hasteward.domain.plan import Plan
from hasteward.ports.context import EngineContext


def noted(context: EngineContext, notes: Iterable[str]) -> EngineContext:
    """The same run; whatever plan is shown in it carries these notes too, after its own."""
    more = tuple(notes)

    def approve(plan: Plan) -> bool:
        return context.approve(replace(plan, notes=(*plan.notes, *more)))

    return replace(context, approve=approve)
