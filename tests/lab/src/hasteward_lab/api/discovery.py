"""Discovery: what kubectl and client libraries ask before they ask for anything."""

from __future__ import annotations

import platform
from typing import Any

from hasteward_lab.api.catalog import Catalog
from hasteward_lab.api.errors import ApiError
from hasteward_lab.api.resources import Resource

VERSION = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.2",
    "gitCommit": "0" * 40,
    "gitTreeState": "clean",
    "buildDate": "2026-06-10T12:00:00Z",
    "goVersion": "go1.26.4",
    "compiler": "gc",
    "platform": f"linux/{'arm64' if platform.machine() == 'aarch64' else 'amd64'}",
}
_SUB_KINDS = {
    "exec": ("", "", "PodExecOptions", ["create", "get"]),
    "portforward": ("", "", "PodPortForwardOptions", ["create", "get"]),
    "proxy": ("", "", "PodProxyOptions", ["create", "delete", "get", "patch", "update"]),
    "eviction": ("policy", "v1", "Eviction", ["create"]),
    "token": ("authentication.k8s.io", "v1", "TokenRequest", ["create"]),
    "scale": ("autoscaling", "v1", "Scale", ["get", "patch", "update"]),
}


def core_versions() -> dict[str, Any]:
    """`/api`."""
    addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": "10.88.0.1:443"}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}


def groups(catalog: Catalog) -> dict[str, Any]:
    """`/apis`."""
    names = dict.fromkeys(name for name, _ in catalog.group_versions() if name)
    rows = [group(catalog, name) for name in names]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": rows}


def group(catalog: Catalog, name: str) -> dict[str, Any]:
    """`/apis/GROUP`, without the envelope; 404 when there is none."""
    versions = [
        {"groupVersion": f"{name}/{version}", "version": version}
        for found, version in catalog.group_versions()
        if found == name
    ]
    if not versions:
        raise ApiError(404, "the server could not find the requested resource", details={})
    # Stable versions first, as the server prefers them.
    versions.sort(key=lambda row: ("alpha" in row["version"], "beta" in row["version"], row["version"]))
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def resources(catalog: Catalog, name: str, version: str) -> dict[str, Any]:
    """`/api/v1` and `/apis/GROUP/VERSION`."""
    rows: list[dict[str, Any]] = []
    for resource in catalog.resources():
        if (resource.group, resource.version) == (name, version):
            rows += _rows(resource)
    group_version = f"{name}/{version}" if name else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": rows}


def _rows(resource: Resource) -> list[dict[str, Any]]:
    main: dict[str, Any] = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        main["shortNames"] = list(resource.short_names)
    if resource.categories:
        main["categories"] = list(resource.categories)
    rows = [main]
    if resource.has_status:
        rows.append(_sub(resource, "status", ("", "", resource.kind, ["get", "patch", "update"])))
    plain = ("", "", resource.kind, ["get"])
    return rows + [_sub(resource, name, _SUB_KINDS.get(name, plain)) for name in resource.subresources]


def _sub(resource: Resource, name: str, what: tuple[str, str, str, list[str]]) -> dict[str, Any]:
    group_name, version, kind, verbs = what
    row: dict[str, Any] = {"name": f"{resource.plural}/{name}", "singularName": ""}
    row |= {"namespaced": resource.namespaced, "kind": kind, "verbs": verbs}
    return {**row, "group": group_name, "version": version} if group_name else row
