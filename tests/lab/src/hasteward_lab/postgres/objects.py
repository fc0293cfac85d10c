"""The objects of a PostgreSQL cluster, as the operator makes them from the Cluster."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

API_VERSION = "postgresql.cnpg.io/v1"
PGDATA = "/var/lib/postgresql/data/pgdata"
MANAGER = "/controller/manager"
OPERATOR_HASH = hashlib.sha256(b"hasteward-lab").hexdigest()
_PROBE = {"periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3, "successThreshold": 1}


@dataclass(frozen=True)
class Maker:
    """What all objects of one cluster have in common."""

    cluster: Object
    image: str
    major: int
    version: str

    @property
    def name(self) -> str:
        """The cluster's name."""
        return str(self.cluster["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """The cluster's namespace."""
        return str(self.cluster["metadata"]["namespace"])

    def owner(self, *, block: bool) -> list[Object]:
        """The owner reference to the Cluster."""
        reference = {
            "apiVersion": API_VERSION,
            "kind": "Cluster",
            "name": self.name,
            "uid": self.cluster["metadata"]["uid"],
            "controller": True,
        }
        return [{**reference, "blockOwnerDeletion": True} if block else reference]

    def labels(self, instance: str) -> dict[str, str]:
        """The labels a pod, a claim and a job share."""
        return {
            "cnpg.io/cluster": self.name,
            "cnpg.io/instanceName": instance,
            "app.kubernetes.io/name": "postgresql",
            "app.kubernetes.io/instance": self.name,
            "app.kubernetes.io/version": str(self.major),
            "app.kubernetes.io/component": "database",
            "app.kubernetes.io/managed-by": "cloudnative-pg",
        }

    def annotations(self, instance: str, **more: str) -> dict[str, str]:
        """The annotations a pod and a claim share."""
        own = {"cnpg.io/nodeSerial": str(serial_of(instance)), "cnpg.io/operatorVersion": self.version}
        return {**own, **more}


def serial_of(instance: str) -> int:
    """The number at the end of an instance's name; 0 when there is none."""
    tail = instance.rsplit("-", 1)[-1]
    return int(tail) if tail.isdigit() else 0


def cluster(name: str, namespace: str, spec: Object) -> Object:
    """The Cluster."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Cluster",
        "metadata": {"name": name, "namespace": namespace, "annotations": {}},
        "spec": spec,
    }


def default_spec(members: int, image: str, volume_size: str) -> Object:
    """What the lab's Cluster asks for when the test asks for nothing else."""
    return {
        "instances": members,
        "imageName": image,
        "storage": {"size": volume_size, "resizeInUseVolumes": True},
        "bootstrap": {"initdb": {"database": "app", "owner": "app", "encoding": "UTF8"}},
        "enableSuperuserAccess": True,
        "postgresql": {"parameters": {"max_connections": "100", "shared_buffers": "64MB"}},
        "replicationSlots": {
            "highAvailability": {"enabled": True, "slotPrefix": "_cnpg_"},
            "updateInterval": 30,
        },
        "startDelay": 3600,
        "stopDelay": 1800,
        "smartShutdownTimeout": 180,
        "switchoverDelay": 3600,
        "failoverDelay": 0,
    }


def merge(base: Object, wish: Mapping[str, Any]) -> Object:
    """The base with the wish laid over it: objects are merged, None takes away, all else replaces."""
    merged = dict(base)
    for key, value in wish.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def claim_names(cluster: Object, instance: str) -> list[str]:
    """The claims an instance needs: data, and where wished for the log's and those of tablespaces."""
    spec = cluster["spec"]
    names = [instance]
    if spec.get("walStorage"):
        names.append(f"{instance}-wal")
    return names + [f"{instance}-tbs-{row['name']}" for row in spec.get("tablespaces") or []]


def claims(maker: Maker, instance: str) -> list[Object]:
    """The claims of an instance."""
    spec = maker.cluster["spec"]
    rows = [_claim(maker, instance, instance, "PG_DATA", spec["storage"])]
    if spec.get("walStorage"):
        rows.append(_claim(maker, instance, f"{instance}-wal", "PG_WAL", spec["walStorage"]))
    for row in spec.get("tablespaces") or []:
        found = _claim(maker, instance, f"{instance}-tbs-{row['name']}", "PG_TABLESPACE", row["storage"])
        found["metadata"]["labels"]["cnpg.io/tablespaceName"] = row["name"]
        rows.append(found)
    return rows


def _claim(maker: Maker, instance: str, name: str, role: str, storage: Object) -> Object:
    status = "initializing" if role == "PG_DATA" else "ready"
    return {
        "metadata": {
            "name": name,
            "namespace": maker.namespace,
            "labels": {**maker.labels(instance), "cnpg.io/pvcRole": role},
            "annotations": maker.annotations(instance, **{"cnpg.io/pvcStatus": status}),
            "ownerReferences": maker.owner(block=False),
            "finalizers": ["kubernetes.io/pvc-protection"],
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": storage["size"]}},
            "storageClassName": storage.get("storageClass", "lab"),
            "volumeMode": "Filesystem",
        },
    }


def pod(maker: Maker, instance: str) -> Object:
    """The pod of an instance; its role labels come later."""
    command = [MANAGER, "instance", "run", "--status-port-tls", "--log-level=info"]
    container = _container(maker, instance, "postgres", command)
    spec = maker.cluster["spec"]
    startup = {**_PROBE, "failureThreshold": max(-(-int(spec.get("startDelay", 3600)) // 10), 1)}
    for kind, path, numbers in (
        ("startupProbe", "/startupz", startup),
        ("readinessProbe", "/readyz", _PROBE),
        ("livenessProbe", "/healthz", _PROBE),
    ):
        container[kind] = {"httpGet": {"path": path, "port": 8000, "scheme": "HTTPS"}, **numbers}
    shape = {
        **_pod_spec(maker, instance, container),
        "hostname": instance,
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": int(spec.get("stopDelay", 1800)),
    }
    applied = json.dumps(shape, separators=(",", ":"))
    return {
        "metadata": {
            "name": instance,
            "namespace": maker.namespace,
            "labels": {**maker.labels(instance), "cnpg.io/podRole": "instance"},
            "annotations": maker.annotations(instance, **{"cnpg.io/podSpec": applied}),
            "ownerReferences": maker.owner(block=True),
        },
        "spec": shape,
    }


def job(maker: Maker, instance: str, role: str) -> Object:
    """The job that fills an instance's volumes; its pods share labels with the instance's own."""
    command = [MANAGER, "instance", "init" if role == "initdb" else "join"]
    if role == "join":
        command += ["--parent-node", f"{maker.name}-rw"]
    labels = {**maker.labels(instance), "cnpg.io/jobRole": role}
    shape = {
        **_pod_spec(maker, instance, _container(maker, instance, role, command)),
        "restartPolicy": "Never",
    }
    return {
        "metadata": {
            "name": f"{instance}-{role}",
            "namespace": maker.namespace,
            "labels": labels,
            "ownerReferences": maker.owner(block=True),
        },
        "spec": {
            "backoffLimit": 6,
            "completions": 1,
            "parallelism": 1,
            "template": {"metadata": {"labels": labels}, "spec": shape},
        },
    }


def _pod_spec(maker: Maker, instance: str, container: Object) -> Object:
    volumes: list[Object] = [
        {"name": name, "persistentVolumeClaim": {"claimName": claim}}
        for name, claim, _ in _volumes(maker.cluster, instance)
    ]
    volumes += [
        {"name": "scratch-data", "emptyDir": {}},
        {"name": "shm", "emptyDir": {"medium": "Memory"}},
    ]
    return {
        "serviceAccountName": maker.name,
        "securityContext": {"runAsUser": 26, "runAsGroup": 26, "fsGroup": 26, "runAsNonRoot": True},
        "containers": [container],
        "volumes": volumes,
    }


def _volumes(cluster: Object, instance: str) -> list[tuple[str, str, str]]:
    """The volumes that are claims: name, claim and where it is mounted."""
    spec = cluster["spec"]
    rows = [("pgdata", instance, "/var/lib/postgresql/data")]
    if spec.get("walStorage"):
        rows.append(("pg-wal", f"{instance}-wal", "/var/lib/postgresql/wal"))
    for row in spec.get("tablespaces") or []:
        name = row["name"]
        rows.append((f"tbs-{name}", f"{instance}-tbs-{name}", f"/var/lib/postgresql/tablespaces/{name}"))
    return rows


def _container(maker: Maker, instance: str, name: str, command: list[str]) -> Object:
    env = {
        "PGDATA": PGDATA,
        "POD_NAME": instance,
        "NAMESPACE": maker.namespace,
        "CLUSTER_NAME": maker.name,
        "PSQL_HISTORY": "/controller/tmp/.psql_history",
        "PGPORT": "5432",
        "PGHOST": "/controller/run",
        "TMPDIR": "/controller/tmp",
    }
    mounts = [{"name": name, "mountPath": path} for name, _, path in _volumes(maker.cluster, instance)]
    return {
        "name": name,
        "image": maker.image,
        "command": command,
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "ports": [
            {"name": "postgresql", "containerPort": 5432, "protocol": "TCP"},
            {"name": "metrics", "containerPort": 9187, "protocol": "TCP"},
            {"name": "status", "containerPort": 8000, "protocol": "TCP"},
        ],
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": {"readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False},
        "volumeMounts": [
            *mounts,
            {"name": "scratch-data", "mountPath": "/run", "subPath": "run"},
            {"name": "scratch-data", "mountPath": "/controller", "subPath": "controller"},
            {"name": "shm", "mountPath": "/dev/shm"},
        ],
    }


def user_secret(maker: Maker, kind: str, user: str, password: str) -> Object:
    """The secret of a database user."""
    host = f"{maker.name}-rw"
    database = "*" if kind == "superuser" else "app"
    address = f"{user}:{password}@{host}"
    domain = f".{maker.namespace}.svc.cluster.local"
    query = f"5432/{database}?user={user}&password={password}"
    fields = {
        "username": user,
        "user": user,
        "password": password,
        "dbname": database,
        "host": host,
        "port": "5432",
        "pgpass": f"{host}:5432:{database}:{user}:{password}\n",
        "uri": f"postgresql://{address}.{maker.namespace}:5432/{database}",
        "jdbc-uri": f"jdbc:postgresql://{host}.{maker.namespace}:{query}",
        "fqdn-uri": f"postgresql://{address}{domain}:5432/{database}",
        "fqdn-jdbc-uri": f"jdbc:postgresql://{host}{domain}:{query}",
    }
    labels = {"cnpg.io/cluster": maker.name, "cnpg.io/userType": kind, "cnpg.io/reload": "true"}
    secret = _secret(maker, f"{maker.name}-{kind}", fields, "kubernetes.io/basic-auth")
    secret["metadata"]["labels"] = labels
    return secret


def tls_secret(maker: Maker, name: str, fields: dict[str, str]) -> Object:
    """A secret with certificates."""
    return _secret(maker, name, fields, "kubernetes.io/tls" if "tls.crt" in fields else "Opaque")


def _secret(maker: Maker, name: str, fields: dict[str, str], kind: str) -> Object:
    labels = {"cnpg.io/cluster": maker.name}
    meta: Object = {"name": name, "namespace": maker.namespace, "labels": labels}
    meta |= {"ownerReferences": maker.owner(block=False)}
    data = {key: base64.b64encode(value.encode()).decode() for key, value in fields.items()}
    return {"metadata": meta, "data": data, "type": kind}
