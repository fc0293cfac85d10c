"""What a Cluster owns besides instances and secrets: services, an account with its role, budgets."""

from __future__ import annotations

from typing import Any

from hasteward_lab.postgres.objects import Maker

Object = dict[str, Any]

_RBAC = "rbac.authorization.k8s.io"


def meta(maker: Maker, name: str = "") -> Object:
    """The metadata of something that carries the cluster's name, or one of its own."""
    return {
        "name": name or maker.name,
        "namespace": maker.namespace,
        "labels": {"cnpg.io/cluster": maker.name},
        "ownerReferences": maker.owner(block=False),
    }


def services(maker: Maker) -> list[Object]:
    """The three services."""
    own = {"cnpg.io/cluster": maker.name}
    selectors = {
        "rw": {**own, "cnpg.io/instanceRole": "primary"},
        "ro": {**own, "cnpg.io/instanceRole": "replica"},
        "r": {**own, "cnpg.io/podRole": "instance"},
    }
    ports = [{"name": "postgres", "port": 5432, "targetPort": 5432, "protocol": "TCP"}]
    return [
        {
            "metadata": meta(maker, f"{maker.name}-{suffix}"),
            "spec": {"type": "ClusterIP", "selector": selector, "ports": ports},
        }
        for suffix, selector in selectors.items()
    ]


def account(maker: Maker) -> Object:
    """The account the instances run as."""
    return {"metadata": meta(maker)}


def role(maker: Maker) -> Object:
    """What an instance manager may do: follow its Cluster, tell its state, read what it is made of."""
    name = maker.name
    secrets = [f"{name}-{suffix}" for suffix in ("app", "ca", "replication", "server", "superuser")]
    group = "postgresql.cnpg.io"
    rules = [
        _rule("", "configmaps", "get watch", ["cnpg-default-monitoring"]),
        _rule("", "secrets", "get watch", secrets),
        _rule(group, "clusters", "get list watch", [name]),
        _rule(group, "clusters/status", "get patch update watch", [name]),
        _rule(group, "backups", "delete get list patch update watch"),
        _rule(group, "backups/status", "get patch update"),
        _rule("", "events", "create patch"),
        _rule(group, "failoverquorums/status", "get patch update watch", [name]),
        _rule("coordination.k8s.io", "leases", "create get list patch update watch"),
    ]
    return {"metadata": meta(maker), "rules": rules}


def _rule(group: str, resource: str, verbs: str, names: list[str] | None = None) -> Object:
    rule: Object = {"apiGroups": [group], "resources": [resource], "verbs": verbs.split()}
    return {**rule, "resourceNames": names} if names else rule


def binding(maker: Maker) -> Object:
    """The account's role, bound."""
    subject = {"kind": "ServiceAccount", "name": maker.name, "namespace": maker.namespace}
    reference = {"apiGroup": _RBAC, "kind": "Role", "name": maker.name}
    return {"metadata": meta(maker), "subjects": [subject], "roleRef": reference}


def budgets(maker: Maker) -> list[Object]:
    """The primary may not be evicted, and of three and more instances only so many replicas."""
    spec = maker.cluster["spec"]
    members = int(spec["instances"])
    window = spec.get("nodeMaintenanceWindow") or {}
    moving = window.get("inProgress") and window.get("reusePVC", True) and members == 1
    if not spec.get("enablePDB", True) or moving:
        return []
    rows = [_budget(maker, f"{maker.name}-primary", 1, "primary")]
    return [_budget(maker, maker.name, members - 2, "replica"), *rows] if members > 2 else rows


def quorum(maker: Maker) -> list[Object]:
    """Where the primary tells what a failover must be sure of; only if the Cluster asks for it."""
    synchronous = maker.cluster["spec"].get("postgresql", {}).get("synchronous") or {}
    return [{"metadata": meta(maker)}] if synchronous.get("failoverQuorum") else []


def _budget(maker: Maker, name: str, least: int, role_wanted: str) -> Object:
    wanted = {"cnpg.io/cluster": maker.name, "cnpg.io/instanceRole": role_wanted}
    spec = {"minAvailable": least, "selector": {"matchLabels": wanted}}
    return {"metadata": meta(maker, name), "spec": spec}
