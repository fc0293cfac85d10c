"""Label and field selectors: parsed once, asked per object."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from hasteward_lab.api.errors import ApiError
from hasteward_lab.api.resources import Resource

Object = dict[str, Any]
Match = Callable[[Object], bool]

_SET = re.compile(r"^\s*(?P<key>[^\s!=]+)\s+(?P<op>in|notin)\s+\((?P<values>[^)]*)\)\s*$")
_EQUALITY = re.compile(r"^\s*(?P<key>[^\s!=]+)\s*(?P<op>==|=|!=)\s*(?P<value>\S*)\s*$")
_EXISTS = re.compile(r"^\s*(?P<no>!?)\s*(?P<key>[^\s!=()]+)\s*$")
_EVERY = ("metadata.name", "metadata.namespace")
_FIELDS: dict[str, tuple[str, ...]] = {
    "pods": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ),
    "events": (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "regarding.kind",
        "regarding.namespace",
        "regarding.name",
        "regarding.uid",
        "reason",
        "reportingComponent",
        "reportingController",
        "source",
        "type",
    ),
    "secrets": ("type",),
    "namespaces": ("status.phase",),
    "nodes": ("spec.unschedulable",),
    "jobs": ("status.successful",),
    "services": ("spec.clusterIP", "spec.type"),
}


def label_selector(text: str) -> Match:
    """Compile a label selector: equality, sets and existence, joined by commas."""
    tests = [_label_test(part) for part in re.split(r",(?![^(]*\))", text) if part.strip()]

    def match(item: Object) -> bool:
        labels = item["metadata"].get("labels") or {}
        return all(test(labels) for test in tests)

    return match


def _label_test(part: str) -> Callable[[dict[str, str]], bool]:
    if found := _SET.match(part):
        key, values = found["key"], {v.strip() for v in found["values"].split(",")}
        if found["op"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found := _EQUALITY.match(part):
        key, value = found["key"], found["value"]
        if found["op"] == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if found := _EXISTS.match(part):
        key, wanted = found["key"], not found["no"]
        return lambda labels: (key in labels) is wanted
    raise ApiError(400, f"unable to parse requirement: {part!r}")


def field_selector(text: str, plural: str = "") -> Match:
    """Compile a field selector over the fields the server knows for that kind."""
    known = (*_EVERY, *_FIELDS.get(plural, ()))
    tests: list[Match] = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        found = _EQUALITY.match(part)
        if not found or found["key"] not in known:
            label = part.split("=", 1)[0].rstrip("!")
            raise ApiError(
                400,
                f'Unable to find "{plural}" that match label selector "", field selector "{text}": field '
                f"label not supported: {label}",
            )
        tests.append(_field_test(found["key"].split("."), found["value"], found["op"] != "!="))
    return lambda item: all(test(item) for test in tests)


def _field_test(path: list[str], value: str, wanted: bool) -> Match:
    def match(item: Object) -> bool:
        found: Any = item
        for key in path:
            found = found.get(key, "") if isinstance(found, dict) else ""
        return (str(found) == value) is wanted

    return match


def both(labels: str, fields: str, resource: Resource) -> Match:
    """Compile the two query parameters of a list or watch."""
    by_label, by_field = label_selector(labels), field_selector(fields, resource.plural)
    return lambda item: by_label(item) and by_field(item)
