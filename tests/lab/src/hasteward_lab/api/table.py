"""The tables `kubectl get` prints, made by the server as a real one does."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

from hasteward_lab.api import columns
from hasteward_lab.api.resources import Resource

Object = dict[str, Any]

_STEP = re.compile(r"\.?([A-Za-z0-9_-]+)|\[(\d+)\]|\['([^']+)'\]|\[\?\(@\.(\w+)==[\"']([^\"']+)[\"']\)\]")


def wanted(accept: str) -> bool:
    """Say whether the client asks for a table."""
    return "as=Table" in accept


def render(
    resource: Resource, items: list[Object], meta: Object, include: str, defined: Object | None = None
) -> Object:
    """A table of the items; `include` says how much of each object goes along.

    `defined` is the version of a CustomResourceDefinition whose printer columns count.
    """
    rows = columns.of(resource) if defined is None else _printer(defined)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": meta,
        "columnDefinitions": [
            {
                "name": row.title,
                "type": row.kind,
                "format": "name" if row.title == "Name" else "",
                "description": row.title,
                "priority": row.priority,
            }
            for row in rows
        ],
        "rows": [{"cells": [row.cell(i) for row in rows], "object": _object(i, include)} for i in items],
    }


def partial(item: Object) -> Object:
    """The metadata of an object, as an object of its own."""
    kind = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
    return {**kind, "metadata": item["metadata"]}


def _object(item: Object, include: str) -> Object | None:
    if include == "None":
        return None
    return item if include == "Object" else partial(item)


def _printer(defined: Object) -> list[columns.Column]:
    rows = [columns.NAME]
    given = defined.get("additionalPrinterColumns")
    if not given:
        return [columns.NAME, columns.AGE]
    for row in given:
        cell = _path(row["jsonPath"], date=row["type"] == "date")
        rows.append(columns.Column(row["name"], cell, row["type"], row.get("priority", 0)))
    return rows


def _path(path: str, *, date: bool) -> Callable[[Object], Any]:
    def cell(item: Object) -> Any:
        found = look(item, path)
        if date and isinstance(found, str):
            return columns.since(dt.datetime.fromisoformat(found))
        return found

    return cell


def look(item: Any, path: str) -> Any:
    """The value at a simple JSONPath; None when it is not there."""
    for name, index, quoted, key, value in _STEP.findall(path):
        if index:
            item = item[int(index)] if isinstance(item, list) and int(index) < len(item) else None
        elif key:
            rows = item if isinstance(item, list) else []
            item = next((row for row in rows if row.get(key) == value), None)
        else:
            item = item.get(name or quoted) if isinstance(item, dict) else None
    return item
