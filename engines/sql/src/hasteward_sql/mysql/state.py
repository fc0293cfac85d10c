# ruff: noqa: S608 - every name and value goes through quoting.py
"""How far a swap has come, as it is written in the schemas that it works with. Pure.

Every schema of ours holds the table ``hasteward_kept``: rows of ``part`` and ``body``. The one that
takes the replaced tables (old) says which live schema it is about, which one holds the restored tables (new),
which run did that (``run``, ``job``; ``undo``, and ``of`` whose restore it took back), and how far the work
is; both hold the programs and views that belong to their tables, because programs and views cannot be renamed
into another schema. Whether the tables have changed places is not written but done: an empty table of old is
renamed by the very act that swaps them, so it tells even where there was no table to move.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from hasteward_sql.mysql.catalog import MARK, NEW_PREFIX, OLD_PREFIX, SWAPPED, WAITING, Schema
from hasteward_sql.mysql.quoting import literal, qualified


class Stage(StrEnum):
    """Written before the act that it names; `KEPT` after the last one."""

    SWAPPING = "swapping"
    KEPT = "kept"


class Remedy(StrEnum):
    """What puts a schema in order after a run that died."""

    BACK = "give the live tables their programs back"
    FORWARD = "give the restored tables their programs"
    NOTHING = "nothing to do"


def unfinished(marks: Mapping[str, bytes]) -> bool:
    """Whether a run died in the middle of a swap."""
    return marks.get("stage") == Stage.SWAPPING.value.encode()


def begun(marks: Mapping[str, bytes]) -> bool:
    """Whether everything was written down, and so a swap may have begun: the stage is written last."""
    return "stage" in marks


def remedy(marks: Mapping[str, bytes], old: Schema) -> Remedy:
    """The tables change places in one atomic act, and the name of one table tells whether it was done.

    What holds tables of somebody is never taken for empty.
    """
    if not unfinished(marks):
        return Remedy.NOTHING
    return Remedy.FORWARD if SWAPPED in old.tables or old.content else Remedy.BACK


@dataclass(frozen=True, slots=True)
class Kept:
    """A schema that holds what a run replaced; `half` when that run died in the middle of it.

    `of` is the run that it took back by that; "" for a restore.
    """

    name: str
    live: str
    run: str
    job: str
    undo: bool
    half: bool
    of: str = ""


def whose(marks: Mapping[str, Mapping[str, bytes]]) -> tuple[list[Kept], dict[str, str]]:
    """By the marks of all schemas of ours: what is kept, and the run of each that waits to be swapped in."""
    kept = [_kept(name, rows) for name, rows in marks.items() if name.startswith(OLD_PREFIX) and begun(rows)]
    return kept, {name: _text(rows, "run") for name, rows in marks.items() if name.startswith(NEW_PREFIX)}


def _kept(name: str, rows: Mapping[str, bytes]) -> Kept:
    return Kept(
        name=name,
        live=_text(rows, "live"),
        run=_text(rows, "run"),
        job=_text(rows, "job"),
        undo=_text(rows, "undo") == "1",
        half=unfinished(rows),
        of=_text(rows, "of"),
    )


def _text(rows: Mapping[str, bytes], part: str) -> str:
    return rows.get(part, b"").decode()


def died_at(kept: Sequence[Kept], loading: Mapping[str, str]) -> str:
    """Whose restore is to be taken back because a run died in a swap, or between two of several; else "".

    Between two, some schemas of that restore are live and others wait; or, when it was being taken back, some
    are set aside and others still live.
    """
    for one in kept:
        if one.half:
            return one.of or one.run
    runs = {one.run for one in kept}
    between = [one.of for one in kept] + list(loading.values())
    return next((run for run in between if run in runs), "")


def mark_table(schema: str) -> str:
    """The statement that makes the table."""
    columns = "part VARCHAR(32) CHARACTER SET ascii PRIMARY KEY, body LONGBLOB NOT NULL"
    return f"CREATE TABLE {qualified(schema, MARK)} ({columns}) ENGINE=InnoDB"


def witness_table(schema: str) -> str:
    """The statement that makes the table which the swap renames."""
    return f"CREATE TABLE {qualified(schema, WAITING)} (n INT PRIMARY KEY) ENGINE=InnoDB"


def witnessed(schema: str, *, back: bool = False) -> str:
    """The part of a RENAME that tells that it was done, or taken `back`."""
    names = (SWAPPED, WAITING) if back else (WAITING, SWAPPED)
    return " TO ".join(qualified(schema, name) for name in names)


def mark(schema: str, part: str, body: bytes) -> str:
    """The statement that writes one row."""
    return f"REPLACE INTO {qualified(schema, MARK)} VALUES ({literal(part)}, {literal(body)})"
