"""Structural schemas: pruned, defaulted and validated as the API server does it for custom resources."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

from hasteward_lab.api.errors import ApiError, cause, invalid
from hasteward_lab.api.resources import Resource

Object = dict[str, Any]

_FREE = "x-kubernetes-preserve-unknown-fields"
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}
_ALWAYS = ("apiVersion", "kind", "metadata")


def schema_of(version: Object) -> Object:
    """The schema of a definition's version."""
    found: Object = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    return found


def admit(resource: Resource, version: Object, item: Object, *, strict: bool) -> Object:
    """The object pruned and with its defaults; 422 for what the schema refuses, 400 for what is unknown."""
    schema = schema_of(version)
    below = {key: value for key, value in item.items() if key not in _ALWAYS}
    unknown: list[str] = []
    pruned = prune(below, schema, unknown, "")
    if strict and unknown:
        told = ", ".join(f'unknown field "{path.lstrip(".")}"' for path in unknown)
        raise ApiError(
            400,
            f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: strict '
            f"decoding error: {told}",
        )
    full: Object = {key: item[key] for key in _ALWAYS if key in item} | default(pruned, schema)
    causes = [row for row in validate(full, schema, "") if row["field"].split(".")[0] not in _ALWAYS]
    if causes:
        raise invalid(resource.kind, resource.group, item["metadata"].get("name", ""), causes)
    return full


def prune(value: Any, schema: Object, unknown: list[str], path: str) -> Any:
    """Leave out what the schema does not know, and note it."""
    if isinstance(value, dict):
        known, extra = schema.get("properties", {}), schema.get("additionalProperties")
        if schema.get(_FREE) or schema.get("x-kubernetes-embedded-resource"):
            return {
                k: prune(v, known[k], unknown, f"{path}.{k}") if k in known else v for k, v in value.items()
            }
        if extra is not None:
            inner = extra if isinstance(extra, dict) else {_FREE: True}
            return {key: prune(below, inner, unknown, f"{path}.{key}") for key, below in value.items()}
        kept = {}
        for key, below in value.items():
            if key in known:
                kept[key] = prune(below, known[key], unknown, f"{path}.{key}")
            else:
                unknown.append(f"{path}.{key}")
        return kept
    if isinstance(value, list):
        inner = schema.get("items") or {_FREE: True}
        return [prune(item, inner, unknown, f"{path}[{index}]") for index, item in enumerate(value)]
    return value


def default(value: Any, schema: Object) -> Any:
    """Fill in the schema's defaults, from the outside in."""
    if isinstance(value, dict):
        result = dict(value)
        for key, inner in schema.get("properties", {}).items():
            if key not in result and "default" in inner:
                result[key] = copy.deepcopy(inner["default"])
            if key in result:
                if result[key] is None and "default" in inner and not inner.get("nullable"):
                    result[key] = copy.deepcopy(inner["default"])
                result[key] = default(result[key], inner)
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict):
            known = schema.get("properties", {})
            result |= {key: default(below, extra) for key, below in result.items() if key not in known}
        return result
    if isinstance(value, list) and "items" in schema:
        return [default(item, schema["items"]) for item in value]
    return value


def validate(value: Any, schema: Object, path: str) -> Iterator[Object]:
    """Everything the schema has against a value."""
    if schema.get("x-kubernetes-int-or-string"):
        if not isinstance(value, int | str) or isinstance(value, bool):
            yield _wrong_type(path, "integer,string", value)
        return
    if value is None and schema.get("nullable"):
        return
    kind = schema.get("type")
    if kind and (not isinstance(value, _TYPES[kind]) or (kind != "boolean" and isinstance(value, bool))):
        yield _wrong_type(path, kind, value)
        return
    if "enum" in schema and value not in schema["enum"]:
        told = ", ".join(f'"{choice}"' for choice in schema["enum"])
        yield cause(path, f'Unsupported value: "{value}": supported values: {told}', "FieldValueNotSupported")
    if isinstance(value, dict):
        yield from _object(value, schema, path)
    elif isinstance(value, list):
        yield from _array(value, schema, path)
    elif isinstance(value, str):
        yield from _string(value, schema, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number(value, schema, path)


def _wrong_type(path: str, wanted: str, value: Any) -> Object:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
    found = names.get(type(value), "null")
    told = f'"{value}"' if isinstance(value, str) else found
    message = f'Invalid value: {told}: {path} in body must be of type {wanted}: "{found}"'
    return cause(path, message, "FieldValueTypeInvalid")


def _object(value: Object, schema: Object, path: str) -> Iterator[Object]:
    prefix = f"{path}." if path else ""
    for name in schema.get("required", ()):
        if name not in value:
            yield cause(f"{prefix}{name}", "Required value", "FieldValueRequired")
    known, extra = schema.get("properties", {}), schema.get("additionalProperties")
    for key, below in value.items():
        inner = known.get(key, extra if isinstance(extra, dict) else None)
        if inner is not None:
            yield from validate(below, inner, f"{prefix}{key}")


def _array(value: list[Any], schema: Object, path: str) -> Iterator[Object]:
    if len(value) > schema.get("maxItems", len(value)):
        told = f"Too many: {len(value)}: must have at most {schema['maxItems']} items"
        yield cause(path, told, "FieldValueTooMany")
    if len(value) < schema.get("minItems", 0):
        told = f"Invalid value: {len(value)}: {path} in body should have at least {schema['minItems']} items"
        yield cause(path, told)
    keys = schema.get("x-kubernetes-list-map-keys")
    seen: list[Any] = []
    for index, item in enumerate(value):
        identity = {key: item.get(key) for key in keys} if keys and isinstance(item, dict) else item
        if schema.get("x-kubernetes-list-type") in {"map", "set"} and identity in seen:
            yield cause(f"{path}[{index}]", f"Duplicate value: {identity}", "FieldValueDuplicate")
        seen.append(identity)
        yield from validate(item, schema.get("items") or {}, f"{path}[{index}]")


def _string(value: str, schema: Object, path: str) -> Iterator[Object]:
    if len(value) > schema.get("maxLength", len(value)):
        told = f"Too long: may not be more than {schema['maxLength']} bytes"
        yield cause(path, told, "FieldValueTooLong")
    if len(value) < schema.get("minLength", 0):
        told = f"{path} in body should be at least {schema['minLength']} chars long"
        yield cause(path, f'Invalid value: "{value}": {told}')
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield cause(path, f"Invalid value: \"{value}\": {path} in body should match '{schema['pattern']}'")


def _number(value: float, schema: Object, path: str) -> Iterator[Object]:
    if "minimum" in schema and value < schema["minimum"]:
        told = f"{path} in body should be greater than or equal to {schema['minimum']}"
        yield cause(path, f"Invalid value: {value}: {told}")
    if "maximum" in schema and value > schema["maximum"]:
        told = f"{path} in body should be less than or equal to {schema['maximum']}"
        yield cause(path, f"Invalid value: {value}: {told}")
