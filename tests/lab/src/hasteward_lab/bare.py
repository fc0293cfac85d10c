"""No database at all: a node, and whatever pods a test makes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from hasteward_lab.api.resources import NODES

if TYPE_CHECKING:
    from hasteward_lab.api.resources import Resource
    from hasteward_lab.api.store import Store
    from hasteward_lab.kubelet.kubelet import Kubelet
    from hasteward_lab.kubelet.volumes import Volumes
    from hasteward_lab.parts import Say, Webhook
    from hasteward_lab.state import LabConfig

Object = dict[str, Any]


class Bare:
    """As many nodes as members were asked for, and nobody who looks after anything."""

    def __init__(self, lab: LabConfig, store: Store, _kubelet: Kubelet, _volumes: Volumes) -> None:
        self._lab = lab
        self._store = store

    def endpoints(self) -> dict[str, Callable[[Object], Awaitable[Any]]]:
        """Nothing may be asked of it."""
        return {}

    def webhooks(self) -> dict[Resource, Webhook]:
        """Nobody has a say in writes."""
        return {}

    async def create(self, say: Say) -> None:
        """The nodes."""
        for number in range(1, self._lab.members + 1):
            conditions = [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]
            node = {"metadata": {"name": f"node-{number}"}, "status": {"conditions": conditions}}
            self._store.create(NODES, node, status=True)
        say("no database: its pods are yours to make")

    async def settled(self) -> None:
        """Nothing is left to happen."""

    async def follow(self) -> None:
        """There is nothing to look after."""
        await asyncio.Event().wait()
