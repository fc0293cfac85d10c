"""Volumes for claims: provisioned, bound, grown, protected while in use, and given back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hasteward_lab.api.admission import PROTECTION
from hasteward_lab.api.resources import CLAIMS, PODS, STORAGE_CLASSES, VOLUMES
from hasteward_lab.controllers.base import Controller
from hasteward_lab.kubelet.attach import claims_of
from hasteward_lab.kubelet.volumes import parse_size
from hasteward_lab.state import LabError

if TYPE_CHECKING:
    from hasteward_lab.api.store import Event, Store
    from hasteward_lab.kubelet.volumes import Volumes

Object = dict[str, Any]

CLASS = "lab"


class Claims(Controller):
    """The provisioner of the storage class `lab`, and the protection of claims in use."""

    watches = (CLAIMS, PODS)

    def __init__(self, store: Store, volumes: Volumes) -> None:
        super().__init__(store)
        self._volumes = volumes
        if not store.find(STORAGE_CLASSES, "", CLASS):
            mark = {"storageclass.kubernetes.io/is-default-class": "true"}
            made = {"metadata": {"name": CLASS, "annotations": mark}, "provisioner": "lab.hasteward/tmpfs"}
            more = {"volumeBindingMode": "Immediate", "allowVolumeExpansion": True, "reclaimPolicy": "Delete"}
            store.create(STORAGE_CLASSES, made | more)

    def note(self, event: Event) -> None:
        """A claim that is gone gives its volume back, at once: its name may be used again."""
        if event.resource == CLAIMS and event.after is None and event.before is not None:
            meta = event.before["metadata"]
            self._volumes.release(meta["namespace"], meta["name"])
            self.store.finish(VOLUMES, "", event.before["spec"].get("volumeName", ""))

    def reconcile(self) -> None:
        """Look at every claim."""
        for claim in self.store.listing(CLAIMS):
            if "deletionTimestamp" in claim["metadata"]:
                self._unprotect(claim)
            elif claim.get("status", {}).get("phase") != "Bound":
                self._provision(claim)
            else:
                self._volume(claim)
                self._grow(claim)

    def _provision(self, claim: Object) -> None:
        meta, spec = claim["metadata"], claim["spec"]
        if spec.get("storageClassName", CLASS) != CLASS:
            return
        size = spec["resources"]["requests"]["storage"]
        if not self._volumes.path(meta["namespace"], meta["name"]).exists():
            self._volumes.provision(meta["namespace"], meta["name"], size)

        def bind(item: Object) -> None:
            item["spec"]["volumeName"] = f"pvc-{meta['uid']}"
            annotations = item["metadata"].setdefault("annotations", {})
            annotations["pv.kubernetes.io/bind-completed"] = "yes"
            modes = item["spec"].get("accessModes", [])
            item["status"] = {"phase": "Bound", "accessModes": modes, "capacity": {"storage": size}}

        self.store.modify(CLAIMS, meta["namespace"], meta["name"], bind)

    def _volume(self, claim: Object) -> None:
        name = claim["spec"].get("volumeName", "")
        if not name or self.store.find(VOLUMES, "", name):
            return
        meta = claim["metadata"]
        reference = {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": meta["namespace"]}
        spec = {
            "accessModes": claim["spec"].get("accessModes", []),
            "capacity": claim.get("status", {}).get("capacity", {}),
            "claimRef": {**reference, "name": meta["name"], "uid": meta["uid"]},
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": claim["spec"].get("storageClassName", CLASS),
            "volumeMode": "Filesystem",
        }
        status = {"phase": "Bound"}
        self.store.create(VOLUMES, {"metadata": {"name": name}, "spec": spec, "status": status}, status=True)

    def _grow(self, claim: Object) -> None:
        meta = claim["metadata"]
        wanted = claim["spec"].get("resources", {}).get("requests", {}).get("storage", "0")
        held = claim.get("status", {}).get("capacity", {}).get("storage", "0")
        try:
            if parse_size(wanted) <= parse_size(held):
                return
        except LabError:
            return
        self._volumes.resize(meta["namespace"], meta["name"], wanted)

        def grown(item: Object) -> None:
            item["status"]["capacity"] = {"storage": wanted}

        self.store.modify(CLAIMS, meta["namespace"], meta["name"], grown)

    def _unprotect(self, claim: Object) -> None:
        meta = claim["metadata"]
        pods = self.store.listing(PODS, meta["namespace"])
        if any(meta["name"] in claims_of(pod) for pod in pods if not _is_over(pod)):
            return

        def let_go(item: Object) -> None:
            finalizers = item["metadata"].get("finalizers", [])
            item["metadata"]["finalizers"] = [name for name in finalizers if name != PROTECTION]

        self.store.modify(CLAIMS, meta["namespace"], meta["name"], let_go)


def _is_over(pod: Object) -> bool:
    return pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}
