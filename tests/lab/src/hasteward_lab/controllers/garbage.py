"""Garbage collection: what nobody owns any more goes, in the order that was asked for."""

from __future__ import annotations

from typing import Any

from hasteward_lab.api.resources import Resource
from hasteward_lab.api.store import Event
from hasteward_lab.controllers.base import Controller

Object = dict[str, Any]
Row = tuple[Resource, Object]

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"


class GarbageCollector(Controller):
    """Follows owner references through all kinds."""

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self._dirty = True

    def note(self, event: Event) -> None:
        """Only a deletion, or an object that has owners from the start, can make garbage."""
        after = event.after
        ends = after is None or "deletionTimestamp" in after["metadata"]
        owned = event.before is None and after and after["metadata"].get("ownerReferences")
        self._dirty |= bool(ends or owned)

    def reconcile(self) -> None:
        """Collect until nothing is left to collect now."""
        if not self._dirty:
            return
        self._dirty = False
        rows = list(self.store.everything())
        uids = {item["metadata"]["uid"]: item for _, item in rows}
        for resource, item in rows:
            finalizers = item["metadata"].get("finalizers") or []
            if "deletionTimestamp" in item["metadata"] and ORPHAN in finalizers:
                self._orphan(resource, item, rows)
            elif "deletionTimestamp" in item["metadata"] and FOREGROUND in finalizers:
                self._foreground(resource, item, rows)
            else:
                self._collect(resource, item, uids)

    def _collect(self, resource: Resource, item: Object, uids: dict[str, Object]) -> None:
        owners = item["metadata"].get("ownerReferences") or []
        if not owners or "deletionTimestamp" in item["metadata"]:
            return
        if all(owner["uid"] not in uids for owner in owners):
            self._delete(resource, item, "Background")

    def _orphan(self, resource: Resource, item: Object, rows: list[Row]) -> None:
        uid = item["metadata"]["uid"]
        for kind, dependent in _dependents(uid, rows):

            def leave(found: Object) -> None:
                kept = [row for row in found["metadata"]["ownerReferences"] if row["uid"] != uid]
                found["metadata"]["ownerReferences"] = kept
                if not kept:
                    del found["metadata"]["ownerReferences"]

            self._modify(kind, dependent, leave)
        self._let_go(resource, item, ORPHAN)

    def _foreground(self, resource: Resource, item: Object, rows: list[Row]) -> None:
        uid, blocking = item["metadata"]["uid"], False
        for kind, dependent in _dependents(uid, rows):
            owners = dependent["metadata"]["ownerReferences"]
            blocking |= any(row["uid"] == uid and row.get("blockOwnerDeletion") for row in owners)
            if "deletionTimestamp" not in dependent["metadata"]:
                self._delete(
                    kind, dependent, "Foreground" if _has_dependents(dependent, rows) else "Background"
                )
        if blocking:
            # Looked at again when one of them is gone.
            return
        self._let_go(resource, item, FOREGROUND)

    def _delete(self, resource: Resource, item: Object, propagation: str) -> None:
        meta = item["metadata"]
        namespace = meta.get("namespace", "")
        if self.store.find(resource, namespace, meta["name"]):
            self.store.delete(resource, namespace, meta["name"], propagation=propagation)

    def _modify(self, resource: Resource, item: Object, change: Any) -> None:
        meta = item["metadata"]
        self.store.modify(resource, meta.get("namespace", ""), meta["name"], change)

    def _let_go(self, resource: Resource, item: Object, finalizer: str) -> None:
        def change(found: Object) -> None:
            found["metadata"]["finalizers"] = [
                name for name in found["metadata"].get("finalizers", []) if name != finalizer
            ]

        self._modify(resource, item, change)


def _dependents(uid: str, rows: list[Row]) -> list[Row]:
    return [
        (resource, item)
        for resource, item in rows
        if any(owner["uid"] == uid for owner in item["metadata"].get("ownerReferences") or [])
    ]


def _has_dependents(item: Object, rows: list[Row]) -> bool:
    return bool(_dependents(item["metadata"]["uid"], rows))
