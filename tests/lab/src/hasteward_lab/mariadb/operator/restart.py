"""The second half of a recovery: the source begins a cluster, and the others are made to join it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from hasteward_lab.api.resources import PODS
from hasteward_lab.mariadb.operator.defaults import seconds

if TYPE_CHECKING:
    from hasteward_lab.mariadb.operator.desk import Desk

Object = dict[str, Any]

#: seconds of real time an agent may be silent before its pod is deleted
AGENT_WITHIN = 30.0
# What races with the servers themselves has a least length: no factor makes them faster.
_SYNCED_WITHIN, _SYNCED_LEAST = 10.0, 3.0
_LOOK = 0.1


class RecoveryError(Exception):
    """A pass of the recovery failed; the message is the operator's."""


async def healthy(desk: Desk, pod: str, patience: float) -> None:
    """Wait till a pod runs and its agent answers; one that does not for too long is deleted."""
    since = time.monotonic()
    while True:
        found = desk.store.find(PODS, desk.names.namespace, pod) or {}
        if found.get("status", {}).get("phase") == "Running":
            try:
                code, _ = await desk.agent(pod, "GET", "/health")
            except OSError:
                code = 0
            if code == 200:
                return
        if time.monotonic() - since > patience:
            desk.delete(PODS, pod)
            since = time.monotonic()
        await asyncio.sleep(_LOOK)


class Restart:
    """Restarts the pods of a cluster in the order of a recovery."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def run(self, mariadb: Object, source: tuple[str, Object | None]) -> None:
        """All of it; RecoveryError when one step fails: the next pass begins again from the source."""
        chosen, position = source
        others = [pod for pod in self._desk.names.pods(int(mariadb["spec"]["replicas"])) if pod != chosen]
        limit = (
            seconds(mariadb["spec"]["galera"]["recovery"].get("podSyncTimeout") or "5m") * self._desk.scale
        )
        for pod in others:
            await self._within(limit, self._disable(pod), f"error disabling bootstrap in Pod '{pod}'")
        self._desk.event(
            "Normal", "GaleraClusterBootstrap", f"Bootstrapping Galera cluster in Pod '{chosen}'"
        )
        await self._within(
            limit, self._enable(chosen, position), f"error enabling bootstrap in Pod '{chosen}'"
        )
        for pod in (chosen, *others):
            await self._within(limit, self._join(pod, mariadb), f"error restarting Pod '{pod}'")

    async def _within(self, limit: float, work: Any, doing: str) -> None:
        try:
            async with asyncio.timeout(limit):
                await work
        except TimeoutError:
            raise RecoveryError(f"error restarting Pods: {doing}: context deadline exceeded") from None
        except OSError as error:
            raise RecoveryError(f"error restarting Pods: {doing}: {error}") from None

    async def _disable(self, pod: str) -> None:
        await healthy(self._desk, pod, AGENT_WITHIN * self._desk.scale)
        code, answer = await self._desk.agent(pod, "DELETE", "/api/galera/bootstrap")
        if code not in {200, 404}:
            raise OSError(str(answer.get("message", code)))

    async def _enable(self, pod: str, position: Object | None) -> None:
        await healthy(self._desk, pod, AGENT_WITHIN * self._desk.scale)
        code, answer = await self._desk.agent(pod, "PUT", "/api/galera/bootstrap", position)
        if code != 200:
            raise OSError(str(answer.get("message", code)))

    async def _join(self, pod: str, mariadb: Object) -> None:
        """Leave a pod that is synced in peace; make any other start anew, and wait till it is."""
        deadline = time.monotonic() + max(_SYNCED_WITHIN * self._desk.scale, _SYNCED_LEAST)
        while time.monotonic() < deadline:
            if await self._synced(pod, mariadb):
                return
            await asyncio.sleep(_LOOK)
        self._desk.delete(PODS, pod)
        while not await self._synced(pod, mariadb):  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(_LOOK * 2)

    async def _synced(self, pod: str, mariadb: Object) -> bool:
        seen = await self._desk.wsrep(pod, mariadb)
        return seen is not None and seen.primary and seen.synced
