"""The patch kinds of Kubernetes on plain dictionaries."""

from __future__ import annotations

import copy
import json
from typing import Any

import yaml

from hasteward_lab.api.errors import ApiError

Object = dict[str, Any]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

# The merge keys of the lists this lab serves; other lists are replaced whole.
_MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "ports": "port",
    "conditions": "type",
    "ownerReferences": "uid",
}


def apply(content_type: str, target: Object, body: bytes) -> Object:
    """Patch a copy of the target; ApiError for a kind or content that is not understood."""
    if content_type == APPLY_PATCH:
        return _strategic(target, yaml.safe_load(body))  # type: ignore[no-any-return]
    try:
        patch = json.loads(body)
    except ValueError as error:
        raise ApiError(400, f"error decoding patch: {error}") from None
    if content_type == JSON_PATCH:
        return _json_patch(target, patch)
    if not isinstance(patch, dict):
        raise ApiError(400, "a merge patch is an object")
    if content_type == MERGE_PATCH:
        return _merge(target, patch)  # type: ignore[no-any-return]
    if content_type == STRATEGIC_PATCH:
        return _strategic(target, patch)  # type: ignore[no-any-return]
    raise ApiError(415, f"the body of the request was in an unknown format: {content_type}")


def _merge(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merge(result.get(key), value)
    return result


def _strategic(target: Any, patch: Any, key: str = "") -> Any:
    if isinstance(patch, list) and key in _MERGE_KEYS:
        return _merge_list(target or [], patch, _MERGE_KEYS[key])
    if isinstance(patch, list) and key == "finalizers":
        return [*(target or []), *(item for item in patch if item not in (target or []))]
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    if patch.get("$patch") == "replace":
        return {name: value for name, value in patch.items() if name != "$patch"}
    for name, value in patch.items():
        if name.startswith(("$setElementOrder/", "$retainKeys")):
            continue
        if name.startswith("$deleteFromPrimitiveList/"):
            base = name.split("/", 1)[1]
            result[base] = [item for item in result.get(base, []) if item not in value]
        elif value is None:
            result.pop(name, None)
        else:
            result[name] = _strategic(result.get(name), value, name)
    return result


def _merge_list(target: list[Any], patch: list[Any], merge_key: str) -> list[Any]:
    result = list(target)
    for item in patch:
        identity = item.get(merge_key)
        index = next((i for i, old in enumerate(result) if old.get(merge_key) == identity), None)
        if item.get("$patch") == "delete":
            if index is not None:
                del result[index]
        elif index is None:
            result.append(copy.deepcopy(item))
        else:
            result[index] = _strategic(result[index], item)
    return result


def _json_patch(target: Object, patch: Any) -> Object:
    if not isinstance(patch, list):
        raise ApiError(400, "a JSON patch is a list of operations")
    result = copy.deepcopy(target)
    for operation in patch:
        try:
            _operate(result, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            message = f"the server rejected our request due to an error in our request: {error}"
            raise ApiError(422, message) from None
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
