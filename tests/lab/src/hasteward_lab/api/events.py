"""Events: one store, two views (`v1` and `events.k8s.io/v1`), and how the lab's own parts write them."""

from __future__ import annotations

from typing import Any

from hasteward_lab.api.resources import EVENTS, NEW_EVENTS, Resource
from hasteward_lab.api.store import Store, now

Object = dict[str, Any]

_NAMES = {
    "involvedObject": "regarding",
    "message": "note",
    "count": "deprecatedCount",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "source": "deprecatedSource",
    "reportingComponent": "reportingController",
}


def stored(resource: Resource) -> Resource:
    """Where objects of a resource are kept."""
    return EVENTS if resource == NEW_EVENTS else resource


def shown(resource: Resource, item: Object) -> Object:
    """A kept object as the asked-for resource shows it."""
    if resource != NEW_EVENTS:
        return item
    return {
        **{_NAMES.get(key, key): value for key, value in item.items()},
        "apiVersion": resource.api_version,
    }


def taken(resource: Resource, item: Object) -> Object:
    """An object of a resource as it is kept."""
    if resource != NEW_EVENTS:
        return item
    back = {new: old for old, new in _NAMES.items()}
    return {**{back.get(key, key): value for key, value in item.items()}, "apiVersion": "v1"}


def record(
    store: Store, about: Object, kind: str, reason: str, message: str, *, component: str = "lab"
) -> None:
    """Tell of something that happened to an object, `kind` Normal or Warning; a repeated event counts up."""
    meta = about["metadata"]
    namespace = meta.get("namespace", "default")
    reference = {
        "kind": about["kind"],
        "apiVersion": about["apiVersion"],
        "name": meta["name"],
        "namespace": meta.get("namespace", ""),
        "uid": meta["uid"],
        "resourceVersion": meta["resourceVersion"],
    }
    for old in store.listing(EVENTS, namespace):
        same = (old.get("reason"), old.get("message"), old.get("source", {}).get("component"))
        if old["involvedObject"].get("uid") == meta["uid"] and same == (reason, message, component):

            def again(item: Object) -> None:
                item["count"] = item.get("count", 1) + 1
                item["lastTimestamp"] = now()

            store.modify(EVENTS, namespace, old["metadata"]["name"], again)
            return
    store.create(
        EVENTS,
        {
            "metadata": {"name": f"{meta['name']}.{store.version:016x}", "namespace": namespace},
            "involvedObject": reference,
            "reason": reason,
            "message": message,
            "type": kind,
            "source": {"component": component},
            "reportingComponent": component,
            "reportingInstance": "",
            "firstTimestamp": now(),
            "lastTimestamp": now(),
            "eventTime": None,
            "count": 1,
        },
    )
