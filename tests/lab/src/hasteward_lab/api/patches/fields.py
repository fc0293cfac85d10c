"""Sets of fields, as `metadata.managedFields` keeps them (FieldsV1)."""

from __future__ import annotations

import json
from typing import Any

from hasteward_lab.api.patches.shape import DEFAULTS, Shapes

Object = dict[str, Any]
Path = tuple[str, ...]
Fields = frozenset[Path]

# What nobody owns: identity, and what the server writes.
_NOBODYS = {
    ("f:apiVersion",),
    ("f:kind",),
    ("f:metadata",),
    *(
        ("f:metadata", f"f:{name}")
        for name in (
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "clusterName",
            "generation",
            "managedFields",
            "resourceVersion",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
        )
    ),
}


def encode(fields: Fields) -> Object:
    """The set as FieldsV1 writes it."""
    root: Object = {}
    parents = {path[:length] for path in fields for length in range(1, len(path))}
    for path in sorted(fields):
        node = root
        for part in path:
            node = node.setdefault(part, {})
        if path in parents:
            node["."] = {}
    return root


def decode(data: Object, path: Path = ()) -> Fields:
    """The set that FieldsV1 means."""
    found: set[Path] = set()
    for key, below in data.items():
        if key == ".":
            found.add(path)
        elif below:
            found |= decode(below, (*path, key))
        else:
            found.add((*path, key))
    return frozenset(found)


def item_key(item: Any, keys: tuple[str, ...]) -> str:
    """How an item of a keyed list is called in a path."""
    named = {key: item.get(key, DEFAULTS.get(key)) for key in keys}
    return "k:" + json.dumps({k: v for k, v in sorted(named.items()) if v is not None}, separators=(",", ":"))


def spoken(path: Path) -> str:
    """A path as messages write it: `.spec.containers[name="c"].image`."""
    text = ""
    for part in path:
        kind, rest = part[:2], part[2:]
        if kind == "f:":
            text += f".{rest}"
        elif kind == "v:":
            text += f"[={rest}]"
        else:
            pairs = ",".join(f"{key}={json.dumps(value)}" for key, value in json.loads(rest).items())
            text += f"[{pairs}]"
    return text


def children(value: Any, path: Path, names: Path, shapes: Shapes) -> dict[str, Any] | None:
    """What is below a value as separate fields; None when it is owned as one."""
    if isinstance(value, dict):
        return None if shapes.atomic_map(names) else {f"f:{key}": below for key, below in value.items()}
    if isinstance(value, list):
        shape = shapes.of_list(names)
        if shape.is_set:
            return {"v:" + json.dumps(item, separators=(",", ":")): item for item in value}
        if shape.keys and all(isinstance(item, dict) for item in value):
            return {item_key(item, shape.keys): item for item in value}
    return None


def names_below(names: Path, part: str) -> Path:
    """The field names of a path; an item of a list adds none."""
    return (*names, part[2:]) if part.startswith("f:") else names


def of_object(item: Object, shapes: Shapes) -> Fields:
    """Every field an applied configuration speaks about."""
    found: set[Path] = set()

    def walk(value: Any, path: Path, names: Path) -> None:
        below = children(value, path, names, shapes)
        if below is None or not below:
            found.add(path)
            return
        if path and not path[-1].startswith("f:"):
            found.add(path)
        for part, inner in below.items():
            walk(inner, (*path, part), names_below(names, part))

    walk(item, (), ())
    return frozenset(found - _NOBODYS - {()})


def compare(old: Any, new: Any, shapes: Shapes) -> tuple[Fields, Fields]:
    """The fields that are new or different, and those that are gone."""
    changed: set[Path] = set()
    gone: set[Path] = set()

    def all_of(value: Any, path: Path, names: Path, into: set[Path]) -> None:
        below = children(value, path, names, shapes)
        into.add(path)
        for part, inner in (below or {}).items():
            all_of(inner, (*path, part), names_below(names, part), into)

    def walk(before: Any, after: Any, path: Path, names: Path) -> None:
        if before == after:
            return
        left, right = children(before, path, names, shapes), children(after, path, names, shapes)
        if left is None or right is None or isinstance(before, list) is not isinstance(after, list):
            all_of(after, path, names, changed)
            return
        for part, value in right.items():
            below = names_below(names, part)
            if part in left:
                walk(left[part], value, (*path, part), below)
            else:
                all_of(value, (*path, part), below, changed)
        for part, value in left.items():
            if part not in right:
                all_of(value, (*path, part), names_below(names, part), gone)

    walk(old, new, (), ())
    top = {path for path in changed if len(path) < 2 and path != ()} & {("f:spec",), ("f:status",)}
    return frozenset(changed - _NOBODYS - top - {()}), frozenset(gone - _NOBODYS - {()})
