"""The object store: optimistic concurrency, a watch history, graceful deletion."""

from __future__ import annotations

import asyncio
import copy
import datetime as dt
import secrets
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hasteward_lab.api.errors import already_exists, conflict, expired, not_found, too_large, unnamed
from hasteward_lab.api.resources import Resource

Object = dict[str, Any]
Key = tuple[str, str]

# Only these end on their own: the kubelet removes a pod when its processes are gone.
_GRACEFUL = {"pods"}
# These are only marked: a controller empties them and then lets them go.
_MARKED = {"namespaces"}
_PROPAGATION = {"Orphan": "orphan", "Foreground": "foregroundDeletion"}
# What the server says of a new object before anybody has looked at it.
_BORN = {
    "pods": {"phase": "Pending", "qosClass": "BestEffort"},
    "persistentvolumeclaims": {"phase": "Pending"},
}
_SERVERS = ("uid", "creationTimestamp", "resourceVersion", "generation", "deletionTimestamp")
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


@dataclass(frozen=True)
class Event:
    """One change: what it was before (None when new) and what it is now (None when gone)."""

    version: int
    resource: Resource
    before: Object | None
    after: Object | None


def now(later: int = 0) -> str:
    """The time, or so many seconds later, as objects carry it."""
    return (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=later)).strftime("%Y-%m-%dT%H:%M:%SZ")


def generated() -> str:
    """Five characters for a name, out of those that spell no words."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(5))


class Store:
    """All objects of one lab. Objects that go in or come out are copies."""

    def __init__(self, history: int = 2048) -> None:
        self._objects: dict[Resource, dict[Key, Object]] = {}
        self._version = 1000
        self._history: deque[Event] = deque(maxlen=history)
        self._oldest = self._version
        self._listeners: set[asyncio.Queue[Event]] = set()
        self._hooks: list[Callable[[Event], None]] = []

    @property
    def version(self) -> int:
        """The newest resourceVersion."""
        return self._version

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """One object; 404 when it is not there."""
        return copy.deepcopy(self._find(resource, namespace, name))

    def find(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """One object, or None."""
        found = self._objects.get(resource, {}).get((namespace, name))
        return copy.deepcopy(found)

    def listing(self, resource: Resource, namespace: str | None = None) -> list[Object]:
        """All objects of a kind, of one namespace or of all, by name."""
        rows = sorted(self._objects.get(resource, {}).items())
        return [copy.deepcopy(item) for (ns, _), item in rows if namespace in {None, ns}]

    def everything(self) -> list[tuple[Resource, Object]]:
        """Every object there is, with its resource; not copies: to be read only."""
        return [(resource, item) for resource, rows in self._objects.items() for item in rows.values()]

    def listing_at(self, resource: Resource, namespace: str | None, version: int) -> list[Object]:
        """All objects of a kind as they were at a version; 410 when that is forgotten."""
        if version > self._version:
            raise too_large(version, self._version)
        if version < self._oldest:
            raise expired(version, self._oldest)
        rows = dict(self._objects.get(resource, {}))
        for event in reversed(self._history):
            if event.version <= version:
                break
            changed = event.before or event.after
            if event.resource != resource or changed is None:
                continue
            meta = changed["metadata"]
            key = (meta.get("namespace", "") if resource.namespaced else "", meta["name"])
            if event.before is None:
                rows.pop(key, None)
            else:
                rows[key] = event.before
        return [copy.deepcopy(item) for (ns, _), item in sorted(rows.items()) if namespace in {None, ns}]

    def create(self, resource: Resource, body: Object, *, status: bool = False, dry: bool = False) -> Object:
        """Add an object; the name may be generated, a status comes in only from the lab itself."""
        item = copy.deepcopy(body)
        meta = item.setdefault("metadata", {})
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = meta["generateName"] + generated()
        if not meta.get("name"):
            raise unnamed(resource.kind, resource.group)
        key = (meta.get("namespace", "") if resource.namespaced else "", meta["name"])
        if key in self._objects.get(resource, {}):
            raise already_exists(resource.plural, resource.group, key[1])
        item["apiVersion"], item["kind"] = resource.api_version, resource.kind
        meta.update({"uid": str(uuid.uuid4()), "creationTimestamp": now()})
        for field in ("resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"):
            meta.pop(field, None)
        if "spec" in item:
            meta["generation"] = 1
        if resource.has_status and not status:
            item.pop("status", None)
            item |= {"status": dict(_BORN[resource.plural])} if resource.plural in _BORN else {}
        if resource.plural == "secrets" and "stringData" in item:
            item = _encode_secret(item)
        if not dry:
            self._commit(resource, key, None, item)
        return copy.deepcopy(item)

    def update(self, resource: Resource, body: Object, *, status: bool = False, dry: bool = False) -> Object:
        """Replace an object; 409 when the body is based on another version than the current one.

        With status only `status` is taken from the body, without it `status` stays as it was.
        """
        meta = body.get("metadata", {})
        key = (meta.get("namespace", "") if resource.namespaced else "", meta.get("name", ""))
        old = self._find(resource, *key)
        based_on = meta.get("resourceVersion")
        if based_on and based_on != old["metadata"]["resourceVersion"]:
            raise conflict(resource.plural, resource.group, key[1])
        new = copy.deepcopy(old if status else body)
        if status:
            new["status"] = copy.deepcopy(body.get("status", {}))
            if "managedFields" in meta:
                new["metadata"]["managedFields"] = copy.deepcopy(meta["managedFields"])
        elif resource.has_status:
            new.pop("status", None)
            if "status" in old:
                new["status"] = copy.deepcopy(old["status"])
        if resource.plural == "secrets" and "stringData" in new:
            new = _encode_secret(new)
        self._keep_identity(resource, old, new)
        if dry or _same(new, old):
            return new if dry else copy.deepcopy(old)
        if self._leaves(resource, new):
            self._commit(resource, key, old, None)
            return new
        self._commit(resource, key, old, new)
        return copy.deepcopy(new)

    def modify(
        self, resource: Resource, namespace: str, name: str, change: Callable[[Object], None]
    ) -> Object | None:
        """Change an object of the lab's own in place, status and all; None when it is gone."""
        old = self._objects.get(resource, {}).get((namespace, name))
        if old is None:
            return None
        new = copy.deepcopy(old)
        change(new)
        self._keep_identity(resource, old, new)
        if new != old:
            self._commit(resource, (namespace, name), old, None if self._leaves(resource, new) else new)
        return copy.deepcopy(new)

    def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        grace: int | None = None,
        propagation: str = "Background",
        dry: bool = False,
    ) -> Object:
        """Delete an object, or mark it when somebody still has to clean up behind it."""
        old = self._find(resource, namespace, name)
        new = copy.deepcopy(old)
        meta = new["metadata"]
        finalizer = _PROPAGATION.get(propagation)
        if finalizer and finalizer not in meta.get("finalizers", []):
            meta["finalizers"] = [*meta.get("finalizers", []), finalizer]
        seconds = self._grace(resource, old, grace)
        if dry or (seconds == 0 and resource.plural not in _MARKED and not meta.get("finalizers")):
            if not dry:
                self._commit(resource, (namespace, name), old, None)
            return new
        if "deletionTimestamp" not in meta:
            meta["deletionTimestamp"] = now(seconds)
            if "generation" in meta:
                meta["generation"] += 1
        meta["deletionGracePeriodSeconds"] = min(seconds, meta.get("deletionGracePeriodSeconds", seconds))
        if new != old:
            self._commit(resource, (namespace, name), old, new)
        return copy.deepcopy(new)

    @staticmethod
    def _grace(resource: Resource, item: Object, asked: int | None) -> int:
        """How long an object may take to end; a pod that never got a node or is done takes no time."""
        if resource.plural not in _GRACEFUL:
            return 0
        if not item["spec"].get("nodeName") or item.get("status", {}).get("phase") in {"Succeeded", "Failed"}:
            return 0
        usual = item["spec"].get("terminationGracePeriodSeconds", 30)
        return int(usual if asked is None or asked < 0 else asked)

    @staticmethod
    def _leaves(resource: Resource, item: Object) -> bool:
        """Say whether a marked object has nobody left who holds it."""
        meta = item["metadata"]
        if "deletionTimestamp" not in meta or meta.get("finalizers") or resource.plural in _MARKED:
            return False
        return resource.plural not in _GRACEFUL or meta.get("deletionGracePeriodSeconds") == 0

    def ended(self, resource: Resource, namespace: str, name: str) -> None:
        """What held a marked object is over: it goes, unless a finalizer still holds it."""

        def change(item: Object) -> None:
            item["metadata"]["deletionGracePeriodSeconds"] = 0

        self.modify(resource, namespace, name, change)
        left = self._objects.get(resource, {}).get((namespace, name))
        if left is not None and not left["metadata"].get("finalizers"):
            self.finish(resource, namespace, name)

    def finish(self, resource: Resource, namespace: str, name: str) -> None:
        """Remove an object at last, whatever holds it; nothing happens when it is gone already."""
        old = self._objects.get(resource, {}).get((namespace, name))
        if old is not None:
            self._commit(resource, (namespace, name), old, None)

    def compact(self) -> None:
        """Forget the watch history: a watch from any older version is answered with 410."""
        self._history.clear()
        self._version += 1
        self._oldest = self._version

    def on_change(self, hook: Callable[[Event], None]) -> None:
        """Call a function with every change, at once and in order."""
        self._hooks.append(hook)

    def subscribe(self, since: int) -> tuple[list[Event], asyncio.Queue[Event]]:
        """The changes after a version, and a queue of those to come; 410 when they are forgotten."""
        if since < self._oldest:
            raise expired(since, self._oldest)
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self._listeners.add(queue)
        return [event for event in self._history if event.version > since], queue

    def unsubscribe(self, queue: asyncio.Queue[Event]) -> None:
        """End a subscription."""
        self._listeners.discard(queue)

    def _find(self, resource: Resource, namespace: str, name: str) -> Object:
        found = self._objects.get(resource, {}).get((namespace, name))
        if found is None:
            raise not_found(resource.plural, resource.group, name)
        return found

    @staticmethod
    def _keep_identity(resource: Resource, old: Object, new: Object) -> None:
        """What no client may change stays as it was; a changed spec is a new generation."""
        new["apiVersion"], new["kind"] = resource.api_version, resource.kind
        meta, kept = new["metadata"], old["metadata"]
        for field in _SERVERS:
            if field in kept:
                meta[field] = kept[field]
            else:
                meta.pop(field, None)
        if new.get("spec") != old.get("spec") and "spec" in new:
            meta["generation"] = kept.get("generation", 0) + 1

    def _commit(self, resource: Resource, key: Key, old: Object | None, new: Object | None) -> None:
        self._version += 1
        table = self._objects.setdefault(resource, {})
        if new is None:
            before = copy.deepcopy(old) if old else None
            if before:
                before["metadata"]["resourceVersion"] = str(self._version)
            old = before
            table.pop(key, None)
        else:
            new["metadata"]["resourceVersion"] = str(self._version)
            table[key] = new
        if len(self._history) == self._history.maxlen:
            self._oldest = self._history[0].version
        event = Event(self._version, resource, old, new)
        self._history.append(event)
        for queue in self._listeners:
            queue.put_nowait(event)
        for hook in self._hooks:
            hook(event)


def _same(new: Object, old: Object) -> bool:
    """Say whether a write changed nothing; the times of managed fields do not count."""

    def plain(item: Object) -> Object:
        meta = {key: value for key, value in item["metadata"].items() if key != "managedFields"}
        rows = item["metadata"].get("managedFields") or []
        meta["managedFields"] = [{k: v for k, v in row.items() if k != "time"} for row in rows]
        return {**item, "metadata": meta}

    return plain(new) == plain(old)


def _encode_secret(item: Object) -> Object:
    import base64

    data = {key: base64.b64encode(value.encode()).decode() for key, value in item["stringData"].items()}
    rest = {key: value for key, value in item.items() if key != "stringData"}
    return {**rest, "data": {**item.get("data", {}), **data}}
