"""One pass over a MariaDB, phase by phase, in the operator's order."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from hasteward_lab.api import admission
from hasteward_lab.api.resources import (
    ACCOUNTS,
    BUDGETS,
    CLAIMS,
    CONFIG_MAPS,
    JOBS,
    PODS,
    SECRETS,
    SERVICES,
    STATEFUL_SETS,
)
from hasteward_lab.kubelet.status import is_ready
from hasteward_lab.mariadb.init import condition, configured
from hasteward_lab.mariadb.names import PVC_ROLE, ROLE, ordinal
from hasteward_lab.mariadb.operator import conditions
from hasteward_lab.mariadb.operator.defaults import defaulted
from hasteward_lab.mariadb.operator.recovery import Recovery
from hasteward_lab.mariadb.operator.restart import RecoveryError
from hasteward_lab.mariadb.operator.status import Status

if TYPE_CHECKING:
    from hasteward_lab.mariadb.operator.desk import Desk

Object = dict[str, Any]

_SUSPENDED, _SOON, _UPDATING = 10.0, 1.0, 3.0
# What a pass puts back in a StatefulSet that others have changed.
_OURS = ("template", "updateStrategy", "replicas")


class Pass:
    """The phases; each returns seconds to wait, or None to go on."""

    def __init__(self, desk: Desk, image: str) -> None:
        self._desk = desk
        self._image = image
        self._recovery = Recovery(desk)
        self._status = Status(desk)

    async def run(self) -> float | None:
        """One pass; RecoveryError is the recovery's own failure, told in the status."""
        desk = self._desk
        found = desk.mariadb()
        if found is None or "deletionTimestamp" in found["metadata"]:
            return None
        found = self._default(found)
        self._status.run(found)
        if found["spec"].get("suspend"):
            return _SUSPENDED
        self._belongings(found)
        wait = self._initialise(found)
        if wait is not None:
            return wait
        self._stateful_set(found)
        self._labels(found)
        try:
            wait = await self._galera()
        except RecoveryError as error:
            message = f"Error reconciling Galera: error recovering cluster: {error}"
            desk.status(lambda status: conditions.ready(status, "False", "Failed", message))
            return _SOON
        if wait is not None:
            return wait
        self._failover()
        return self._update()

    def _default(self, mariadb: Object) -> Object:
        image = self._desk.maker(mariadb).operator_image
        full = defaulted(self._desk.names.cluster, mariadb["spec"], self._image, image)
        if full != mariadb["spec"]:

            def change(spec: Object) -> None:
                spec.clear()
                spec.update(full)

            self._desk.spec(change)
        return self._desk.mariadb() or mariadb

    def _belongings(self, mariadb: Object) -> None:
        """Secrets, configuration, account, services, budget: made once."""
        desk, maker = self._desk, self._desk.maker(mariadb)
        name, root = desk.names.cluster, mariadb["spec"]["rootPasswordSecretKeyRef"]
        if not desk.secret(root["name"], root["key"]) and root.get("generate"):
            desk.ensure(SECRETS, maker.secret(root["name"], {root["key"]: secrets.token_urlsafe(12)}))
        desk.ensure(SECRETS, maker.secret(f"internal-{name}", {root["key"]: desk.password(mariadb)}))
        auth = mariadb["spec"]["galera"]["agent"].get("basicAuth", {}).get("passwordSecretKeyRef")
        if auth:
            desk.ensure(SECRETS, maker.secret(auth["name"], {auth["key"]: secrets.token_urlsafe(12)}))
        for body in maker.config_maps():
            desk.ensure(CONFIG_MAPS, body)
        desk.ensure(ACCOUNTS, {"metadata": maker.meta(name)})
        desk.ensure(BUDGETS, maker.budget())
        primary = int(mariadb.get("status", {}).get("currentPrimaryPodIndex", 0))
        for body in maker.services(primary):
            desk.ensure(SERVICES, body)
            if body["metadata"]["name"] == f"{name}-primary":
                self._point(f"{name}-primary", body["spec"]["selector"])

    def _point(self, service: str, selector: Object) -> None:
        def change(item: Object) -> None:
            item["spec"]["selector"] = selector

        self._desk.store.modify(SERVICES, self._desk.names.namespace, service, change)

    def _initialise(self, mariadb: Object) -> float | None:
        """First creation, or adoption of volumes that a deleted MariaDB left."""
        desk = self._desk
        if configured(mariadb) or condition(mariadb, "GaleraInitialized") == "True":
            return None
        if desk.stateful_set() is not None:
            return None
        claims = self._storage_claims()
        if claims and not condition(mariadb, "GaleraInitialized"):
            return self._adopt(claims)
        return self._first_database(mariadb)

    def _adopt(self, claims: list[Object]) -> float | None:
        desk = self._desk
        if any(row.get("status", {}).get("phase") != "Bound" for row in claims):
            desk.event("Warning", "GaleraPVCNotBound", "Galera PVC is not bound")
            return _UPDATING

        def adopt(status: Object) -> None:
            conditions.set_condition(
                status, "GaleraConfigured", "True", "GaleraConfigured", "Galera configured"
            )
            conditions.latch(status)

        desk.status(adopt)
        return None

    def _first_database(self, mariadb: Object) -> float | None:
        """Let a Job make the first member's database; None when it has."""
        desk, maker, names = self._desk, self._desk.maker(mariadb), self._desk.names
        job = f"{names.cluster}-init"
        running = desk.store.find(JOBS, names.namespace, job)
        if running is None:
            desk.status(_initialising)
            for kind in maker.claim_kinds:
                template = maker.claim_template(kind)
                meta = {
                    **template["metadata"],
                    "name": f"{kind}-{names.pod(0)}",
                    "namespace": names.namespace,
                }
                desk.ensure(
                    CLAIMS, admission.defaulted(CLAIMS, {"metadata": meta, "spec": {**template["spec"]}})
                )
            desk.ensure(JOBS, maker.init_job())
            return _SOON
        rows = running.get("status", {}).get("conditions", [])
        if not any(row["type"] == "Complete" and row["status"] == "True" for row in rows):
            return _SOON
        desk.delete(JOBS, job)
        desk.status(_initialised)
        return None

    def _storage_claims(self) -> list[Object]:
        wanted = {**self._desk.names.labels, PVC_ROLE: "storage"}.items()
        rows = self._desk.store.listing(CLAIMS, self._desk.names.namespace)
        return [row for row in rows if wanted <= (row["metadata"].get("labels") or {}).items()]

    def _stateful_set(self, mariadb: Object) -> None:
        desk, body = self._desk, self._desk.maker(mariadb).stateful_set()
        found = desk.stateful_set()
        if found is None:
            desk.ensure(STATEFUL_SETS, body)
            return
        if "deletionTimestamp" in found["metadata"] or mariadb["spec"]["updateStrategy"]["type"] == "Never":
            return

        def change(item: Object) -> None:
            item["spec"].update({key: body["spec"][key] for key in _OURS})

        desk.store.modify(STATEFUL_SETS, desk.names.namespace, desk.names.cluster, change)

    def _labels(self, mariadb: Object) -> None:
        """Ready pods are told which one is the primary."""
        primary = int(mariadb.get("status", {}).get("currentPrimaryPodIndex", 0))
        for pod in self._desk.pods():
            name = pod["metadata"]["name"]
            role = "primary" if ordinal(name) == primary else "replica"
            if is_ready(pod) and pod["metadata"]["labels"].get(ROLE) != role:
                self._label(name, role)
        self._status.secondaries(primary)

    def _label(self, pod: str, role: str) -> None:
        def change(item: Object) -> None:
            item["metadata"]["labels"][ROLE] = role

        self._desk.store.modify(PODS, self._desk.names.namespace, pod, change)

    async def _galera(self) -> float | None:
        """Recover if latched; open the latch when everybody is ready."""
        desk = self._desk
        found = desk.mariadb()
        assert found is not None
        if condition(found, "GaleraReady") == "False":
            wait = await self._recovery.run(found)
            if wait is not None:
                return wait
        if condition(found, "GaleraReady") == "True":
            return None
        item = desk.stateful_set() or {}
        replicas = int(found["spec"]["replicas"])
        if item.get("status", {}).get("readyReplicas", 0) != replicas:
            return _SOON
        for pod in desk.names.pods(replicas):
            try:
                await desk.agent(pod, "DELETE", "/api/galera/bootstrap")
            except OSError:
                return _SOON
        desk.event("Normal", "GaleraClusterHealthy", "Galera cluster is healthy")
        desk.status(conditions.galera_ready)
        self._status.run(desk.mariadb() or found)
        return None

    def _failover(self) -> None:
        """The lowest ready pod becomes primary when the one that was is not ready."""
        found = self._desk.mariadb()
        if found is None or condition(found, "GaleraReady") != "True":
            return
        primary = found["spec"]["galera"]["primary"]
        current = int(found.get("status", {}).get("currentPrimaryPodIndex", primary["podIndex"]))
        ready = [ordinal(pod["metadata"]["name"]) for pod in self._desk.pods() if is_ready(pod)]
        wanted = int(primary["podIndex"])
        if current == wanted and (current in ready or not primary.get("autoFailover") or not ready):
            return
        target = wanted if wanted in ready else min(ready, default=current)
        if target == current:
            return
        self._desk.event(
            "Normal", "PrimarySwitching", f"Switching primary from index '{current}' to '{target}'"
        )
        self._desk.spec(lambda spec: spec["galera"]["primary"].update(podIndex=target))
        self._desk.status(lambda status: self._status.primary(status, target))
        self._desk.event(
            "Normal", "PrimarySwitched", f"Primary switched from index '{current}' to '{target}'"
        )

    def _update(self) -> float | None:
        """ReplicasFirstPrimaryLast: one stale pod at a time, while all are ready."""
        desk, found = self._desk, self._desk.mariadb()
        item = desk.stateful_set()
        if found is None or item is None:
            return None
        if found["spec"]["updateStrategy"]["type"] != "ReplicasFirstPrimaryLast":
            return None
        revision = item.get("status", {}).get("updateRevision")
        pods = desk.pods()
        primary = int(found.get("status", {}).get("currentPrimaryPodIndex", 0))
        stale = [
            pod
            for pod in pods
            if revision and pod["metadata"]["labels"].get("controller-revision-hash") != revision
        ]
        if not stale or len(pods) != int(found["spec"]["replicas"]) or not all(is_ready(pod) for pod in pods):
            return None
        names = [pod["metadata"]["name"] for pod in stale]
        replicas = sorted((name for name in names if ordinal(name) != primary), key=ordinal, reverse=True)
        desk.status(
            lambda status: conditions.set_condition(status, "Updated", "False", "Updating", "Updating")
        )
        desk.delete(PODS, (replicas or names)[0])
        return _UPDATING


def _initialising(status: Object) -> None:
    conditions.ready(status, "False", "Initializing", "Initializing")
    conditions.set_condition(status, "GaleraInitialized", "False", "GaleraInitialized", "Galera initializing")


def _initialised(status: Object) -> None:
    conditions.set_condition(status, "GaleraInitialized", "True", "GaleraInitialized", "Galera initialized")
