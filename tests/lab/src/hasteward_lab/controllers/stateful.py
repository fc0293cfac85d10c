"""StatefulSets: numbered pods with volumes of their own, one after the other or all at once."""

from __future__ import annotations

import copy
import hashlib
import json
from typing import Any

from hasteward_lab.api import admission, automount
from hasteward_lab.api.resources import CLAIMS, PODS, STATEFUL_SETS
from hasteward_lab.controllers.base import Controller, owned_by, reference
from hasteward_lab.kubelet.status import is_ready

Object = dict[str, Any]


class StatefulSets(Controller):
    """The statefulset controller."""

    watches = (STATEFUL_SETS, PODS)

    def reconcile(self) -> None:
        """Look at every set."""
        for item in self.store.listing(STATEFUL_SETS):
            if "deletionTimestamp" not in item["metadata"]:
                self._advance(item)

    def _advance(self, item: Object) -> None:
        meta, spec = item["metadata"], item["spec"]
        first = spec.get("ordinals", {}).get("start", 0)
        wanted = list(range(first, first + spec.get("replicas", 1)))
        pods = {
            _ordinal(pod): pod for pod in self.store.listing(PODS, meta["namespace"]) if owned_by(pod, item)
        }
        revision = _revision(item)
        parallel = spec.get("podManagementPolicy") == "Parallel"
        settled = self._create(item, wanted, pods, revision, parallel=parallel)
        settled &= self._restart_failed(pods)
        surplus = sorted((number for number in pods if number not in wanted), reverse=True)
        if surplus and (parallel or settled):
            for number in surplus if parallel else surplus[:1]:
                self._delete(pods[number])
        elif settled and not surplus:
            self._update(item, wanted, pods, revision)
        self._give_back(item, wanted, pods)
        self._publish(item, pods, revision)

    def _give_back(self, item: Object, wanted: list[int], pods: dict[int, Object]) -> None:
        """Delete the claims of pods that were scaled away, where the set's policy says so."""
        policy = item["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
        if policy.get("whenScaled") != "Delete":
            return
        meta = item["metadata"]
        stems = [f"{row['metadata']['name']}-{meta['name']}-" for row in item["spec"]["volumeClaimTemplates"]]
        for claim in self.store.listing(CLAIMS, meta["namespace"]):
            name = claim["metadata"]["name"]
            stem, number = name[: name.rfind("-") + 1], name.rsplit("-", 1)[1]
            mine = stem in stems and number.isdigit()
            if mine and int(number) not in wanted and int(number) not in pods:
                self.store.delete(CLAIMS, meta["namespace"], name)

    def _create(
        self, item: Object, wanted: list[int], pods: dict[int, Object], revision: str, *, parallel: bool
    ) -> bool:
        """Create what is missing; False while an earlier one is not ready."""
        for number in wanted:
            pod = pods.get(number)
            if pod is None:
                self._start(item, number, revision)
                if not parallel:
                    return False
            elif not parallel and (not is_ready(pod) or "deletionTimestamp" in pod["metadata"]):
                return False
        return all(number in pods for number in wanted)

    def _restart_failed(self, pods: dict[int, Object]) -> bool:
        """A pod that is over is deleted, to be made again."""
        over = [pod for pod in pods.values() if pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}]
        for pod in over:
            self._delete(pod)
        return not over

    def _update(self, item: Object, wanted: list[int], pods: dict[int, Object], revision: str) -> None:
        """Replace one pod of an older revision, the highest number first."""
        strategy = item["spec"].get("updateStrategy", {})
        if strategy.get("type") == "OnDelete" or not all(is_ready(pod) for pod in pods.values()):
            return
        partition = strategy.get("rollingUpdate", {}).get("partition", 0)
        for number in reversed(wanted):
            labels = pods[number]["metadata"].get("labels", {})
            if number >= partition and labels.get("controller-revision-hash") != revision:
                self._delete(pods[number])
                return

    def _delete(self, pod: Object) -> None:
        meta = pod["metadata"]
        if "deletionTimestamp" not in meta:
            self.store.delete(PODS, meta["namespace"], meta["name"])

    def _start(self, item: Object, number: int, revision: str) -> None:
        meta, spec = item["metadata"], item["spec"]
        name = f"{meta['name']}-{number}"
        pod_spec = copy.deepcopy(spec["template"].get("spec", {}))
        for template in spec.get("volumeClaimTemplates") or []:
            kind = template["metadata"]["name"]
            claim = f"{kind}-{name}"
            self._claim(item, template, claim)
            volumes = [row for row in pod_spec.get("volumes", []) if row["name"] != kind]
            pod_spec["volumes"] = [*volumes, {"name": kind, "persistentVolumeClaim": {"claimName": claim}}]
        labels = {
            **(spec["template"].get("metadata", {}).get("labels") or {}),
            "statefulset.kubernetes.io/pod-name": name,
            "apps.kubernetes.io/pod-index": str(number),
            "controller-revision-hash": revision,
        }
        pod_spec |= {"hostname": name, "subdomain": spec.get("serviceName", "")}
        pod_meta = {"name": name, "namespace": meta["namespace"], "labels": labels}
        annotations = spec["template"].get("metadata", {}).get("annotations") or {}
        pod_meta |= {"annotations": dict(annotations), "ownerReferences": reference(item)}
        self.store.create(PODS, automount.mounted(self.store, {"metadata": pod_meta, "spec": pod_spec}))

    def _claim(self, item: Object, template: Object, name: str) -> None:
        namespace = item["metadata"]["namespace"]
        if self.store.find(CLAIMS, namespace, name):
            return
        labels = {
            **(template["metadata"].get("labels") or {}),
            **(item["spec"].get("selector", {}).get("matchLabels") or {}),
        }
        meta: Object = {"name": name, "namespace": namespace, "labels": labels}
        policy = item["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
        if policy.get("whenDeleted") == "Delete":
            meta["ownerReferences"] = reference(item)
        claim = {"metadata": meta, "spec": copy.deepcopy(template["spec"])}
        self.store.create(CLAIMS, admission.defaulted(CLAIMS, claim))

    def _publish(self, item: Object, pods: dict[int, Object], revision: str) -> None:
        meta = item["metadata"]
        ready = [pod for pod in pods.values() if is_ready(pod)]
        fresh = [
            p for p in pods.values() if p["metadata"]["labels"].get("controller-revision-hash") == revision
        ]

        def change(found: Object) -> None:
            status = found.setdefault("status", {})
            status.update(
                {
                    "observedGeneration": found["metadata"].get("generation", 1),
                    "replicas": len(pods),
                    "readyReplicas": len(ready),
                    "availableReplicas": len(ready),
                    "updatedReplicas": len(fresh),
                    "updateRevision": revision,
                    "collisionCount": 0,
                }
            )
            if len(fresh) == len(pods):
                status["currentRevision"] = revision
            current = status.setdefault("currentRevision", revision)
            labels = [pod["metadata"]["labels"].get("controller-revision-hash") for pod in pods.values()]
            status["currentReplicas"] = labels.count(current)

        self.store.modify(STATEFUL_SETS, meta["namespace"], meta["name"], change)


def _ordinal(pod: Object) -> int:
    return int(pod["metadata"]["name"].rsplit("-", 1)[1])


def _revision(item: Object) -> str:
    """The name of a set's template."""
    content = json.dumps(item["spec"]["template"], sort_keys=True).encode()
    return f"{item['metadata']['name']}-{hashlib.sha256(content).hexdigest()[:10]}"
