"""Services: endpoints that follow readiness, and names that lead to a live one in every pod."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hasteward_lab.api.resources import ENDPOINTS, PODS, SERVICES, SLICES
from hasteward_lab.controllers.base import Controller
from hasteward_lab.kubelet.network import GATEWAY
from hasteward_lab.kubelet.status import is_ready

if TYPE_CHECKING:
    from hasteward_lab.api.resources import Resource
    from hasteward_lab.api.store import Store
    from hasteward_lab.kubelet.kubelet import Kubelet

Object = dict[str, Any]


class Services(Controller):
    """Endpoints, EndpointSlices and `/etc/hosts`."""

    watches = (SERVICES, PODS)

    def __init__(self, store: Store, kubelet: Kubelet) -> None:
        super().__init__(store)
        self._kubelet = kubelet
        self._hosts: dict[str, str] = {}

    def reconcile(self) -> None:
        """Look at every service."""
        hosts: dict[str, str] = {}
        present = set()
        for service in self.store.listing(SERVICES):
            meta, spec = service["metadata"], service["spec"]
            present.add((meta["namespace"], meta["name"]))
            pods = self._behind(service) if spec.get("selector") else []
            ready = [pod for pod in pods if is_ready(pod) or spec.get("publishNotReadyAddresses")]
            if spec.get("selector"):
                self._write(service, pods, ready)
            # Nobody but the API listens on the gateway: a service without endpoints refuses, as it should.
            first = ready[0]["status"]["podIP"] if ready else GATEWAY
            if spec.get("clusterIP") != "None" or ready:
                hosts |= dict.fromkeys(names(meta["name"], meta["namespace"]), first)
            for pod in ready:
                inner = f"{pod['metadata']['name']}.{meta['name']}"
                hosts |= dict.fromkeys(names(inner, meta["namespace"])[1:], pod["status"]["podIP"])
        for resource in (ENDPOINTS, SLICES):
            self._forget(resource, present)
        if hosts != self._hosts:
            self._hosts = hosts
            self._kubelet.set_services(hosts)

    def _behind(self, service: Object) -> list[Object]:
        meta, wanted = service["metadata"], service["spec"]["selector"].items()
        pods = self.store.listing(PODS, meta["namespace"])
        found = [pod for pod in pods if wanted <= (pod["metadata"].get("labels") or {}).items()]
        return [
            pod
            for pod in found
            if pod.get("status", {}).get("podIP") and "deletionTimestamp" not in pod["metadata"]
        ]

    def _write(self, service: Object, pods: list[Object], ready: list[Object]) -> None:
        meta, spec = service["metadata"], service["spec"]
        ports = [
            {"name": row.get("name", ""), "port": _port(row), "protocol": row.get("protocol", "TCP")}
            for row in spec.get("ports", [])
        ]
        rest = [pod for pod in pods if pod not in ready]
        subset: Object = {"ports": ports}
        if ready:
            subset["addresses"] = [_address(pod) for pod in ready]
        if rest:
            subset["notReadyAddresses"] = [_address(pod) for pod in rest]
        self._put(ENDPOINTS, service, meta["name"], {"subsets": [subset] if pods else []})
        rows = [
            {
                "addresses": [pod["status"]["podIP"]],
                "conditions": {"ready": pod in ready, "serving": pod in ready, "terminating": False},
                "nodeName": pod["spec"].get("nodeName", ""),
                "targetRef": _address(pod)["targetRef"],
            }
            for pod in pods
        ]
        content = {"addressType": "IPv4", "endpoints": rows, "ports": ports}
        self._put(SLICES, service, f"{meta['name']}-lab", content)

    def _put(self, resource: Resource, service: Object, name: str, content: Object) -> None:
        meta = service["metadata"]
        if self.store.find(resource, meta["namespace"], name):
            self.store.modify(resource, meta["namespace"], name, lambda item: item.update(content))
            return
        labels = {**meta.get("labels", {}), "kubernetes.io/service-name": meta["name"]}
        fresh = {"name": name, "namespace": meta["namespace"], "labels": labels}
        self.store.create(resource, {"metadata": fresh, **content})

    def _forget(self, resource: Resource, present: set[tuple[str, str]]) -> None:
        for item in self.store.listing(resource):
            meta = item["metadata"]
            service = meta.get("labels", {}).get("kubernetes.io/service-name")
            if service and (meta["namespace"], service) not in present:
                self.store.finish(resource, meta["namespace"], meta["name"])


def names(name: str, namespace: str) -> list[str]:
    """Every way to name a service."""
    return [name, *(f"{name}.{namespace}{end}" for end in ("", ".svc", ".svc.cluster.local"))]


def _port(row: Object) -> int:
    target: Any = row.get("targetPort") or row["port"]
    return int(target) if str(target).isdigit() else int(row["port"])


def _address(pod: Object) -> Object:
    meta = pod["metadata"]
    reference = {"kind": "Pod", "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]}
    return {"ip": pod["status"]["podIP"], "nodeName": pod["spec"].get("nodeName", ""), "targetRef": reference}
