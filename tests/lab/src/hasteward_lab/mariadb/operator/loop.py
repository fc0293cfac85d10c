"""The operator's process: passes and the health monitor, and a test may take both down at once."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from hasteward_lab.api.errors import ApiError
from hasteward_lab.api.resources import JOBS, PODS, SECRETS, STATEFUL_SETS
from hasteward_lab.mariadb.kinds import MARIADBS
from hasteward_lab.mariadb.operator.declared import Declared
from hasteward_lab.mariadb.operator.monitor import Monitor
from hasteward_lab.waking import woken

if TYPE_CHECKING:
    from hasteward_lab.api.store import Event
    from hasteward_lab.mariadb.operator.desk import Desk
    from hasteward_lab.mariadb.operator.reconcile import Pass

_WATCHED = (MARIADBS, STATEFUL_SETS, PODS, JOBS, SECRETS)
_LEAST_WAIT, _LEAST_GAP, _RESYNC = 0.2, 0.05, 10.0


class Loop:
    """Keeps passes and monitor going; when it goes down, whatever they were doing ends there."""

    def __init__(self, desk: Desk, one: Pass) -> None:
        self._desk = desk
        self._pass = one
        self._declared = Declared(desk)
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        desk.store.on_change(self._changed)

    @property
    def is_up(self) -> bool:
        """Say whether the operator runs."""
        return bool(self._tasks)

    def up(self) -> None:
        """Let it run; it looks at everything anew."""
        if not self._tasks:
            loop = asyncio.get_running_loop()
            self._tasks = [
                loop.create_task(self._guarded(self._passes)),
                loop.create_task(self._guarded(Monitor(self._desk).run)),
                loop.create_task(self._guarded(self._declared.run)),
            ]

    async def down(self) -> None:
        """Kill it."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except (ApiError, OSError, RuntimeError, KeyError, ValueError):
                # A test may have put anything into the objects; the next look is another chance.
                traceback.print_exc()
            await asyncio.sleep(_LEAST_WAIT)

    async def _passes(self) -> None:
        while True:
            self._wake.clear()
            due = await self._pass.run()
            wait = _RESYNC if due is None else max(due * self._desk.scale, _LEAST_WAIT)
            await woken(self._wake, wait)
            # What happens together is looked at together.
            await asyncio.sleep(_LEAST_GAP)

    def _changed(self, event: Event) -> None:
        item = event.after or event.before or {}
        if (
            event.resource in _WATCHED
            and item.get("metadata", {}).get("namespace") == self._desk.names.namespace
        ):
            self._wake.set()
