"""Whether a pod's volumes can be mounted on its node, and how a pod waits that cannot start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hasteward_lab.api import events
from hasteward_lab.api.resources import CLAIMS, PODS
from hasteward_lab.api.store import now
from hasteward_lab.kubelet.status import ContainerState

if TYPE_CHECKING:
    from hasteward_lab.api.store import Store
    from hasteward_lab.kubelet.volumes import Volumes

Object = dict[str, Any]

_OVER = {"Succeeded", "Failed"}


@dataclass(frozen=True)
class Obstacle:
    """What stands in the way, as the event about it says."""

    reason: str
    message: str


def claims_of(pod: Object) -> list[str]:
    """The claims a pod mounts."""
    rows = pod["spec"].get("volumes") or []
    return [row["persistentVolumeClaim"]["claimName"] for row in rows if "persistentVolumeClaim" in row]


def obstacle(store: Store, volumes: Volumes, pod: Object) -> Obstacle | None:
    """What keeps a pod's volumes from its node: not there yet, or ReadWriteOnce and in use elsewhere."""
    meta = pod["metadata"]
    for name in claims_of(pod):
        claim = store.find(CLAIMS, meta["namespace"], name)
        if claim is None or not volumes.path(meta["namespace"], name).exists():
            return Obstacle(
                "FailedMount", f'Unable to attach or mount volumes: persistentvolumeclaim "{name}" not found'
            )
        if not {"ReadWriteOnce", "ReadWriteOncePod"} & set(claim["spec"].get("accessModes", [])):
            continue
        holders = [
            other["metadata"]["name"]
            for other in store.listing(PODS, meta["namespace"])
            if name in claims_of(other) and _holds(other, pod)
        ]
        if holders:
            volume = claim["spec"].get("volumeName", f"pvc-{claim['metadata']['uid']}")
            return Obstacle(
                "FailedAttachVolume",
                f'Multi-Attach error for volume "{volume}" Volume is already used by pod(s) '
                + ", ".join(holders),
            )
    return None


def _holds(other: Object, pod: Object) -> bool:
    """Say whether another pod has its volumes attached to another node."""
    if other["metadata"]["uid"] == pod["metadata"].get("uid"):
        return False
    status = other.get("status", {})
    begun = bool(status.get("podIP")) and status.get("phase") not in _OVER
    return begun and other["spec"].get("nodeName") != pod["spec"].get("nodeName")


def refuse(store: Store, pod: Object, waiting: str, message: str, reason: str) -> None:
    """Let a pod wait: its status says why, and so does an event."""
    meta = pod["metadata"]

    def change(item: Object) -> None:
        rows = []
        for row in item["spec"]["containers"]:
            state = ContainerState(row["name"], row["image"], state={"waiting": {"reason": waiting}})
            if waiting != "ContainerCreating":
                state.state["waiting"]["message"] = message
            rows.append({**state.to_json(), "imageID": ""})
        placed = {"type": "PodScheduled", "status": "True", "lastProbeTime": None}
        old = item.get("status", {})
        conditions = old.get("conditions") or [{**placed, "lastTransitionTime": now()}]
        item["status"] = {**old, "phase": "Pending", "containerStatuses": rows, "conditions": conditions}

    changed = store.modify(PODS, meta["namespace"], meta["name"], change)
    if changed is not None and not _told(store, changed, reason, message):
        events.record(store, changed, "Warning", reason, message, component="kubelet")


def _told(store: Store, pod: Object, reason: str, message: str) -> bool:
    from hasteward_lab.api.resources import EVENTS

    rows = store.listing(EVENTS, pod["metadata"]["namespace"])
    return any(
        row["involvedObject"].get("uid") == pod["metadata"]["uid"]
        and (row["reason"], row["message"]) == (reason, message)
        for row in rows
    )
