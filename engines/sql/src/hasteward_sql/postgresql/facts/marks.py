"""What is written beside our own databases and roles: the journal of a restore, in the server itself.

What is being loaded, and by whom, says so in its comment. A kept database has its mark as a setting of the
first superuser in it (`KEPT`), because its owner may write a comment and must not write this one. The mark
is written by the very transaction that swaps it out, so there is never one without the other. JSON::

    {"role": "new", "run", "database"}            a database that is being loaded
    {"role": "load", "run"}                       the role that loads it
    {"role": "kept", "run", "job", "undo": whether an undo swapped it out, "keep": false when it is to be
     dropped, "database": the name it had, "oid": of the database that took the name (null: none did),
     "template": whether it was one, "kept": [all that this swap keeps, ...],
     "free": {NAME: oid of a database that took a free name, ...}}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: the setting that holds a kept database's mark
KEPT = "hasteward.kept"


@dataclass(frozen=True, slots=True)
class Swap:
    """One swap, as all that it keeps tell it."""

    run: str
    job: str
    undo: bool
    keep: bool
    kept: tuple[str, ...]
    free: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kept:
    """A replaced database: the name it had, and which database (by its oid) has that name since."""

    name: str
    database: str
    successor: int | None
    template: bool
    swap: Swap


def new_mark(run: str, database: str) -> str:
    """For a database that is being loaded."""
    return json.dumps({"run": run, "database": database, "role": "new"})


def load_mark(run: str) -> str:
    """For the role that loads."""
    return json.dumps({"run": run, "role": "load"})


def kept_mark(kept: Kept) -> str:
    """For a database that is swapped out."""
    swap = kept.swap
    return json.dumps(
        {
            "role": "kept",
            "run": swap.run,
            "job": swap.job,
            "undo": swap.undo,
            "keep": swap.keep,
            "database": kept.database,
            "oid": kept.successor,
            "template": kept.template,
            "kept": list(swap.kept),
            "free": dict(swap.free),
        }
    )


def read_mark(text: str | None) -> Mapping[str, Any]:
    """The mark in a comment or setting, empty when it holds none."""
    try:
        document = json.loads(text or "")
    except ValueError:
        return {}
    return document if isinstance(document, Mapping) else {}


def read_kept(name: str, setting: str | None) -> Kept | None:
    """The mark of the kept database `name`; None when it has none that can be read."""
    mark = read_mark(setting)
    if mark.get("role") != "kept":
        return None
    try:
        swap = Swap(
            run=str(mark["run"]),
            job=str(mark["job"]),
            undo=bool(mark["undo"]),
            keep=bool(mark["keep"]),
            kept=tuple(str(one) for one in mark["kept"]),
            free={str(one): int(oid) for one, oid in mark["free"].items()},
        )
        successor = mark["oid"]
        return Kept(
            name=name,
            database=str(mark["database"]),
            successor=None if successor is None else int(successor),
            template=bool(mark["template"]),
            swap=swap,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
