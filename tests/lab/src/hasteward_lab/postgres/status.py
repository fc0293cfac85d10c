"""Writes the Cluster's status and the role labels, as the operator does: the phase is sticky."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from hasteward_lab.api.errors import ApiError
from hasteward_lab.api.resources import CLAIMS, CLUSTERS, PODS
from hasteward_lab.api.store import now
from hasteward_lab.kubelet.status import is_ready

if TYPE_CHECKING:
    from hasteward_lab.api.store import Store
    from hasteward_lab.kubelet.kubelet import Kubelet
    from hasteward_lab.postgres.objects import Plan

Object = dict[str, Any]

_LOOK = (
    "SELECT timeline_id, NOT pg_is_in_recovery(), (SELECT system_identifier FROM pg_control_system()) "
    "FROM pg_control_checkpoint()"
)


def _micro() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class ClusterStatus:
    """The operator's eye on one cluster."""

    def __init__(self, plan: Plan, store: Store, kubelet: Kubelet) -> None:
        self._plan = plan
        self._store = store
        self._kubelet = kubelet
        self._reported: dict[str, tuple[str, Object]] = {}
        self._system = ""
        self.primary = plan.member(1)

    async def sql(self, member: str, *statements: str) -> str:
        """Run SQL in a member as its superuser."""
        running = self._kubelet.worker(self._plan.namespace, member).running
        if running is None:
            raise RuntimeError(f"{member} does not run")
        argv = ["psql", "-X", "-U", "postgres", "-Atq", "-v", "ON_ERROR_STOP=1", "-f", "-", "postgres"]
        done = await running.run(argv, ";\n".join(statements).encode() + b";\n")
        if done.returncode:
            raise RuntimeError(f"{member}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout.decode().strip()

    def set_phase(self, phase: str, *, primary: str | None = None) -> None:
        """Set the phase; it stays until the next one is set, whatever the pods do."""

        def change(cluster: Object) -> None:
            status = cluster.setdefault("status", {})
            status["phase"] = phase
            if primary:
                status.update({"targetPrimary": primary, "targetPrimaryTimestamp": _micro()})

        self._store.modify(CLUSTERS, self._plan.namespace, self._plan.name, change)

    async def refresh(self) -> None:
        """Look at pods and claims and write what is seen; an unchanged status is not written."""
        pods = self._store.listing(PODS, self._plan.namespace)
        pods = [
            pod for pod in pods if pod["metadata"].get("labels", {}).get("cnpg.io/cluster") == self._plan.name
        ]
        for pod in pods:
            self._label(pod)
            await self._ask(pod)
        seen = self._seen(pods)

        def change(cluster: Object) -> None:
            status = cluster.setdefault("status", {})
            status.update(seen)
            if status.get("currentPrimary") != self.primary:
                status["currentPrimaryTimestamp"] = _micro()
            status["currentPrimary"] = self.primary
            status["conditions"] = _conditions(status)

        self._store.modify(CLUSTERS, self._plan.namespace, self._plan.name, change)

    def _label(self, pod: Object) -> None:
        name = pod["metadata"]["name"]
        role = "primary" if name == self.primary else "replica"

        def change(item: Object) -> None:
            labels = item["metadata"].setdefault("labels", {})
            labels.update({"role": role, "cnpg.io/instanceRole": role})

        self._store.modify(PODS, self._plan.namespace, name, change)
        self._store.modify(CLAIMS, self._plan.namespace, name, change)

    async def _ask(self, pod: Object) -> None:
        """Ask a member about itself once per start and readiness; an unready one keeps no timeline."""
        name = pod["metadata"]["name"]
        rows = pod.get("status", {}).get("containerStatuses", [])
        mark = f"{pod['metadata']['uid']} {[(row['containerID'], row['ready']) for row in rows]}"
        if self._reported.get(name, ("", {}))[0] == mark:
            return
        report: Object = {"isPrimary": name == self.primary, "ip": pod.get("status", {}).get("podIP", "")}
        if is_ready(pod):
            try:
                timeline, primary, self._system = (await self.sql(name, _LOOK)).split("|")
            except (RuntimeError, ValueError, ApiError):
                return
            report.update({"timeLineID": int(timeline), "isPrimary": primary == "t"})
        self._reported[name] = (mark, report)

    def _seen(self, pods: list[Object]) -> Object:
        plan = self._plan
        claims = [item["metadata"] for item in self._store.listing(CLAIMS, plan.namespace)]
        names = [
            meta["name"]
            for meta in claims
            if meta.get("labels", {}).get("cnpg.io/cluster") == plan.name and "deletionTimestamp" not in meta
        ]
        live = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        ready = [pod["metadata"]["name"] for pod in live if is_ready(pod)]
        rest = [pod["metadata"]["name"] for pod in live if not is_ready(pod)]
        states = {"healthy": ready, "replicating": rest}
        with_pod = {pod["metadata"]["name"] for pod in pods}
        reported = {name: self._reported[name][1] for name in sorted(with_pod) if name in self._reported}
        seen: Object = {
            "instances": len(names),
            "readyInstances": len(ready),
            "instanceNames": names,
            "pvcCount": len(names),
            "selector": f"cnpg.io/cluster={plan.name},cnpg.io/podRole=instance",
            "instancesStatus": {key: value for key, value in states.items() if value},
            "instancesReportedState": reported,
            "healthyPVC": [name for name in names if name in with_pod],
            "danglingPVC": [name for name in names if name not in with_pod],
            "systemID": self._system,
            "image": plan.image,
            "pgDataImageInfo": {"image": plan.image, "majorVersion": plan.major},
            "writeService": f"{plan.name}-rw",
            "readService": f"{plan.name}-r",
            "managedRolesStatus": {},
            "switchReplicaClusterStatus": {},
            "topology": {"successfullyExtracted": True, "nodesUsed": plan.members},
        }
        timeline = reported.get(self.primary, {}).get("timeLineID")
        return {**seen, "timelineID": timeline} if timeline else seen


def _conditions(status: Object) -> list[Object]:
    """The conditions; Ready follows the phase, and so is as sticky as that."""
    healthy = status.get("phase") == "Cluster in healthy state"
    wanted = {
        "Initialized": (True, "BootstrapCompleted", "Cluster has been bootstrapped"),
        "ConsistentSystemID": (
            True,
            "Unique",
            "A single, unique system ID was found across reporting instances.",
        ),
        "Ready": (
            healthy,
            "ClusterIsReady" if healthy else "ClusterIsNotReady",
            "Cluster is Ready" if healthy else "Cluster Is Not Ready",
        ),
    }
    before = {row["type"]: row for row in status.get("conditions", [])}
    rows = []
    for kind, (holds, reason, message) in wanted.items():
        value = "True" if holds else "False"
        old = before.get(kind)
        if old and old["status"] == value:
            rows.append(old)
        else:
            new = {"type": kind, "status": value, "reason": reason, "message": message}
            rows.append({**new, "lastTransitionTime": now()})
    return rows
