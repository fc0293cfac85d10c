"""The Lease is taken when the plan is approved: reading needs none, and a refused run must touch nothing.

A run without Kubernetes takes a lock on this machine in its place.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import Refused
from hasteward.domain.plan import Plan
from hasteward.kit.lease import Lease, held
from hasteward.ports.context import EngineContext


class _LeaseOnApproval:
    def __init__(self, context: EngineContext, cluster: ClusterRef, stack: contextlib.ExitStack) -> None:
        self._context = context
        self._cluster = cluster
        self._stack = stack
        self._lease: Lease | None = None
        self._locked = False

    def approve(self, plan: Plan) -> bool:
        if not self._context.approve(plan):
            return False
        if self._context.via is not None:
            self._stack.enter_context(self._context.host.lock(self._context.via))
            self._locked = True
            return True
        self._lease = self._stack.enter_context(held(self._context, self._cluster))
        return True

    def check(self) -> None:
        if self._locked:
            return  # it is ours as long as this process lives
        if self._lease is None:
            raise Refused(
                "the plan was not approved, so no Lease is held and nothing may be changed",
                hint="run it again, without --dry-run",
                code="lease.none",
            )
        self._lease.check()


def leased_on_approval(
    context: EngineContext, cluster: ClusterRef, stack: contextlib.ExitStack
) -> EngineContext:
    """`context` with an `approve` that also takes the cluster's Lease; `stack` gives it back."""
    gate = _LeaseOnApproval(context, cluster, stack)
    return replace(context, approve=gate.approve, check_lease=gate.check)
