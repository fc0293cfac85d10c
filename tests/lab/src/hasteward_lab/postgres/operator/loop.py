"""Keeps the passes going: at once when something happens, else when a pass asked for the next one."""

from __future__ import annotations

import asyncio
import traceback
from typing import TYPE_CHECKING

from hasteward_lab.api.errors import ApiError
from hasteward_lab.api.resources import CLAIMS, CLUSTERS, JOBS, PODS, SECRETS
from hasteward_lab.postgres.operator.desk import CONFLICT
from hasteward_lab.waking import woken

if TYPE_CHECKING:
    from hasteward_lab.api.store import Event, Store
    from hasteward_lab.postgres.operator.reconcile import Pass

_WATCHED = (CLUSTERS, PODS, CLAIMS, JOBS, SECRETS)
# Between two passes, whatever the factor: the machine has other things to do.
_LEAST_WAIT, _LEAST_GAP = 0.3, 0.05


class Loop:
    """The operator's process, which a test may take down."""

    def __init__(self, store: Store, namespace: str, one: Pass, scale: float) -> None:
        self._pass = one
        self._namespace = namespace
        self._scale = scale
        self._wake = asyncio.Event()
        self._up = asyncio.Event()
        self._idle = asyncio.Event()
        store.on_change(self._changed)

    @property
    def is_up(self) -> bool:
        """Say whether the operator runs."""
        return self._up.is_set()

    def up(self) -> None:
        """Let it run; it looks at everything anew."""
        self._up.set()
        self._wake.set()

    async def down(self) -> None:
        """Take it down; returns when the pass it was in has ended."""
        self._up.clear()
        self._wake.set()
        await self._idle.wait()

    async def run(self) -> None:
        """Reconcile until the lab ends."""
        while True:
            if not self._up.is_set():
                self._idle.set()
                await self._up.wait()
            self._idle.clear()
            self._wake.clear()
            due = await self._once()
            wait = None if due is None else max(due * self._scale, _LEAST_WAIT if due else _LEAST_GAP)
            await woken(self._wake, wait)
            # What happens together is looked at together.
            await asyncio.sleep(_LEAST_GAP)

    async def _once(self) -> float | None:
        try:
            return await self._pass.run()
        except ApiError as error:
            if error.code != CONFLICT:
                traceback.print_exc()
            return 0.0
        except (OSError, RuntimeError, KeyError, ValueError):
            # A test may have put anything into the objects; the next event is another chance.
            traceback.print_exc()
            return 5.0

    def _changed(self, event: Event) -> None:
        item = event.after or event.before or {}
        if event.resource in _WATCHED and item.get("metadata", {}).get("namespace") == self._namespace:
            self._wake.set()
