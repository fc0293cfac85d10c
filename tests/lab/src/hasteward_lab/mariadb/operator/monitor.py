"""The health monitor: finds a broken cluster and sets the latch, suspended or not."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from hasteward_lab.kubelet.status import is_ready
from hasteward_lab.mariadb.init import condition, configured
from hasteward_lab.mariadb.names import GALERA, MARIADB
from hasteward_lab.mariadb.operator import conditions
from hasteward_lab.mariadb.operator.defaults import least_size, seconds

if TYPE_CHECKING:
    from hasteward_lab.mariadb.operator.desk import Desk

Object = dict[str, Any]

_LEAST = 0.2
# A cluster that comes back by its own means needs some seconds, whatever the factor.
_LEAST_PATIENCE = 5.0


class Monitor:
    """Looks at one StatefulSet now and then."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def run(self) -> None:
        """Look till the operator goes down."""
        while True:
            found = self._desk.mariadb()
            wait = 10.0
            if found is not None and self._watches(found):
                wait = seconds(found["spec"]["galera"]["recovery"].get("clusterMonitorInterval", "10s"))
                await self._check(found)
            await asyncio.sleep(max(wait * self._desk.scale, _LEAST))

    def _watches(self, mariadb: Object) -> bool:
        item = self._desk.stateful_set() or {"metadata": {}}
        marks = item["metadata"].get("annotations") or {}
        galera = mariadb["spec"].get("galera", {})
        return bool(
            {MARIADB, GALERA} <= set(marks)
            and galera.get("enabled")
            and galera.get("recovery", {}).get("enabled")
            and configured(mariadb)
            and condition(mariadb, "GaleraReady") != "False"
        )

    async def _check(self, mariadb: Object) -> None:
        """One healthy look ends it; none till the deadline is the latch. Some ready pod that takes no login
        is neither.
        """
        limit = seconds(mariadb["spec"]["galera"]["recovery"].get("clusterHealthyTimeout", "30s"))
        deadline = time.monotonic() + max(limit * self._desk.scale, _LEAST_PATIENCE)
        while True:
            well = await self._well(mariadb)
            if well is not False:
                return
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(max(self._desk.scale, _LEAST))
        self._desk.event("Warning", "GaleraClusterNotHealthy", "Galera cluster is not healthy")

        def change(status: Object) -> None:
            status.pop("galeraRecovery", None)
            conditions.latch(status)

        self._desk.status(change)

    async def _well(self, mariadb: Object) -> bool | None:
        item = self._desk.stateful_set()
        if item is None:
            return None
        if not item.get("status", {}).get("readyReplicas"):
            return False
        try:
            ready = [pod["metadata"]["name"] for pod in self._desk.pods() if is_ready(pod)]
        except ValueError:
            return None
        least = least_size(mariadb["spec"]["galera"]["recovery"], int(mariadb["spec"]["replicas"]))
        for pod in ready:
            seen = await self._desk.wsrep(pod, mariadb)
            if seen is not None:
                return seen.size >= least
        return None
