"""What lists and maps mean in the core types: merged by key, as a set, or replaced whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True)
class ListShape:
    """How a list is merged: by these keys, as a set of values, or whole (neither)."""

    keys: tuple[str, ...] = ()
    is_set: bool = False
    # The one key of a strategic merge patch, where it differs from the first of the keys.
    patch_key: str = ""


ATOMIC = ListShape()

_LISTS = {
    "containers": ListShape(("name",)),
    "initContainers": ListShape(("name",)),
    "ephemeralContainers": ListShape(("name",)),
    "env": ListShape(("name",)),
    "volumes": ListShape(("name",)),
    "volumeMounts": ListShape(("mountPath",)),
    "volumeDevices": ListShape(("devicePath",)),
    "imagePullSecrets": ListShape(("name",)),
    "hostAliases": ListShape(("ip",)),
    "topologySpreadConstraints": ListShape(("topologyKey", "whenUnsatisfiable")),
    "conditions": ListShape(("type",)),
    "podIPs": ListShape(("ip",)),
    "hostIPs": ListShape(("ip",)),
    "ownerReferences": ListShape(("uid",)),
    "finalizers": ListShape(is_set=True),
    "secrets": ListShape(("name",)),
    "addresses": ListShape(("type",)),
}
_CONTAINER_PORTS = ListShape(("containerPort", "protocol"))
_SERVICE_PORTS = ListShape(("port", "protocol"))
_ATOMIC_MAPS = {
    "selector",
    "labelSelector",
    "nodeSelector",
    "secretKeyRef",
    "configMapKeyRef",
    "fieldRef",
    "resourceFieldRef",
    "roleRef",
    "claimRef",
}
# What a key's value is when an item leaves it out.
DEFAULTS = {"protocol": "TCP"}


class Shapes:
    """The shapes below one kind of object; with a definition's schema, what that says."""

    def __init__(self, schema: Object | None = None, *, custom: bool = False) -> None:
        self._schema = schema or {}
        self._custom = custom

    def of_list(self, path: tuple[str, ...]) -> ListShape:
        """The shape of the list at a path of field names (items of lists leave no trace in it)."""
        name = path[-1] if path else ""
        if not self._custom or path[:1] == ("metadata",):
            if name == "ports":
                return (
                    _CONTAINER_PORTS if "containers" in path or "initContainers" in path else _SERVICE_PORTS
                )
            return _LISTS.get(name, ATOMIC)
        found = self._at(path)
        kind = found.get("x-kubernetes-list-type", "atomic")
        if kind == "map":
            return ListShape(tuple(found.get("x-kubernetes-list-map-keys", ())))
        return ListShape(is_set=True) if kind == "set" else ATOMIC

    def atomic_map(self, path: tuple[str, ...]) -> bool:
        """Say whether the map at a path is owned and replaced as a whole."""
        if not self._custom:
            return bool(path) and path[-1] in _ATOMIC_MAPS
        return self._at(path).get("x-kubernetes-map-type") == "atomic"

    def _at(self, path: tuple[str, ...]) -> Object:
        node = self._schema
        for name in path:
            if "items" in node:
                node = node["items"]
            below = node.get("properties", {}).get(name) or node.get("additionalProperties") or {}
            node = below if isinstance(below, dict) else {}
        return node
