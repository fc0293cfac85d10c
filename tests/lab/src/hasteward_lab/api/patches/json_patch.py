"""RFC 6902, with the server's words when an operation fails."""

from __future__ import annotations

import copy
from typing import Any

from hasteward_lab.api.errors import ApiError

Object = dict[str, Any]

_MOST = 10_000


def apply(target: Object, patch: Any) -> Object:
    """Carry out all operations on a copy, or none."""
    if not isinstance(patch, list):
        raise ApiError(400, "json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    if len(patch) > _MOST:
        raise ApiError(413, f"The allowed maximum operations in a JSON patch is {_MOST}, got {len(patch)}")
    result = copy.deepcopy(target)
    for operation in patch:
        try:
            _operate(result, operation)
        except (KeyError, IndexError, ValueError, TypeError):
            # The server keeps the reason to itself.
            message = "the server rejected our request due to an error in our request"
            raise ApiError(422, message, details={}) from None
    return result


def _operate(document: Object, operation: dict[str, Any]) -> None:
    verb, path = operation["op"], _pointer(operation["path"])
    if verb == "test":
        if _look(document, path) != operation["value"]:
            raise ValueError(f"testing path {operation['path']} value failed")
    elif verb in {"add", "replace"}:
        if verb == "replace":
            _look(document, path)
        _put(document, path, copy.deepcopy(operation["value"]), insert=verb == "add")
    elif verb == "remove":
        _drop(document, path)
    elif verb in {"copy", "move"}:
        source = _pointer(operation["from"])
        value = copy.deepcopy(_look(document, source))
        if verb == "move":
            _drop(document, source)
        _put(document, path, value, insert=True)
    else:
        raise ValueError(f"unknown operation {verb!r}")


def _pointer(text: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _look(document: Any, path: list[str]) -> Any:
    for part in path:
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def _put(document: Any, path: list[str], value: Any, *, insert: bool) -> None:
    parent, last = _look(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        index = len(parent) if last == "-" else int(last)
        if insert:
            parent.insert(index, value)
        else:
            parent[index] = value
    else:
        parent[last] = value


def _drop(document: Any, path: list[str]) -> None:
    parent, last = _look(document, path[:-1]), path[-1]
    del parent[int(last) if isinstance(parent, list) else last]
