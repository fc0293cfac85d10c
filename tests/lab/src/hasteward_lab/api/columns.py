"""The columns of each built-in kind, as the API server prints them; priority 1 is for `-o wide`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hasteward_lab.api.resources import (
    CLAIMS,
    CONFIG_MAPS,
    DEFINITIONS,
    EVENTS,
    JOBS,
    LEASES,
    NAMESPACES,
    NEW_EVENTS,
    NODES,
    PODS,
    ROLE_BINDINGS,
    SECRETS,
    SERVICES,
    STATEFUL_SETS,
    Resource,
)

Object = dict[str, Any]
Cell = Callable[[Object], Any]

_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


@dataclass(frozen=True)
class Column:
    """One column."""

    title: str
    cell: Cell
    kind: str = "string"
    priority: int = 0


def since(begun: dt.datetime) -> str:
    """How long ago, as kubectl says it."""
    return duration((dt.datetime.now(dt.UTC) - begun).total_seconds())


def duration(seconds: float) -> str:
    """A duration in the short form: two units where one would be coarse."""
    whole = max(0, int(seconds))
    if whole < 120:
        return f"{whole}s"
    minutes = whole // 60
    if minutes < 10:
        return f"{minutes}m{whole % 60}s" if whole % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours = minutes // 60
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    return f"{hours}h" if hours < 48 else f"{hours // 24}d"


def _age(item: Object) -> str:
    return since(dt.datetime.fromisoformat(item["metadata"]["creationTimestamp"]))


NAME = Column("Name", lambda item: item["metadata"]["name"])
AGE = Column("Age", _age)


def _at(*path: str, missing: str = "<none>") -> Cell:
    def cell(item: Object) -> Any:
        found: Any = item
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        return missing if found is None or found == "" else found

    return cell


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
    status = item.get("status", {})
    return str(status.get("reason") or status.get("phase", "Pending"))


def _restarts(item: Object) -> str:
    rows = _containers(item)
    count = sum(row["restartCount"] for row in rows)
    ended = [row.get("lastState", {}).get("terminated", {}).get("finishedAt") for row in rows]
    last = max(filter(None, ended), default=None)
    return f"{count} ({since(dt.datetime.fromisoformat(last))} ago)" if count and last else str(count)


def _modes(item: Object) -> str:
    return ",".join(_MODES[mode] for mode in item.get("status", {}).get("accessModes") or [])


def _ports(item: Object) -> str:
    rows = item["spec"].get("ports") or []
    return ",".join(f"{row['port']}/{row.get('protocol', 'TCP')}" for row in rows) or "<none>"


def _selector(item: Object) -> str:
    pairs = item["spec"].get("selector") or {}
    return ",".join(f"{key}={value}" for key, value in sorted(pairs.items())) or "<none>"


def _seen(item: Object) -> str:
    found = item.get("lastTimestamp") or item.get("deprecatedLastTimestamp") or item.get("eventTime")
    return since(dt.datetime.fromisoformat(found)) if found else "<unknown>"


def _about(item: Object) -> str:
    about = item.get("involvedObject") or item.get("regarding") or {}
    return f"{about.get('kind', '').lower()}/{about.get('name', '')}"


def _said(item: Object) -> str:
    return str(item.get("message") or item.get("note") or "").strip()


def _completions(item: Object) -> str:
    return f"{item.get('status', {}).get('succeeded', 0)}/{item['spec'].get('completions', 1)}"


def _job_status(item: Object) -> str:
    for row in item.get("status", {}).get("conditions", []):
        if row["status"] == "True" and row["type"] in {"Complete", "Failed", "Suspended"}:
            return str(row["type"])
    return "Running"


def _job_time(item: Object) -> str:
    status = item.get("status", {})
    if not status.get("startTime"):
        return ""
    begun = dt.datetime.fromisoformat(status["startTime"])
    ended = status.get("completionTime")
    if ended:
        return duration((dt.datetime.fromisoformat(ended) - begun).total_seconds())
    return since(begun)


def _node_status(item: Object) -> str:
    rows = item.get("status", {}).get("conditions", [])
    ready = any(row["type"] == "Ready" and row["status"] == "True" for row in rows)
    cordoned = ",SchedulingDisabled" if item.get("spec", {}).get("unschedulable") else ""
    return ("Ready" if ready else "NotReady") + cordoned


def _count(*fields: str) -> Cell:
    return lambda item: sum(len(item.get(field) or {}) for field in fields)


def _set_ready(item: Object) -> str:
    return f"{item.get('status', {}).get('readyReplicas', 0)}/{item['spec'].get('replicas', 1)}"


_EVENT = [
    Column("Last Seen", _seen),
    Column("Type", _at("type")),
    Column("Reason", _at("reason")),
    Column("Object", _about),
    Column("Message", _said),
]
_COLUMNS: dict[Resource, list[Column]] = {
    PODS: [
        NAME,
        Column("Ready", _ready),
        Column("Status", _pod_status),
        Column("Restarts", _restarts),
        AGE,
        Column("IP", _at("status", "podIP"), priority=1),
        Column("Node", _at("spec", "nodeName"), priority=1),
        Column("Nominated Node", _at("status", "nominatedNodeName"), priority=1),
        Column("Readiness Gates", lambda _item: "<none>", priority=1),
    ],
    CLAIMS: [
        NAME,
        Column(
            "Status",
            lambda item: (
                "Terminating"
                if "deletionTimestamp" in item["metadata"]
                else _at("status", "phase", missing="Pending")(item)
            ),
        ),
        Column("Volume", _at("spec", "volumeName", missing="")),
        Column("Capacity", _at("status", "capacity", "storage", missing="")),
        Column("Access Modes", _modes),
        Column("StorageClass", _at("spec", "storageClassName", missing="")),
        Column("VolumeAttributesClass", lambda _item: "<unset>"),
        AGE,
        Column("VolumeMode", _at("spec", "volumeMode"), priority=1),
    ],
    SERVICES: [
        NAME,
        Column("Type", _at("spec", "type", missing="ClusterIP")),
        Column("Cluster-IP", _at("spec", "clusterIP")),
        Column("External-IP", lambda _item: "<none>"),
        Column("Port(s)", _ports),
        AGE,
        Column("Selector", _selector, priority=1),
    ],
    CONFIG_MAPS: [NAME, Column("Data", _count("data", "binaryData"), "integer"), AGE],
    SECRETS: [NAME, Column("Type", _at("type")), Column("Data", _count("data"), "integer"), AGE],
    NAMESPACES: [NAME, Column("Status", _at("status", "phase")), AGE],
    EVENTS: _EVENT,
    NEW_EVENTS: _EVENT,
    LEASES: [NAME, Column("Holder", _at("spec", "holderIdentity", missing="")), AGE],
    JOBS: [
        NAME,
        Column("Status", _job_status),
        Column("Completions", _completions),
        Column("Duration", _job_time),
        AGE,
    ],
    STATEFUL_SETS: [NAME, Column("Ready", _set_ready), AGE],
    NODES: [
        NAME,
        Column("Status", _node_status),
        Column("Roles", lambda _item: "<none>"),
        AGE,
        Column("Version", _at("status", "nodeInfo", "kubeletVersion", missing="")),
    ],
    ROLE_BINDINGS: [
        NAME,
        Column("Role", lambda item: f"{item['roleRef']['kind']}/{item['roleRef']['name']}"),
        AGE,
    ],
    DEFINITIONS: [NAME, Column("Created At", _at("metadata", "creationTimestamp"), "date")],
}


def of(resource: Resource) -> list[Column]:
    """The columns of a kind."""
    return _COLUMNS.get(resource, [NAME, AGE])
