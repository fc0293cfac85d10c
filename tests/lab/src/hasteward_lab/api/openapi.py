"""The OpenAPI v3 documents: open schemas for the built-in kinds, the real ones for custom resources."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from hasteward_lab.api.catalog import Catalog
from hasteward_lab.api.crd import structural
from hasteward_lab.api.discovery import VERSION
from hasteward_lab.api.resources import Resource

Object = dict[str, Any]

_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_TEXT: Object = {"type": "string"}
_MAP: Object = {"type": "object", "additionalProperties": _TEXT}
_METADATA: Object = {
    "type": "object",
    "description": "ObjectMeta is metadata that all persisted resources must have.",
    "properties": {
        "name": {**_TEXT, "description": "Name must be unique within a namespace."},
        "generateName": _TEXT,
        "namespace": {
            **_TEXT,
            "description": "Namespace defines the space within which each name is unique.",
        },
        "uid": _TEXT,
        "resourceVersion": _TEXT,
        "generation": {"type": "integer", "format": "int64"},
        "creationTimestamp": {**_TEXT, "format": "date-time"},
        "deletionTimestamp": {**_TEXT, "format": "date-time"},
        "deletionGracePeriodSeconds": {"type": "integer", "format": "int64"},
        "labels": {**_MAP, "description": "Map of string keys and values to organize objects."},
        "annotations": {**_MAP, "description": "Unstructured key value map stored with a resource."},
        "finalizers": {
            "type": "array",
            "items": _TEXT,
            "x-kubernetes-list-type": "set",
            "x-kubernetes-patch-strategy": "merge",
        },
        "ownerReferences": {
            "type": "array",
            "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["uid"],
            "x-kubernetes-patch-merge-key": "uid",
            "x-kubernetes-patch-strategy": "merge",
        },
        "managedFields": {
            "type": "array",
            "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    },
}


def index(catalog: Catalog) -> Object:
    """`/openapi/v3`: clients cache by the hash, so it follows from the content."""
    paths = {}
    for name, version in catalog.group_versions():
        path = f"apis/{name}/{version}" if name else f"api/{version}"
        content = json.dumps(document(catalog, name, version), sort_keys=True)
        digest = hashlib.sha256(content.encode()).hexdigest()[:32].upper()
        paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
    return {"paths": paths}


def document(catalog: Catalog, name: str, version: str) -> Object:
    """The schemas of one group."""
    schemas: Object = {_META: _METADATA}
    paths: Object = {}
    for resource in catalog.resources():
        if (resource.group, resource.version) != (name, version):
            continue
        kind = {"group": name, "version": version, "kind": resource.kind}
        title = f"lab.{resource.kind}"
        schemas[title] = {**_schema(resource, catalog), "x-kubernetes-group-version-kind": [kind]}
        base = f"/apis/{name}/{version}" if name else f"/api/{version}"
        scope = "/namespaces/{namespace}" if resource.namespaced else ""
        parameters = [{"name": "fieldValidation", "in": "query", "schema": _TEXT}]
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{title}"}}}
        answers = {"200": {"description": "OK", "content": content}}
        operation = {"x-kubernetes-group-version-kind": kind, "parameters": parameters, "responses": answers}
        action = {"get": "get", "patch": "patch"}
        paths[f"{base}{scope}/{resource.plural}/{{name}}"] = {
            verb: {**operation, "x-kubernetes-action": word} for verb, word in action.items()
        }
    info = {"title": "Kubernetes", "version": VERSION["gitVersion"]}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}


def _schema(resource: Resource, catalog: Catalog) -> Object:
    defined = catalog.version_of(resource)
    described = f"{resource.kind} is served by the lab; its fields are not checked."
    open_part = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema: Object = {
        **open_part,
        "description": described,
        "properties": {"spec": open_part, "status": open_part},
    }
    if defined is not None:
        schema = structural.schema_of(defined)
    known = {
        "apiVersion": {**_TEXT, "description": "The versioned schema of this representation of an object."},
        "kind": {**_TEXT, "description": "The REST resource this object represents."},
        "metadata": {"allOf": [{"$ref": f"#/components/schemas/{_META}"}], "default": {}},
    }
    return {**schema, "properties": {**known, **_others(schema)}}


def _others(schema: Object) -> Object:
    properties: Object = schema.get("properties", {})
    return {key: value for key, value in properties.items() if key not in {"apiVersion", "kind", "metadata"}}
