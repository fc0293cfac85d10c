"""Discovery: what kubectl and client libraries ask before they ask for anything."""

from __future__ import annotations

import hashlib
import platform
from typing import Any

from hasteward_lab.api.resources import TABLE, Resource, group_versions

VERSION = {
    "major": "1",
    "minor": "32",
    "gitVersion": "v1.32.4",
    "gitCommit": "0" * 40,
    "gitTreeState": "clean",
    "buildDate": "2025-04-22T16:03:58Z",
    "goVersion": "go1.23.6",
    "compiler": "gc",
    "platform": f"linux/{'arm64' if platform.machine() == 'aarch64' else 'amd64'}",
}


def core_versions() -> dict[str, Any]:
    """`/api`."""
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def groups() -> dict[str, Any]:
    """`/apis`."""
    rows = [group(name) for name, _ in group_versions() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": rows}


def group(name: str) -> dict[str, Any]:
    """`/apis/GROUP`, without the envelope."""
    versions = [
        {"groupVersion": f"{name}/{version}", "version": version}
        for found, version in group_versions()
        if found == name
    ]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def resources(name: str, version: str) -> dict[str, Any]:
    """`/api/v1` and `/apis/GROUP/VERSION`."""
    rows: list[dict[str, Any]] = []
    for resource in TABLE:
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
    rows = [main]
    if resource.has_status:
        rows.append(_sub(resource, "status", resource.kind, ["get", "patch", "update"]))
    for name in resource.subresources:
        verbs = ["create", "get"] if name == "exec" else ["get"]
        rows.append(_sub(resource, name, "PodExecOptions" if name == "exec" else resource.kind, verbs))
    return rows


def _sub(resource: Resource, name: str, kind: str, verbs: list[str]) -> dict[str, Any]:
    return {
        "name": f"{resource.plural}/{name}",
        "singularName": "",
        "namespaced": resource.namespaced,
        "kind": kind,
        "verbs": verbs,
    }


def openapi_index() -> dict[str, Any]:
    """`/openapi/v3`: clients cache by the hash, so it follows from the content."""
    paths = {}
    for name, version in group_versions():
        path = f"apis/{name}/{version}" if name else f"api/{version}"
        digest = hashlib.sha256(repr(openapi(name, version)).encode()).hexdigest()[:32].upper()
        paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
    return {"paths": paths}


def openapi(name: str, version: str) -> dict[str, Any]:
    """The schema of one group: every kind with unknown fields allowed, enough for stock kubectl."""
    schemas, paths = {}, {}
    for resource in TABLE:
        if (resource.group, resource.version) != (name, version):
            continue
        kind = {"group": name, "version": version, "kind": resource.kind}
        schemas[f"lab.{resource.kind}"] = {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            "x-kubernetes-group-version-kind": [kind],
        }
        base = f"/apis/{name}/{version}" if name else f"/api/{version}"
        scope = "/namespaces/{namespace}" if resource.namespaced else ""
        paths[f"{base}{scope}/{resource.plural}/{{name}}"] = {
            "patch": {
                "x-kubernetes-group-version-kind": kind,
                "parameters": [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}],
                "responses": {"200": {"description": "OK"}},
            }
        }
    info = {"title": "Kubernetes", "version": VERSION["gitVersion"]}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}
