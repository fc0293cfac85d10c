"""The operator's hands: every write goes to the API store with the version it is based on."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hasteward_lab.api.errors import ApiError
from hasteward_lab.api.resources import CLUSTERS, EVENTS
from hasteward_lab.api.store import now
from hasteward_lab.postgres.operator.status import set_phase
from hasteward_lab.postgres.operator.view import View

if TYPE_CHECKING:
    from hasteward_lab.api.resources import Resource
    from hasteward_lab.api.store import Store

Object = dict[str, Any]

CONFLICT, NOT_FOUND = 409, 404


class Desk:
    """Reads and writes for one Cluster."""

    def __init__(self, store: Store, namespace: str, name: str) -> None:
        self.store = store
        self.namespace = namespace
        self.name = name

    def look(self) -> View | None:
        """Everything as it is now."""
        return View.take(self.store, self.namespace, self.name)

    def write_status(self, view: View, change: Callable[[Object], None]) -> View:
        """Change the status as seen in the view; ApiError 409 when somebody was faster.

        Returns the view with the Cluster as it is afterwards.
        """
        cluster = {**view.cluster, "status": _copied(view.status)}
        change(cluster["status"])
        if cluster["status"] == view.status:
            return view
        written = self.store.update(CLUSTERS, cluster, status=True)
        return View(written, view.pods, view.claims, view.jobs)

    def phase(self, view: View, phase: str, reason: str = "") -> View:
        """Register a phase."""
        return self.write_status(view, lambda status: set_phase(status, phase, reason))

    def change(self, resource: Resource, item: Object, change: Callable[[Object], None]) -> None:
        """Change an object's metadata or spec; gone objects are no error."""
        new = _copied(item)
        change(new)
        if new == item:
            return
        try:
            self.store.update(resource, new)
        except ApiError as error:
            if error.code != NOT_FOUND:
                raise

    def delete(self, resource: Resource, name: str, *, grace: int | None = None) -> None:
        """Delete an object; gone ones are no error."""
        try:
            self.store.delete(resource, self.namespace, name, grace=grace)
        except ApiError as error:
            if error.code != NOT_FOUND:
                raise

    def create(self, resource: Resource, body: Object, *, status: bool = False) -> None:
        """Create an object; one that is there already is no error."""
        try:
            self.store.create(resource, body, status=status)
        except ApiError as error:
            if error.code != CONFLICT:
                raise

    def event(self, cluster: Object, reason: str, message: str, kind: str = "Normal") -> None:
        """Record an Event on the Cluster; the same one again only counts."""
        for item in self.store.listing(EVENTS, self.namespace):
            same = (item.get("reason"), item.get("message")) == (reason, message)
            if same and item["involvedObject"].get("uid") == cluster["metadata"]["uid"]:
                item.update({"count": int(item.get("count", 1)) + 1, "lastTimestamp": now()})
                self.store.update(EVENTS, item)
                return
        name = f"{self.name}.{uuid.uuid4().hex[:16]}"
        involved = {
            "apiVersion": cluster["apiVersion"],
            "kind": cluster["kind"],
            "name": cluster["metadata"]["name"],
            "namespace": self.namespace,
            "uid": cluster["metadata"]["uid"],
        }
        self.create(
            EVENTS,
            {
                "metadata": {"name": name, "namespace": self.namespace},
                "involvedObject": involved,
                "reason": reason,
                "message": message,
                "type": kind,
                "count": 1,
                "firstTimestamp": now(),
                "lastTimestamp": now(),
                "source": {"component": "cloudnative-pg"},
                "reportingComponent": "cloudnative-pg",
                "reportingInstance": "cloudnative-pg",
            },
        )


def _copied(item: Object) -> Object:
    import copy

    return copy.deepcopy(item)
