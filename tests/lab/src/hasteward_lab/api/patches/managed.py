"""Who owns which field: the entries of `metadata.managedFields`, kept by every write."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

from hasteward_lab.api.patches import fields
from hasteward_lab.api.patches.fields import Fields
from hasteward_lab.api.patches.shape import Shapes
from hasteward_lab.api.store import now

Object = dict[str, Any]

APPLY, UPDATE = "Apply", "Update"


@dataclass(frozen=True)
class Owner:
    """Whose fields an entry tells: a manager, by the way it writes."""

    manager: str
    operation: str
    api_version: str
    subresource: str = ""

    def spoken(self) -> str:
        """The owner as a conflict names it."""
        text = f'"{self.manager}"'
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        return f"{text} using {self.api_version}" if self.operation == UPDATE else text


@dataclass(frozen=True)
class Entry:
    """What an owner owns, and since when."""

    owner: Owner
    held: Fields
    time: str

    def without(self, taken: Fields) -> Entry:
        """The entry after somebody else took fields."""
        return replace(self, held=self.held - taken)


def read(item: Object) -> list[Entry]:
    """The entries of an object."""
    return [
        Entry(
            Owner(row["manager"], row["operation"], row["apiVersion"], row.get("subresource", "")),
            fields.decode(row.get("fieldsV1", {})),
            row.get("time", ""),
        )
        for row in item.get("metadata", {}).get("managedFields") or []
    ]


def write(item: Object, entries: list[Entry]) -> None:
    """Put entries into an object; those who own nothing are left out."""
    rows = []
    order = sorted(
        entries, key=lambda entry: (entry.owner.operation != APPLY, entry.time, entry.owner.manager)
    )
    for entry in order:
        if entry.held:
            owner = entry.owner
            row: Object = {"manager": owner.manager, "operation": owner.operation}
            row["apiVersion"] = owner.api_version
            row |= {"time": entry.time, "fieldsType": "FieldsV1", "fieldsV1": fields.encode(entry.held)}
            rows.append({**row, "subresource": owner.subresource} if owner.subresource else row)
    if rows:
        item["metadata"]["managedFields"] = rows
    else:
        item["metadata"].pop("managedFields", None)


def bare(item: Object) -> Object:
    """The object without its entries."""
    found = copy.copy(item)
    found["metadata"] = {k: v for k, v in item.get("metadata", {}).items() if k != "managedFields"}
    return found


def updated(old: Object | None, new: Object, owner: Owner, shapes: Shapes) -> None:
    """Note a write that was no apply: what it changed is now its writer's."""
    before = bare(old) if old else {}
    changed, gone = fields.compare(before, bare(new), shapes)
    if owner.subresource == "status":
        changed = frozenset(path for path in changed if path[0] == "f:status")
    entries, mine = [], Entry(owner, frozenset(), now())
    # A client may clear the list to begin afresh, and else has no say in it.
    kept = read(old) if old and new["metadata"].get("managedFields", None) != [{}] else []
    for entry in kept:
        if entry.owner == owner:
            mine = replace(entry, time=now() if changed or gone else entry.time)
        else:
            entries.append(entry.without(changed | gone))
    held = (mine.held | changed) - gone
    write(new, [*entries, replace(mine, held=held)])
