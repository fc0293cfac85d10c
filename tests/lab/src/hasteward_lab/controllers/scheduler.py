"""Gives every pod a node, or says why it finds none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hasteward_lab.api import events
from hasteward_lab.api.resources import CLAIMS, NODES, PODS
from hasteward_lab.api.store import now
from hasteward_lab.controllers.base import Controller
from hasteward_lab.kubelet.attach import claims_of

if TYPE_CHECKING:
    from hasteward_lab.api.store import Store
    from hasteward_lab.faults import FaultTable

Object = dict[str, Any]


class Scheduler(Controller):
    """The default scheduler: least pods first, node selectors and cordons honoured."""

    watches = (PODS, NODES, CLAIMS)
    # A fault that kept a pod from its node ends without an event.
    resync = 1.0

    def __init__(self, store: Store, faults: FaultTable) -> None:
        super().__init__(store)
        self._faults = faults

    def reconcile(self) -> None:
        """Place every pod that has no node."""
        for pod in self.store.listing(PODS):
            if not pod["spec"].get("nodeName") and "deletionTimestamp" not in pod["metadata"]:
                self._place(pod)

    def _place(self, pod: Object) -> None:
        problem = self._claims(pod)
        nodes = self.store.listing(NODES)
        fitting = [] if self._faults.unschedulable(pod["metadata"]["name"]) else _fitting(pod, nodes)
        if problem or not fitting:
            self._refuse(pod, problem or _why(pod, nodes))
            return
        load = [other["spec"].get("nodeName") for other in self.store.listing(PODS)]
        chosen = min(fitting, key=lambda name: (load.count(name), name))

        def bind(item: Object) -> None:
            item["spec"]["nodeName"] = chosen
            condition = {"type": "PodScheduled", "status": "True", "lastProbeTime": None}
            status = item.setdefault("status", {})
            status.update({"phase": "Pending", "conditions": [{**condition, "lastTransitionTime": now()}]})

        meta = pod["metadata"]
        bound = self.store.modify(PODS, meta["namespace"], meta["name"], bind)
        if bound:
            told = f"Successfully assigned {meta['namespace']}/{meta['name']} to {chosen}"
            events.record(self.store, bound, "Normal", "Scheduled", told, component="default-scheduler")

    def _claims(self, pod: Object) -> str:
        for name in claims_of(pod):
            claim = self.store.find(CLAIMS, pod["metadata"]["namespace"], name)
            if claim is None:
                return f'persistentvolumeclaim "{name}" not found'
            if "deletionTimestamp" in claim["metadata"]:
                return f'persistentvolumeclaim "{name}" is being deleted'
            if claim.get("status", {}).get("phase") != "Bound":
                return "pod has unbound immediate PersistentVolumeClaims"
        return ""

    def _refuse(self, pod: Object, why: str) -> None:
        meta, message = pod["metadata"], why
        if not why[0].isdigit():
            message = f"0/{len(self.store.listing(NODES))} nodes are available: {why}."

        def change(item: Object) -> None:
            status = item.setdefault("status", {})
            old: Object = next(iter(status.get("conditions") or []), {})
            row: Object = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
            row["message"] = message
            row |= {"lastProbeTime": None, "lastTransitionTime": old.get("lastTransitionTime", now())}
            status.update({"phase": "Pending", "conditions": [row]})

        before = pod.get("status")
        refused = self.store.modify(PODS, meta["namespace"], meta["name"], change)
        if refused and refused.get("status") != before:
            component = "default-scheduler"
            events.record(self.store, refused, "Warning", "FailedScheduling", message, component=component)


def _fitting(pod: Object, nodes: list[Object]) -> list[str]:
    return [node["metadata"]["name"] for node in nodes if _open(node) and _selected(pod, node)]


def _open(node: Object) -> bool:
    return not node.get("spec", {}).get("unschedulable")


def _selected(pod: Object, node: Object) -> bool:
    labels = {"kubernetes.io/hostname": node["metadata"]["name"], **node["metadata"].get("labels", {})}
    return all(labels.get(key) == value for key, value in (pod["spec"].get("nodeSelector") or {}).items())


def _why(pod: Object, nodes: list[Object]) -> str:
    closed = sum(not _open(node) for node in nodes)
    other = sum(_open(node) and not _selected(pod, node) for node in nodes)
    parts = [f"{closed} node(s) were unschedulable"] if closed else []
    parts += [f"{other} node(s) didn't match Pod's node affinity/selector"] if other else []
    parts = parts or [f"{len(nodes)} Insufficient memory"]
    begin = f"0/{len(nodes)} nodes are available"
    end = f"preemption: {begin}: {len(nodes)} Preemption is not helpful for scheduling."
    return f"{begin}: {', '.join(parts)}. {end}"
