"""Kubernetes' protobuf envelope, as far as stock kubectl sends it; everything else is 415.

kubectl writes reviews, tokens, namespaces, roles and the like in protobuf and offers nothing else. Answers
are always JSON: every client that accepts protobuf accepts that too.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

MAGIC = b"k8s\x00"


@dataclass(frozen=True)
class Field:
    """One field: its JSON name and how its bytes are read."""

    name: str
    kind: str = "text"
    repeated: bool = False


Message = dict[int, Field]


def _texts(*names: str) -> Message:
    return {number: Field(name) for number, name in enumerate(names, start=1)}


def _many(name: str, kind: str = "text") -> Field:
    return Field(name, kind, repeated=True)


_META: Message = {
    **_texts("name", "generateName", "namespace", "selfLink", "uid", "resourceVersion"),
    11: Field("labels", "map"),
    12: Field("annotations", "map"),
    13: _many("ownerReferences", "owner"),
    14: _many("finalizers"),
}
_MESSAGES: dict[str, Message] = {
    "meta": _META,
    "owner": {
        1: Field("kind"),
        3: Field("name"),
        4: Field("uid"),
        5: Field("apiVersion"),
        6: Field("controller", "bool"),
    },
    "named": {3: Field("name"), 1: Field("kind"), 2: Field("namespace")},
    "localName": _texts("name"),
    "access": {1: Field("resourceAttributes", "attributes"), 2: Field("nonResourceAttributes", "path")},
    "attributes": _texts("namespace", "verb", "group", "version", "resource", "subresource", "name"),
    "path": _texts("path", "verb"),
    "othersAccess": {
        1: Field("resourceAttributes", "attributes"),
        2: Field("nonResourceAttributes", "path"),
        3: Field("user"),
        4: _many("groups"),
    },
    "rulesSpec": _texts("namespace"),
    "tokenSpec": {1: _many("audiences"), 4: Field("expirationSeconds", "int")},
    "phase": _texts("phase"),
    "finalizers": {1: _many("finalizers")},
    "rule": {
        1: _many("verbs"),
        2: _many("apiGroups"),
        3: _many("resources"),
        4: _many("resourceNames"),
        5: _many("nonResourceURLs"),
    },
    "subject": _texts("kind", "apiGroup", "name", "namespace"),
    "roleRef": _texts("apiGroup", "kind", "name"),
    "preconditions": _texts("uid", "resourceVersion"),
    "DeleteOptions": {
        1: Field("gracePeriodSeconds", "int"),
        2: Field("preconditions", "preconditions"),
        3: Field("orphanDependents", "bool"),
        4: Field("propagationPolicy"),
        5: _many("dryRun"),
    },
    "Eviction": {1: Field("metadata", "meta"), 2: Field("deleteOptions", "DeleteOptions")},
    "SelfSubjectAccessReview": {2: Field("spec", "access")},
    "SubjectAccessReview": {2: Field("spec", "othersAccess")},
    "LocalSubjectAccessReview": {1: Field("metadata", "meta"), 2: Field("spec", "othersAccess")},
    "SelfSubjectRulesReview": {2: Field("spec", "rulesSpec")},
    "SelfSubjectReview": {1: Field("metadata", "meta")},
    "TokenRequest": {1: Field("metadata", "meta"), 2: Field("spec", "tokenSpec")},
    "Namespace": {1: Field("metadata", "meta"), 2: Field("spec", "finalizers")},
    "ConfigMap": {
        1: Field("metadata", "meta"),
        2: Field("data", "map"),
        3: Field("binaryData", "bytesMap"),
        4: Field("immutable", "bool"),
    },
    "Secret": {
        1: Field("metadata", "meta"),
        2: Field("data", "bytesMap"),
        3: Field("type"),
        4: Field("stringData", "map"),
        5: Field("immutable", "bool"),
    },
    "ServiceAccount": {1: Field("metadata", "meta"), 2: _many("secrets", "named")},
    "Role": {1: Field("metadata", "meta"), 2: _many("rules", "rule")},
    "ClusterRole": {1: Field("metadata", "meta"), 2: _many("rules", "rule")},
    "RoleBinding": {
        1: Field("metadata", "meta"),
        2: _many("subjects", "subject"),
        3: Field("roleRef", "roleRef"),
    },
    "ClusterRoleBinding": {
        1: Field("metadata", "meta"),
        2: _many("subjects", "subject"),
        3: Field("roleRef", "roleRef"),
    },
}


def decode(data: bytes) -> Object | None:
    """The object in an envelope; None for a kind or content this module does not read."""
    if not data.startswith(MAGIC):
        return None
    envelope = dict(_fields(data[len(MAGIC) :]))
    kind = {number: bytes(value).decode() for number, value in _fields(envelope.get(1, b""))}
    message = _MESSAGES.get(kind.get(2, ""))
    if message is None or kind[2][:1].islower():
        return None
    return {"apiVersion": kind.get(1, ""), "kind": kind[2], **_read(message, envelope.get(2, b""))}


def _read(message: Message, data: bytes) -> Object:
    found: Object = {}
    for number, value in _fields(data):
        field = message.get(number)
        if field is None:
            continue
        if field.kind in {"map", "bytesMap"}:
            pair = dict(_fields(value))
            text = pair.get(2, b"")
            content = base64.b64encode(text).decode() if field.kind == "bytesMap" else text.decode()
            found.setdefault(field.name, {})[pair.get(1, b"").decode()] = content
            continue
        content = _value(field.kind, value)
        if field.repeated:
            found.setdefault(field.name, []).append(content)
        elif content not in ("", {}):
            # An unset field is written as an empty one.
            found[field.name] = content
    return found


def _value(kind: str, value: Any) -> Any:
    if kind == "int":
        return value
    if kind == "bool":
        return bool(value)
    if kind == "text":
        return bytes(value).decode()
    return _read(_MESSAGES[kind], value)


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, place = _varint(data, place)
            yield number, value
        elif wire == 2:
            size, place = _varint(data, place)
            yield number, data[place : place + size]
            place += size
        else:
            place += 8 if wire == 1 else 4


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
