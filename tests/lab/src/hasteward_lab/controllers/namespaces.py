"""Namespaces: what a fresh one gets, and how a deleted one is emptied."""

from __future__ import annotations

from typing import Any

from hasteward_lab.api.automount import AUTHORITY
from hasteward_lab.api.resources import ACCOUNTS, CONFIG_MAPS, NAMESPACES
from hasteward_lab.controllers.base import Controller

Object = dict[str, Any]


class Namespaces(Controller):
    """Completes new namespaces, and empties those that end."""

    def reconcile(self) -> None:
        """Look at every namespace."""
        for item in self.store.listing(NAMESPACES):
            if "deletionTimestamp" in item["metadata"]:
                self._empty(item["metadata"]["name"])
            elif item.get("status", {}).get("phase") != "Active":
                self._complete(item["metadata"]["name"])

    def _complete(self, name: str) -> None:
        def change(item: Object) -> None:
            item["status"] = {"phase": "Active"}
            item.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
            item["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = name

        self.store.modify(NAMESPACES, "", name, change)
        if not self.store.find(ACCOUNTS, name, "default"):
            self.store.create(ACCOUNTS, {"metadata": {"name": "default", "namespace": name}})
        trusted = self.store.find(CONFIG_MAPS, "kube-system", AUTHORITY)
        if trusted and not self.store.find(CONFIG_MAPS, name, AUTHORITY):
            meta = {"name": AUTHORITY, "namespace": name}
            self.store.create(CONFIG_MAPS, {"metadata": meta, "data": trusted["data"]})

    def _empty(self, name: str) -> None:
        def change(item: Object) -> None:
            item.setdefault("status", {})["phase"] = "Terminating"

        self.store.modify(NAMESPACES, "", name, change)
        inside = [row for row in self.store.everything() if row[1]["metadata"].get("namespace") == name]
        for resource, item in inside:
            if "deletionTimestamp" not in item["metadata"]:
                self.store.delete(resource, name, item["metadata"]["name"])
        if not inside:
            self.store.finish(NAMESPACES, "", name)
