"""What the operator tells of a MariaDB."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from hasteward_lab.api.resources import SLICES
from hasteward_lab.kubelet.status import is_ready
from hasteward_lab.mariadb.init import condition
from hasteward_lab.mariadb.names import PORT, ordinal
from hasteward_lab.mariadb.operator import conditions

if TYPE_CHECKING:
    from hasteward_lab.mariadb.operator.desk import Desk

Object = dict[str, Any]


class Status:
    """Writes the status and what hangs on it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def run(self, mariadb: Object) -> None:
        """The phase Status; of a suspended MariaDB only Ready is written, of a latched one not even that."""
        self._desk.status(lambda status: self._change(status, mariadb))

    def _change(self, status: Object, mariadb: Object) -> None:
        spec = mariadb["spec"]
        if spec.get("suspend"):
            conditions.ready(status, "False", "Suspended", "Suspended")
            return
        item = self._desk.stateful_set() or {}
        told = item.get("status", {})
        ready = int(told.get("readyReplicas", 0))
        if ready:
            status["replicas"] = ready
        else:
            status.pop("replicas", None)
        status.setdefault("replication", {})
        status.setdefault("defaultVersion", ".".join(spec["image"].rsplit(":", 1)[-1].split(".")[:2]))
        if "currentPrimary" not in status:
            self.primary(status, int(spec["galera"]["primary"]["podIndex"]))
        password = self._desk.password(mariadb)
        if password:
            status["rootPasswordHash"] = hashlib.sha256(password.encode()).hexdigest()
        self._updated(status, told)
        if condition({"status": status}, "GaleraReady") == "False" or not item:
            return
        existing = int(told.get("replicas", 0))
        if existing and ready == existing and condition({"status": status}, "GaleraReady") == "True":
            conditions.ready(status, "True", "StatefulSetReady", "Running")
        else:
            conditions.ready(status, "False", "StatefulSetNotReady", "Not ready")

    def primary(self, status: Object, number: int) -> None:
        """Who the primary is."""
        status["currentPrimary"] = self._desk.names.pod(number)
        status["currentPrimaryPodIndex"] = number

    def secondaries(self, primary: int) -> None:
        """The EndpointSlice of the Service without a selector."""
        names = self._desk.names
        try:
            pods = self._desk.pods()
        except ValueError:
            return
        rows = [
            {"addresses": [pod["status"]["podIP"]], "conditions": {"ready": is_ready(pod)}}
            for pod in pods
            if ordinal(pod["metadata"]["name"]) != primary and pod.get("status", {}).get("podIP")
        ]
        name = f"{names.cluster}-secondary"
        content = {
            "addressType": "IPv4",
            "endpoints": rows,
            "ports": [{"name": "mariadb", "port": PORT, "protocol": "TCP"}],
        }
        labels = {"kubernetes.io/service-name": name}
        if self._desk.store.find(SLICES, names.namespace, name) is None:
            meta = {"name": name, "namespace": names.namespace, "labels": labels}
            self._desk.ensure(SLICES, {"metadata": meta, **content})
        else:
            self._desk.store.modify(SLICES, names.namespace, name, lambda item: item.update(content))

    def _updated(self, status: Object, told: Object) -> None:
        try:
            pods = self._desk.pods()
        except ValueError:
            return
        revision = told.get("updateRevision")
        labels = [pod["metadata"]["labels"].get("controller-revision-hash") for pod in pods]
        if pods and revision and set(labels) == {revision}:
            conditions.set_condition(status, "Updated", "True", "Updated", "Updated")
        elif condition({"status": status}, "Updated") == "True":
            conditions.set_condition(status, "Updated", "False", "PendingUpdate", "Pending update")
