"""The roles of a fresh cluster, and the three this project ships, as they are in `deploy/rbac`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from hasteward_lab.api.auth.rbac import EVERY_PATH, EVERYTHING, MASTERS
from hasteward_lab.api.automount import AUTHORITY
from hasteward_lab.api.resources import (
    ACCOUNTS,
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    CONFIG_MAPS,
    ENDPOINTS,
    NAMESPACES,
    ROLE_BINDINGS,
    SERVICES,
    Resource,
)
from hasteward_lab.api.store import Store
from hasteward_lab.kubelet.network import GATEWAY
from hasteward_lab.state import LabError

Object = dict[str, Any]

ENV = "HASTEWARD_LAB_RBAC"
_GROUP = "rbac.authorization.k8s.io"
_DISCOVERY = ("/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*")
_PUBLIC = ("/healthz", "/livez", "/readyz", "/version", "/version/")
_BASIC = (
    ("authorization.k8s.io", ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]),
    ("authentication.k8s.io", ["selfsubjectreviews"]),
)
_EVERYBODY = ("system:authenticated",)

_DEFAULTS: dict[str, tuple[list[Object], tuple[str, ...]]] = {
    "cluster-admin": ([EVERYTHING, EVERY_PATH], (MASTERS,)),
    "system:discovery": (
        [{"nonResourceURLs": [*_DISCOVERY, "/readyz", "/version", "/version/"], "verbs": ["get"]}],
        _EVERYBODY,
    ),
    "system:basic-user": (
        [{"apiGroups": [group], "resources": names, "verbs": ["create"]} for group, names in _BASIC],
        _EVERYBODY,
    ),
    "system:public-info-viewer": (
        [{"nonResourceURLs": list(_PUBLIC), "verbs": ["get"]}],
        (*_EVERYBODY, "system:unauthenticated"),
    ),
}


def manifests() -> Path:
    """The folder `deploy/rbac`: the one the environment names, or that of this checkout."""
    named = os.environ.get(ENV)
    if named:
        return Path(named)
    for parent in Path(__file__).resolve().parents:
        if (parent / "deploy/rbac/kustomization.yaml").exists():
            return parent / "deploy/rbac"
    raise LabError(f"the lab reads its roles from deploy/rbac of a checkout; {ENV} names another folder")


def shipped(folder: Path, namespace: str) -> Iterator[Object]:
    """Every object of the folder's kustomizations, bound in one namespace as kustomize would."""
    for name in ("kustomization.yaml", "namespace/kustomization.yaml"):
        path = folder / name
        for row in yaml.safe_load(path.read_text(encoding="utf-8"))["resources"]:
            for item in yaml.safe_load_all((path.parent / row).read_text(encoding="utf-8")):
                yield _placed(item, namespace)


def _placed(item: Object, namespace: str) -> Object:
    if item["kind"] == "ClusterRole":
        return item
    placed = {**item, "metadata": {**item["metadata"], "namespace": namespace}}
    if "subjects" in item:
        placed["subjects"] = [{"namespace": namespace, **subject} for subject in item["subjects"]]
    return placed


_KINDS: dict[str, Resource] = {
    "ClusterRole": CLUSTER_ROLES,
    "ServiceAccount": ACCOUNTS,
    "RoleBinding": ROLE_BINDINGS,
}


def _service(store: Store) -> None:
    """The API as pods see it."""
    meta: Object = {"name": "kubernetes", "namespace": "default"}
    meta["labels"] = {"component": "apiserver", "provider": "kubernetes"}
    ports = [{"name": "https", "port": 443, "protocol": "TCP"}]
    shown = [{**ports[0], "targetPort": 443}]
    spec = {"type": "ClusterIP", "clusterIP": GATEWAY, "ports": shown, "sessionAffinity": "None"}
    store.create(SERVICES, {"metadata": meta, "spec": spec})
    store.create(ENDPOINTS, {"metadata": meta, "subsets": [{"addresses": [{"ip": GATEWAY}], "ports": ports}]})


def install(store: Store, namespace: str, authority: str) -> None:
    """Put the default roles and the shipped ones, bound in the namespace, into a fresh store.

    So that pods find the API: its authority's certificate in every namespace, and the Service `kubernetes`.
    """
    for name in ("default", "kube-system", namespace):
        if not store.find(NAMESPACES, "", name):
            labels = {"kubernetes.io/metadata.name": name}
            fresh: Object = {"metadata": {"name": name, "labels": labels}, "status": {"phase": "Active"}}
            store.create(NAMESPACES, {**fresh, "spec": {"finalizers": ["kubernetes"]}}, status=True)
        store.create(ACCOUNTS, {"metadata": {"name": "default", "namespace": name}})
        trusted = {"name": AUTHORITY, "namespace": name}
        store.create(CONFIG_MAPS, {"metadata": trusted, "data": {"ca.crt": authority}})
    _service(store)
    marks = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    for name, (rules, groups) in _DEFAULTS.items():
        meta = {"metadata": {"name": name, "labels": marks}}
        store.create(CLUSTER_ROLES, {**meta, "rules": rules})
        subjects = [{"kind": "Group", "apiGroup": _GROUP, "name": group} for group in groups]
        reference = {"apiGroup": _GROUP, "kind": "ClusterRole", "name": name}
        store.create(CLUSTER_ROLE_BINDINGS, {**meta, "subjects": subjects, "roleRef": reference})
    for item in shipped(manifests(), namespace):
        store.create(_KINDS[item["kind"]], item)
