"""A controller: looks again whenever something it cares about has changed, and now and then anyway."""

from __future__ import annotations

import asyncio
import traceback
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from hasteward_lab.api.errors import ApiError
from hasteward_lab.waking import woken

if TYPE_CHECKING:
    from hasteward_lab.api.resources import Resource
    from hasteward_lab.api.store import Event, Store

Object = dict[str, Any]


class Controller(ABC):
    """Level-triggered: `reconcile` looks at all there is and takes the next steps."""

    # What its rounds depend on; none means everything.
    watches: tuple[Resource, ...] = ()
    # Seconds after which a round comes anyway; less where something other than an object decides.
    resync = 10.0

    def __init__(self, store: Store) -> None:
        self.store = store
        self._wake = asyncio.Event()
        store.on_change(self._changed)

    def _changed(self, event: Event) -> None:
        if not self.watches or event.resource in self.watches:
            self.note(event)
            self._wake.set()

    def note(self, event: Event) -> None:  # noqa: B027 - most controllers need no note of single events
        """Take note of one event, at once; the next round comes by itself."""

    @abstractmethod
    def reconcile(self) -> None:
        """Look at everything and take the next steps; never wait."""

    async def run(self) -> None:
        """Work till the lab ends."""
        while True:
            try:
                self.reconcile()
            except (ApiError, RuntimeError, OSError, KeyError):
                # Somebody else was faster, or a test broke it: the next round sees what is left.
                traceback.print_exc()
            if not await woken(self._wake, self.resync):
                continue
            self._wake.clear()
            # One round for a burst of changes.
            await asyncio.sleep(0.01)


def owned_by(item: Object, owner: Object) -> bool:
    """Say whether an object's controller is this one."""
    rows = item["metadata"].get("ownerReferences") or []
    return any(row.get("controller") and row["uid"] == owner["metadata"]["uid"] for row in rows)


def reference(owner: Object) -> list[Object]:
    """The owner reference that names a controller."""
    return [
        {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
