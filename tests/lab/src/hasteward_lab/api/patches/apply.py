"""Server-side apply: a configuration is merged in, conflicts are told, what was left out goes."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from hasteward_lab.api.errors import ApiError
from hasteward_lab.api.patches import fields, managed
from hasteward_lab.api.patches.fields import Fields, Path
from hasteward_lab.api.patches.managed import Entry, Owner
from hasteward_lab.api.patches.shape import Shapes
from hasteward_lab.api.store import now

Object = dict[str, Any]


def apply(live: Object, wanted: Object, owner: Owner, shapes: Shapes, *, force: bool) -> Object:
    """The object after an apply, its entries included; 409 when others own what it would change."""
    spoken_of = fields.of_object(wanted, shapes)
    merged: Object = _merge(managed.bare(live), wanted, shapes, ())
    changed, _ = fields.compare(managed.bare(live), merged, shapes)
    mine: Fields = frozenset()
    others: list[Entry] = []
    since = now()
    for entry in managed.read(live):
        if replace(entry.owner, api_version=owner.api_version) == owner:
            mine |= entry.held
            since = entry.time if entry.held == spoken_of and not changed else since
        else:
            others.append(entry)
    conflicts = [(e.owner, path) for e in others for path in sorted(e.held & changed & spoken_of)]
    if conflicts and not force:
        raise _conflict(conflicts)
    others = [entry.without(changed & spoken_of) if force else entry for entry in others]
    held_by_others = frozenset().union(*(entry.held for entry in others))
    # The outermost first: an item of a list is found by its key, which is one of its fields.
    for path in sorted(mine - spoken_of, key=len):
        if not any(held[: len(path)] == path for held in held_by_others | spoken_of):
            _remove(merged, path, shapes, ())
    managed.write(merged, [*others, Entry(owner, spoken_of, since)])
    return merged


def _conflict(conflicts: list[tuple[Owner, Path]]) -> ApiError:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f"conflict with {owner.spoken()}",
            "field": fields.spoken(path),
        }
        for owner, path in conflicts
    ]
    if len(conflicts) == 1:
        owner, path = conflicts[0]
        text = f"Apply failed with 1 conflict: conflict with {owner.spoken()}: {fields.spoken(path)}"
    else:
        lines = []
        for name in sorted({owner.spoken() for owner, _ in conflicts}):
            lines.append(f"conflicts with {name}:")
            lines += [f"- {fields.spoken(path)}" for owner, path in conflicts if owner.spoken() == name]
        text = f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines)
    return ApiError(409, text, reason="Conflict", details={"causes": causes})


def _merge(live: Any, wanted: Any, shapes: Shapes, names: Path) -> Any:
    if isinstance(wanted, dict) and isinstance(live, dict) and not shapes.atomic_map(names):
        result = dict(live)
        for key, value in wanted.items():
            result[key] = _merge(live.get(key), value, shapes, (*names, key))
        return result
    if isinstance(wanted, list) and isinstance(live, list):
        shape = shapes.of_list(names)
        if shape.is_set:
            return [*live, *(item for item in wanted if item not in live)]
        if shape.keys:
            ours = {fields.item_key(item, shape.keys): item for item in wanted}
            theirs = {fields.item_key(item, shape.keys): item for item in live}
            kept = [_merge(item, ours.get(key, {}), shapes, names) for key, item in theirs.items()]
            return kept + [copy.deepcopy(item) for key, item in ours.items() if key not in theirs]
    return copy.deepcopy(wanted)


def _remove(target: Any, path: Path, shapes: Shapes, names: Path) -> None:
    """Take one field away, where it is still there; an emptied parent stays as it would."""
    for part in path[:-1]:
        below = fields.children(target, (), names, shapes) or {}
        if part not in below:
            return
        target, names = below[part], fields.names_below(names, part)
    last = path[-1]
    if isinstance(target, dict):
        target.pop(last[2:], None)
    elif isinstance(target, list):
        below = fields.children(target, (), names, shapes) or {}
        if last in below:
            target.remove(below[last])
