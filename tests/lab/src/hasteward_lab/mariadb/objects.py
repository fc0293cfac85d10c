"""The objects around a MariaDB, named, labelled and owned as the operator makes them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hasteward_lab.controllers.base import reference
from hasteward_lab.mariadb import config
from hasteward_lab.mariadb.names import (
    AGENT_PORT,
    AUTH,
    CONFIG,
    DATA,
    GALERA,
    MARIADB,
    OPERATOR_IMAGE,
    PORT,
    PROBE_PORT,
    PVC_ROLE,
    Names,
)

Object = dict[str, Any]

_PORTS = (
    ("mariadb", PORT),
    ("cluster", 4567),
    ("ist", 4568),
    ("sst", 4444),
    ("agent", AGENT_PORT),
    ("agent-probe", PROBE_PORT),
)
_SECURITY = {"runAsNonRoot": True, "runAsUser": 999, "runAsGroup": 999, "fsGroup": 999}


@dataclass(frozen=True)
class Maker:
    """Makes the objects of one MariaDB as its spec is now."""

    mariadb: Object
    level: str

    @property
    def names(self) -> Names:
        """What they are called."""
        meta = self.mariadb["metadata"]
        return Names(meta["name"], meta["namespace"])

    @property
    def spec(self) -> Object:
        """The MariaDB's spec."""
        found: Object = self.mariadb["spec"]
        return found

    @property
    def reuse(self) -> bool:
        """Say whether Galera's configuration lies on the storage volume."""
        return bool(self.spec["galera"].get("config", {}).get("reuseStorageVolume"))

    @property
    def operator_image(self) -> str:
        """The image of the init container and the agent."""
        return OPERATOR_IMAGE.format(self.level)

    def meta(self, name: str, *, owned: bool = True, labels: Object | None = None) -> Object:
        """The metadata of an object."""
        found: Object = {"name": name, "namespace": self.names.namespace}
        found["labels"] = self.names.labels if labels is None else labels
        return {**found, "ownerReferences": reference(self.mariadb)} if owned else found

    def secret(self, name: str, fields: Mapping[str, str]) -> Object:
        """A Secret."""
        data = {key: base64.b64encode(value.encode()).decode() for key, value in fields.items()}
        return {"metadata": self.meta(name), "type": "Opaque", "data": data}

    def config_maps(self) -> list[Object]:
        """What is mounted at /etc/mysql/conf.d."""
        own = self.spec["myCnfConfigMapKeyRef"]
        rows = [(f"{self.names.cluster}-config-default", "0-default.cnf", config.DEFAULT_CNF)]
        rows.append((own["name"], own["key"], self.spec.get("myCnf", "")))
        return [{"metadata": self.meta(name), "data": {key: text}} for name, key, text in rows]

    def services(self, primary: int) -> list[Object]:
        """All pods, the headless one, and the one of the primary; the secondaries' has no selector."""
        names = self.names
        sql: Object = {"name": "mariadb", "port": PORT, "appProtocol": "mysql"}
        all_ports: list[Object] = [
            {**({"appProtocol": "mysql"} if name == "mariadb" else {}), "name": name, "port": port}
            for name, port in _PORTS
        ]
        at = {"statefulset.kubernetes.io/pod-name": names.pod(primary)}
        rows: list[tuple[str, Object]] = [
            (names.cluster, {"ports": [sql], "selector": names.labels}),
            (
                names.internal,
                {
                    "ports": all_ports,
                    "selector": names.labels,
                    "clusterIP": "None",
                    "publishNotReadyAddresses": True,
                },
            ),
            (f"{names.cluster}-primary", {"ports": [sql], "selector": {**names.labels, **at}}),
            (f"{names.cluster}-secondary", {"ports": [sql]}),
        ]
        return [{"metadata": self.meta(name), "spec": spec} for name, spec in rows]

    def budget(self) -> Object:
        """Half of the pods are to stay."""
        spec = {"minAvailable": "50%", "selector": {"matchLabels": self.names.labels}}
        return {"metadata": self.meta(self.names.cluster), "spec": spec}

    def claim_template(self, kind: str) -> Object:
        """A template of volume claims, `storage` or `galera`."""
        size = str(self.spec["storage"]["size"]) if kind == "storage" else "100Mi"
        own = self.spec["galera"].get("config", {}).get("volumeClaimTemplate")
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
        chosen = own if kind == "galera" and own else spec
        labels = {PVC_ROLE: "storage" if kind == "storage" else "config"}
        return {"metadata": {"name": kind, "labels": {**self.names.labels, **labels}}, "spec": chosen}

    @property
    def claim_kinds(self) -> tuple[str, ...]:
        """The volumes of a pod."""
        return ("storage",) if self.reuse else ("storage", "galera")

    def mounts(self) -> list[Object]:
        """What mariadb, agent and init see alike."""
        galera = {"name": "storage", "subPath": "galera"} if self.reuse else {"name": "galera"}
        storage = {"name": "storage", **({"subPath": "storage"} if self.reuse else {})}
        return [
            {"name": "config", "mountPath": "/etc/mysql/conf.d"},
            {**storage, "mountPath": DATA},
            {**galera, "mountPath": CONFIG},
            {"name": "agent-auth", "mountPath": AUTH},
        ]

    def volumes(self) -> list[Object]:
        """The volumes that are no claims."""
        own = self.spec["myCnfConfigMapKeyRef"]
        default = {"name": f"{self.names.cluster}-config-default"}
        file = {"name": own["name"], "items": [{"key": own["key"], "path": "my.cnf"}]}
        auth = self.spec["galera"]["agent"]["basicAuth"]["passwordSecretKeyRef"]
        item = {"key": auth["key"], "path": "password"}
        return [
            {"name": "config", "projected": {"sources": [{"configMap": default}, {"configMap": file}]}},
            {"name": "agent-auth", "secret": {"secretName": auth["name"], "items": [item]}},
        ]

    def environment(self) -> list[Object]:
        """The environment of all three."""
        root = self.spec["rootPasswordSecretKeyRef"]
        where = {"secretKeyRef": {"name": root["name"], "key": root["key"]}}
        fields = {
            "POD_NAME": "metadata.name",
            "POD_NAMESPACE": "metadata.namespace",
            "POD_IP": "status.podIP",
        }
        return [
            {"name": "MYSQL_TCP_PORT", "value": str(self.spec.get("port", PORT))},
            {"name": "MARIADB_ROOT_HOST", "value": "%"},
            {"name": "CLUSTER_NAME", "value": "cluster.local"},
            *({"name": k, "valueFrom": {"fieldRef": {"fieldPath": v}}} for k, v in fields.items()),
            {"name": "MARIADB_NAME", "value": self.names.cluster},
            {"name": "MARIADB_ROOT_PASSWORD", "valueFrom": where},
            {"name": "MYSQL_INITDB_SKIP_TZINFO", "value": "1"},
            *self.spec.get("env", []),
        ]

    def probe(self, kind: str) -> Object:
        """A probe by the agent's port; thresholds are the user's."""
        path = "/readiness" if kind == "readinessProbe" else "/liveness"
        usual = {"initialDelaySeconds": 20, "periodSeconds": 10, "timeoutSeconds": 5}
        return {"httpGet": {"path": path, "port": PROBE_PORT}, **usual, **self.spec.get(kind, {})}

    def stateful_set(self) -> Object:
        """The members."""
        names, strategy = self.names, self.spec["updateStrategy"]["type"]
        shown = {"ReplicasFirstPrimaryLast": "OnDelete", "Never": ""}.get(strategy, strategy)
        marks = {MARIADB: names.cluster, GALERA: ""}
        spec: Object = {
            "serviceName": names.internal,
            "podManagementPolicy": "Parallel",
            "replicas": int(self.spec["replicas"]),
            "updateStrategy": {"type": shown} if shown else {},
            "selector": {"matchLabels": names.labels},
            "template": self.template(marks),
            "volumeClaimTemplates": [self.claim_template(kind) for kind in self.claim_kinds],
        }
        retention = self.spec["storage"].get("pvcRetentionPolicy")
        if retention:
            spec["persistentVolumeClaimRetentionPolicy"] = {
                "whenDeleted": retention.get("whenDeleted", "Retain"),
                "whenScaled": retention.get("whenScaled", "Retain"),
            }
        return {"metadata": {**self.meta(names.cluster), "annotations": marks}, "spec": spec}

    def template(self, marks: Mapping[str, str]) -> Object:
        """The pods' template; what is in the configuration is part of it by its hash."""
        spec, names = self.spec, self.names
        common: Object = {"env": self.environment(), "volumeMounts": self.mounts()}
        server: Object = {
            "name": "mariadb",
            "image": spec["image"],
            **common,
            "ports": [{"name": name, "containerPort": port} for name, port in _PORTS[:4]],
            **{kind: self.probe(kind) for kind in ("startupProbe", "livenessProbe", "readinessProbe")},
        }
        health = {"httpGet": {"path": "/health", "port": PROBE_PORT}}
        agent = {
            "name": "agent",
            "image": self.operator_image,
            "args": ["agent", "galera", f"--addr=:{AGENT_PORT}", f"--probe-addr=:{PROBE_PORT}"],
            **common,
            "ports": [{"name": name, "containerPort": port} for name, port in _PORTS[4:]],
            "livenessProbe": health,
            "readinessProbe": health,
        }
        init = {
            "name": "init",
            "image": self.operator_image,
            "args": ["init", "galera", f"--config-dir={CONFIG}", f"--state-dir={DATA}"],
            **common,
        }
        rendered = config.galera_cnf(self.mariadb, names, "", "", "")
        hashes = {
            "k8s.mariadb.com/config": _hash(spec.get("myCnf", "")),
            "k8s.mariadb.com/config-galera": _hash(rendered),
        }
        pod: Object = {
            "restartPolicy": "Always",
            "automountServiceAccountToken": False,
            "serviceAccountName": names.cluster,
            "securityContext": spec.get("podSecurityContext", _SECURITY),
            "initContainers": [init],
            "containers": [server, agent],
            "volumes": self.volumes(),
        }
        return {"metadata": {"labels": names.labels, "annotations": {**marks, **hashes}}, "spec": pod}

    def init_job(self) -> Object:
        """`M-init`: the image's entry point makes the first member's database and no Galera."""
        volumes = [self._claimed("storage", 0)]
        if not self.reuse:
            volumes.append(self._claimed("galera", 0))
        volumes.append(next(row for row in self.volumes() if row["name"] == "config"))
        mounts = [mount for mount in self.mounts() if mount["name"] != "agent-auth"]
        container = {
            "name": "mariadb",
            "image": self.spec["image"],
            "args": ["mariadbd", "--version"],
            "env": self.environment(),
            "volumeMounts": mounts,
        }
        return self._job(f"{self.names.cluster}-init", container, volumes)

    def recovery_job(self, number: int, node: str) -> Object:
        """`M-N-recovery`: opens the data directory of a stopped member and tells its position."""
        job = self.spec["galera"]["recovery"].get("job") or {}
        claims = [self._claimed(kind, number) for kind in self.claim_kinds]
        configured = next(row for row in self.volumes() if row["name"] == "config")
        mounts = [mount for mount in self.mounts() if mount["name"] != "agent-auth"]
        container = {
            "name": "mariadb",
            "image": self.spec["image"],
            "command": ["mariadbd"],
            "args": ["--log-error=/dev/stderr", "--wsrep-recover"],
            "resources": job.get("resources") or {},
            "volumeMounts": mounts,
        }
        made = self._job(f"{self.names.pod(number)}-recovery", container, [*claims, configured])
        if job.get("podAffinity", True):
            made["spec"]["template"]["spec"]["nodeSelector"] = {"kubernetes.io/hostname": node}
        return made

    def _claimed(self, kind: str, number: int) -> Object:
        return {
            "name": kind,
            "persistentVolumeClaim": {"claimName": f"{kind}-{self.names.pod(number)}"},
        }

    def _job(self, name: str, container: Object, volumes: list[Object]) -> Object:
        pod = {
            "restartPolicy": "OnFailure",
            "securityContext": self.spec.get("podSecurityContext", _SECURITY),
            "containers": [container],
            "volumes": volumes,
        }
        return {"metadata": self.meta(name, labels={}), "spec": {"template": {"spec": pod}}}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
