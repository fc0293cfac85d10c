"""Native backup: the database's own operator makes it and keeps it; we ask, wait and tell how it ended."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from hasteward.domain.capability import Capability
from hasteward.domain.cluster import ClusterRef
from hasteward.pipelines.leased import leased_on_approval
from hasteward.plugins import Engine
from hasteward.ports.context import EngineContext, NativeOutcome


@dataclass(frozen=True, slots=True)
class NativeResult:
    """What the operator has made, and how long that took."""

    outcome: NativeOutcome
    seconds: float


def native_backup(engine: Engine, context: EngineContext, cluster: ClusterRef) -> NativeResult:
    """Ask for it under the cluster's Lease, so that no repair of ours runs meanwhile."""
    spec = engine.require(Capability.NATIVE)
    begun = context.clock.monotonic()
    with contextlib.ExitStack() as stack:
        context = leased_on_approval(context, cluster, stack)
        outcome = spec.native(context=context, cluster=cluster)
    return NativeResult(outcome, round(context.clock.monotonic() - begun, 3))
