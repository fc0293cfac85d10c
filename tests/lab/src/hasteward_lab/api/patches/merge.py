"""Merge patch (RFC 7396) and strategic merge patch."""

from __future__ import annotations

import copy
from typing import Any

from hasteward_lab.api.errors import ApiError
from hasteward_lab.api.patches.shape import Shapes

Object = dict[str, Any]

_DELETE_VALUES, _ORDER, _RETAIN = "$deleteFromPrimitiveList/", "$setElementOrder/", "$retainKeys"


def merge(target: Any, patch: Any) -> Any:
    """RFC 7396: null takes away, objects merge, all else replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def strategic(target: Any, patch: Any, shapes: Shapes, path: tuple[str, ...] = ()) -> Any:
    """A merge that knows which lists are merged by a key, with its `$` directives."""
    if isinstance(patch, list):
        return _list(target or [], patch, shapes, path)
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    if patch.get("$patch") == "replace":
        return {name: value for name, value in patch.items() if name != "$patch"}
    if patch.get("$patch") == "delete":
        return {}
    result = dict(target) if isinstance(target, dict) else {}
    if _RETAIN in patch:
        result = {key: value for key, value in result.items() if key in patch[_RETAIN]}
    for name, value in patch.items():
        if not name.startswith("$"):
            result[name] = (
                None if value is None else strategic(result.get(name), value, shapes, (*path, name))
            )
    _directives(result, patch)
    return {name: value for name, value in result.items() if value is not None}


def _directives(result: Object, patch: Object) -> None:
    """Carry out what a patch says about its own lists."""
    for name, value in patch.items():
        base = name.partition("/")[2]
        if name.startswith(_DELETE_VALUES):
            result[base] = [item for item in result.get(base) or [] if item not in value]
        elif name.startswith(_ORDER):
            result[base] = _ordered(result.get(base), value)


def _list(target: list[Any], patch: list[Any], shapes: Shapes, path: tuple[str, ...]) -> list[Any]:
    shape = shapes.of_list(path)
    if shape.is_set:
        return [*target, *(item for item in patch if item not in target)]
    if not shape.keys:
        return copy.deepcopy(patch)
    key = shape.keys[0]
    if any(item.get("$patch") == "replace" for item in patch):
        return [copy.deepcopy(item) for item in patch if "$patch" not in item]
    result = list(target)
    for item in patch:
        if key not in item:
            raise ApiError(400, f"map: {item} does not contain declared merge key: {key}")
        index = next((i for i, old in enumerate(result) if old.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            if index is not None:
                del result[index]
        elif index is None:
            result.append(strategic({}, item, shapes, path))
        else:
            result[index] = strategic(result[index], item, shapes, path)
    return result


def _ordered(items: Any, order: list[Any]) -> Any:
    """Bring items into the order the client has them in; those it does not know keep to the end."""
    if not isinstance(items, list):
        return items

    def place(item: Any) -> int:
        for index, wanted in enumerate(order):
            if item == wanted or (
                isinstance(wanted, dict) and all(item.get(key) == value for key, value in wanted.items())
            ):
                return index
        return len(order)

    return sorted(items, key=place)
