"""All resources served now: the built-in ones, and those of the CustomResourceDefinitions."""

from __future__ import annotations

from typing import Any

from hasteward_lab.api.resources import DEFINITIONS, NAMED, TABLE, Resource
from hasteward_lab.api.store import Event, Store

Object = dict[str, Any]


class Catalog:
    """Follows the definitions of the store."""

    def __init__(self, store: Store) -> None:
        self._defined: dict[str, tuple[Object, tuple[Resource, ...]]] = {}
        for item in store.listing(DEFINITIONS):
            self._take(item)
        store.on_change(self._changed)

    def resources(self) -> tuple[Resource, ...]:
        """Every resource."""
        return (*TABLE, *(resource for _, rows in self._defined.values() for resource in rows))

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """The resource of that address, if it is served."""
        wanted = Resource(group, version, plural, "")
        return next((resource for resource in self.resources() if resource == wanted), None)

    def by_kind(self, api_version: str, kind: str) -> Resource | None:
        """The resource whose objects call themselves so."""
        rows = (r for r in self.resources() if (r.api_version, r.kind) == (api_version, kind))
        return next(rows, None)

    def group_versions(self) -> list[tuple[str, str]]:
        """Every (group, version) served, the core group first."""
        return sorted({(r.group, r.version) for r in self.resources()})

    def version_of(self, resource: Resource) -> Object | None:
        """The entry of a definition's `spec.versions` behind a resource; None for a built-in one."""
        for item, rows in self._defined.values():
            if resource in rows:
                versions: list[Object] = item["spec"]["versions"]
                return next(row for row in versions if row["name"] == resource.version)
        return None

    def _changed(self, event: Event) -> None:
        if event.resource != DEFINITIONS:
            return
        if event.after is not None:
            self._take(event.after)
        elif event.before is not None:
            self._defined.pop(event.before["metadata"]["name"], None)

    def _take(self, item: Object) -> None:
        spec = item["spec"]
        rows = [_resource(spec, version) for version in spec["versions"] if version.get("served")]
        self._defined[item["metadata"]["name"]] = (item, tuple(rows))


def _resource(spec: Object, version: Object) -> Resource:
    names, below = spec["names"], version.get("subresources") or {}
    resource = Resource(
        spec["group"],
        version["name"],
        names["plural"],
        names["kind"],
        namespaced=spec.get("scope") == "Namespaced",
        short_names=tuple(names.get("shortNames") or ()),
        has_status="status" in below,
        subresources=("scale",) if "scale" in below else (),
        categories=tuple(names.get("categories") or ()),
    )
    # One object per resource, so that an event of the store can be told by identity.
    return next((known for known in NAMED if known == resource), resource)
