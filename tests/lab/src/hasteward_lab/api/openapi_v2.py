"""`/openapi/v2` as kubectls before 1.27 ask for it: one document, in protobuf and in nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from hasteward_lab.api import openapi
from hasteward_lab.api.catalog import Catalog
from hasteward_lab.api.discovery import VERSION

Object = dict[str, Any]

# Asked for with an `@`, which such a kubectl cannot read in an answer.
CONTENT_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_OPEN = "x-kubernetes-preserve-unknown-fields"
# The fields of a schema that are texts or flags, by their numbers in the protobuf form.
_TEXTS = {"format": 2, "title": 3, "description": 4, "pattern": 13}
_DEFAULT, _REQUIRED, _ADDITIONAL, _TYPE, _ITEMS, _PROPERTIES, _EXTENSION = 5, 19, 21, 22, 23, 25, 31


def document(catalog: Catalog) -> bytes:
    """The schemas of custom resources. Of the built-in kinds such a kubectl knows more."""
    schemas: Object = {}
    for name, version in catalog.group_versions():
        for title, schema in openapi.document(catalog, name, version)["components"]["schemas"].items():
            if _OPEN not in schema:
                schemas[title] = schema
    definitions = b"".join(_sub(1, _named(name, _schema(row))) for name, row in schemas.items())
    info = _text(1, "Kubernetes") + _text(2, str(VERSION["gitVersion"]))
    return _text(1, "2.0") + _sub(2, info) + _sub(8, b"") + _sub(9, definitions)


def _schema(schema: Object) -> bytes:
    reference = schema.get("$ref")
    if reference:
        return _text(1, reference.replace("#/components/schemas/", "#/definitions/"))
    if schema.get(_OPEN):
        # Nothing is known of what is in it.
        closed = {"properties", "items", "additionalProperties", "type", "default"}
        schema = {key: value for key, value in schema.items() if key not in closed}
    parts = [_text(number, schema[name]) for name, number in _TEXTS.items() if name in schema]
    if "default" in schema:
        parts.append(_sub(_DEFAULT, _any(schema["default"])))
    parts += [_text(_REQUIRED, name) for name in schema.get("required", [])]
    if isinstance(schema.get("additionalProperties"), dict):
        parts.append(_sub(_ADDITIONAL, _sub(1, _schema(schema["additionalProperties"]))))
    if "type" in schema:
        parts.append(_sub(_TYPE, _text(1, schema["type"])))
    if "items" in schema:
        parts.append(_sub(_ITEMS, _sub(1, _schema(schema["items"]))))
    alternatives = schema.get("allOf", [])
    if len(alternatives) == 1 and "$ref" in alternatives[0]:
        return _schema(alternatives[0])
    if "properties" in schema:
        rows = (_sub(1, _named(name, _schema(row))) for name, row in schema["properties"].items())
        parts.append(_sub(_PROPERTIES, b"".join(rows)))
    extensions = ((key, value) for key, value in schema.items() if key.startswith("x-"))
    parts += [_sub(_EXTENSION, _named(key, _any(value))) for key, value in extensions]
    return b"".join(parts)


def _named(name: str, value: bytes) -> bytes:
    return _text(1, name) + _sub(2, value)


def _any(value: Any) -> bytes:
    """A value as YAML, which JSON is."""
    return _text(2, json.dumps(value))


def _text(number: int, value: str) -> bytes:
    return _sub(number, value.encode())


def _sub(number: int, value: bytes) -> bytes:
    return bytes((*_varint(number << 3 | 2), *_varint(len(value)))) + value


def _varint(value: int) -> Iterable[int]:
    while value > 0x7F:
        yield value & 0x7F | 0x80
        value >>= 7
    yield value
