"""The control plane: every controller, running."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hasteward_lab.controllers.budgets import Budgets
from hasteward_lab.controllers.claims import Claims
from hasteward_lab.controllers.garbage import GarbageCollector
from hasteward_lab.controllers.jobs import Jobs
from hasteward_lab.controllers.namespaces import Namespaces
from hasteward_lab.controllers.scheduler import Scheduler
from hasteward_lab.controllers.services import Services
from hasteward_lab.controllers.stateful import StatefulSets

if TYPE_CHECKING:
    from hasteward_lab.api.store import Store
    from hasteward_lab.controllers.base import Controller
    from hasteward_lab.faults import FaultTable
    from hasteward_lab.kubelet.kubelet import Kubelet
    from hasteward_lab.kubelet.volumes import Volumes


class ControlPlane:
    """Holds the controllers of one lab."""

    def __init__(
        self, store: Store, kubelet: Kubelet, volumes: Volumes, faults: FaultTable, scale: float
    ) -> None:
        self._controllers: list[Controller] = [
            Scheduler(store, faults),
            Claims(store, volumes),
            Services(store, kubelet),
            Jobs(store, scale),
            Budgets(store),
            StatefulSets(store),
            GarbageCollector(store),
            Namespaces(store),
        ]
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Let them work till the lab ends."""
        loop = asyncio.get_running_loop()
        self._tasks = {loop.create_task(controller.run()) for controller in self._controllers}
