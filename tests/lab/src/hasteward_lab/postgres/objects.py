"""The objects of a PostgreSQL cluster, as the operator makes them."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

API_VERSION = "postgresql.cnpg.io/v1"
OPERATOR_VERSION = "1.30.0"
PGDATA = "/var/lib/postgresql/data/pgdata"
MANAGER = "/controller/manager"


@dataclass(frozen=True)
class Plan:
    """What a cluster is to be."""

    namespace: str
    name: str
    members: int
    volume_size: str
    image: str
    major: int

    def member(self, serial: int) -> str:
        """The name of a member, its pod and its claim."""
        return f"{self.name}-{serial}"

    @property
    def names(self) -> list[str]:
        """All members."""
        return [self.member(serial) for serial in range(1, self.members + 1)]


def cluster(plan: Plan) -> Object:
    """The Cluster."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Cluster",
        "metadata": {"name": plan.name, "namespace": plan.namespace, "annotations": {}},
        "spec": {
            "instances": plan.members,
            "imageName": plan.image,
            "storage": {"size": plan.volume_size, "resizeInUseVolumes": True},
            "bootstrap": {"initdb": {"database": "app", "owner": "app", "encoding": "UTF8"}},
            "enableSuperuserAccess": True,
            "postgresql": {"parameters": {"max_connections": "100", "shared_buffers": "64MB"}},
            "replicationSlots": {"highAvailability": {"enabled": True, "slotPrefix": "_cnpg_"}},
            "stopDelay": 1800,
            "switchoverDelay": 3600,
        },
    }


def owner(parent: Object, *, block: bool) -> list[Object]:
    """The owner reference to the Cluster."""
    reference = {
        "apiVersion": API_VERSION,
        "kind": "Cluster",
        "name": parent["metadata"]["name"],
        "uid": parent["metadata"]["uid"],
        "controller": True,
    }
    return [{**reference, "blockOwnerDeletion": True} if block else reference]


def labels(plan: Plan, member: str) -> dict[str, str]:
    """The labels a pod and a claim share."""
    return {
        "cnpg.io/cluster": plan.name,
        "cnpg.io/instanceName": member,
        "app.kubernetes.io/name": "postgresql",
        "app.kubernetes.io/instance": plan.name,
        "app.kubernetes.io/version": str(plan.major),
        "app.kubernetes.io/component": "database",
        "app.kubernetes.io/managed-by": "cloudnative-pg",
    }


def claim(plan: Plan, parent: Object, member: str) -> Object:
    """The data volume of a member."""
    return {
        "metadata": {
            "name": member,
            "namespace": plan.namespace,
            "labels": {**labels(plan, member), "cnpg.io/pvcRole": "PG_DATA"},
            "annotations": {
                "cnpg.io/nodeSerial": member.rsplit("-", 1)[1],
                "cnpg.io/operatorVersion": OPERATOR_VERSION,
                "cnpg.io/pvcStatus": "initializing",
            },
            "ownerReferences": owner(parent, block=False),
            "finalizers": ["kubernetes.io/pvc-protection"],
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": plan.volume_size}},
            "storageClassName": "lab",
            "volumeMode": "Filesystem",
            "volumeName": f"pvc-{plan.namespace}-{member}",
        },
        "status": {
            "phase": "Bound",
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": plan.volume_size},
        },
    }


def pod(plan: Plan, parent: Object, member: str) -> Object:
    """The pod of a member."""
    spec = {
        "nodeName": f"node-{member.rsplit('-', 1)[1]}",
        "hostname": member,
        "serviceAccountName": plan.name,
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 1800,
        "securityContext": {"runAsUser": 26, "runAsGroup": 26, "fsGroup": 26, "runAsNonRoot": True},
        "containers": [_container(plan, member)],
        "volumes": [
            {"name": "pgdata", "persistentVolumeClaim": {"claimName": member}},
            {"name": "scratch-data", "emptyDir": {}},
            {"name": "shm", "emptyDir": {"medium": "Memory"}},
        ],
    }
    return {
        "metadata": {
            "name": member,
            "namespace": plan.namespace,
            "labels": {**labels(plan, member), "cnpg.io/podRole": "instance"},
            "annotations": {
                "cnpg.io/nodeSerial": member.rsplit("-", 1)[1],
                "cnpg.io/operatorVersion": OPERATOR_VERSION,
                "cnpg.io/podSpec": json.dumps(spec, separators=(",", ":")),
            },
            "ownerReferences": owner(parent, block=True),
        },
        "spec": spec,
    }


def _container(plan: Plan, member: str) -> Object:
    env = {
        "PGDATA": PGDATA,
        "POD_NAME": member,
        "NAMESPACE": plan.namespace,
        "CLUSTER_NAME": plan.name,
        "PSQL_HISTORY": "/controller/tmp/.psql_history",
        "PGPORT": "5432",
        "PGHOST": "/controller/run",
        "TMPDIR": "/controller/tmp",
    }
    return {
        "name": "postgres",
        "image": plan.image,
        "command": [MANAGER, "instance", "run", "--status-port-tls", "--log-level=info"],
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "ports": [
            {"name": "postgresql", "containerPort": 5432, "protocol": "TCP"},
            {"name": "metrics", "containerPort": 9187, "protocol": "TCP"},
            {"name": "status", "containerPort": 8000, "protocol": "TCP"},
        ],
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        "readinessProbe": {"exec": {"command": ["pg_isready", "-q", "-U", "postgres"]}, "periodSeconds": 1},
        "securityContext": {"readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False},
        "volumeMounts": [
            {"name": "pgdata", "mountPath": "/var/lib/postgresql/data"},
            {"name": "scratch-data", "mountPath": "/run", "subPath": "run"},
            {"name": "scratch-data", "mountPath": "/controller", "subPath": "controller"},
            {"name": "shm", "mountPath": "/dev/shm"},
        ],
    }


def user_secret(plan: Plan, parent: Object, kind: str, user: str, password: str) -> Object:
    """The secret of a database user."""
    host = f"{plan.name}-rw"
    database = "*" if kind == "superuser" else "app"
    fields = {
        "username": user,
        "user": user,
        "password": password,
        "dbname": database,
        "host": host,
        "port": "5432",
        "pgpass": f"{host}:5432:{database}:{user}:{password}\n",
        "uri": f"postgresql://{user}:{password}@{host}.{plan.namespace}:5432/{database}",
    }
    secret = {"cnpg.io/cluster": plan.name, "cnpg.io/userType": kind, "cnpg.io/reload": "true"}
    return {**_secret(plan, parent, f"{plan.name}-{kind}", fields), "type": "kubernetes.io/basic-auth"} | {
        "metadata": {**_meta(plan, parent, f"{plan.name}-{kind}"), "labels": secret}
    }


def tls_secret(plan: Plan, parent: Object, name: str, fields: dict[str, str]) -> Object:
    """A secret with certificates."""
    kind = "kubernetes.io/tls" if "tls.crt" in fields else "Opaque"
    return {**_secret(plan, parent, name, fields), "type": kind}


def _meta(plan: Plan, parent: Object, name: str) -> Object:
    return {
        "name": name,
        "namespace": plan.namespace,
        "labels": {"cnpg.io/cluster": plan.name},
        "ownerReferences": owner(parent, block=False),
    }


def _secret(plan: Plan, parent: Object, name: str, fields: dict[str, str]) -> Object:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in fields.items()}
    return {"metadata": _meta(plan, parent, name), "data": data}


def services(plan: Plan, parent: Object) -> list[Object]:
    """The three services."""
    selectors = {
        "rw": {"cnpg.io/cluster": plan.name, "cnpg.io/instanceRole": "primary"},
        "ro": {"cnpg.io/cluster": plan.name, "cnpg.io/instanceRole": "replica"},
        "r": {"cnpg.io/cluster": plan.name, "cnpg.io/podRole": "instance"},
    }
    return [
        {
            "metadata": _meta(plan, parent, f"{plan.name}-{suffix}"),
            "spec": {
                "type": "ClusterIP",
                "selector": selector,
                "ports": [{"name": "postgres", "port": 5432, "targetPort": 5432, "protocol": "TCP"}],
            },
        }
        for suffix, selector in selectors.items()
    ]
