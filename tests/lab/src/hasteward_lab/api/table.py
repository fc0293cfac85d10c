"""The tables `kubectl get` prints, made by the server as a real one does."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from hasteward_lab.api.resources import CLAIMS, CLUSTERS, PODS, Resource

Object = dict[str, Any]
Column = tuple[str, Callable[[Object], Any]]


def wanted(accept: str) -> bool:
    """Say whether the client asks for a table."""
    return "as=Table" in accept


def render(resource: Resource, items: list[Object], version: str, include: str) -> dict[str, Any]:
    """A table of the items; `include` says how much of each object goes along."""
    columns: list[Column] = [("Name", _name), *_COLUMNS.get(resource, ()), ("Age", _age)]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": version},
        "columnDefinitions": [
            {"name": title, "type": "string", "format": "", "description": "", "priority": 0}
            for title, _ in columns
        ],
        "rows": [{"cells": [cell(i) for _, cell in columns], "object": _object(i, include)} for i in items],
    }


def _object(item: Object, include: str) -> Object:
    if include == "Object":
        return item
    kind = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
    return {**kind, "metadata": item["metadata"]}


def _name(item: Object) -> str:
    return str(item["metadata"]["name"])


def _age(item: Object) -> str:
    created = dt.datetime.fromisoformat(item["metadata"]["creationTimestamp"])
    return _duration((dt.datetime.now(dt.UTC) - created).total_seconds())


def _duration(seconds: float) -> str:
    whole = int(seconds)
    for size, unit in ((86400, "d"), (3600, "h"), (120, "m")):
        if whole >= size:
            return f"{whole // (60 if unit == 'm' else size)}{unit}"
    return f"{whole}s"


def _containers(item: Object) -> list[Object]:
    rows: list[Object] = item.get("status", {}).get("containerStatuses", [])
    return rows


def _ready(item: Object) -> str:
    rows = _containers(item)
    return f"{sum(bool(row['ready']) for row in rows)}/{len(item['spec']['containers'])}"


def _pod_status(item: Object) -> str:
    if item["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for row in _containers(item):
        for state in ("waiting", "terminated"):
            reason = row.get("state", {}).get(state, {}).get("reason")
            if reason:
                return str(reason)
    return str(item.get("status", {}).get("phase", "Pending"))


def _restarts(item: Object) -> str:
    return str(sum(row["restartCount"] for row in _containers(item)))


def _status(*path: str) -> Callable[[Object], Any]:
    def cell(item: Object) -> Any:
        found: Any = item
        for key in path:
            found = found.get(key, {})
        return "" if found == {} else found

    return cell


_COLUMNS: dict[Resource, tuple[Column, ...]] = {
    PODS: (("Ready", _ready), ("Status", _pod_status), ("Restarts", _restarts)),
    CLAIMS: (
        ("Status", _status("status", "phase")),
        ("Volume", _status("spec", "volumeName")),
        ("Capacity", _status("status", "capacity", "storage")),
    ),
    CLUSTERS: (
        ("Instances", _status("status", "instances")),
        ("Ready", _status("status", "readyInstances")),
        ("Status", _status("status", "phase")),
        ("Primary", _status("status", "currentPrimary")),
    ),
}
