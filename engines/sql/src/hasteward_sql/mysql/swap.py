"""The moment that counts, one schema at a time: the tables change places in a single RENAME.

MySQL and MariaDB rename tables into another schema, but not while they have triggers, and never views or
programs. So the triggers of the live tables are dropped first, and what belongs to the tables that are then
live is made from statements that lie in our own schemas. Killed between any two of these acts, `put_in_order`
finishes or takes back what was begun: everything it needs is in the server.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

from hasteward.domain.errors import HastewardError, RunFailed
from hasteward.domain.events import StepDone, Warned
from hasteward.ports.context import EngineContext
from hasteward_sql.mysql.catalog import MARK, NEW_PREFIX, OLD_PREFIX, Schema, read_marks, read_schemas
from hasteward_sql.mysql.client import Server
from hasteward_sql.mysql.dump import read_definitions
from hasteward_sql.mysql.quoting import identifier, qualified
from hasteward_sql.mysql.state import (
    Remedy,
    Stage,
    begun,
    mark,
    mark_table,
    remedy,
    witness_table,
    witnessed,
)

_TRIES = 5
#: lock wait timeout, deadlock: somebody was in the way, and nothing was renamed
_AGAIN = ("ERROR 1205", "ERROR 1213")


@dataclass(frozen=True, slots=True)
class Names:
    """A live schema, the one that waits to take its place, and the one that takes what is replaced."""

    live: str
    new: str
    old: str


def _patience(context: EngineContext) -> int:
    """Seconds that one try waits for whoever holds a table; the tries share the run's lock deadline."""
    return max(1, round(context.tuning.lock_seconds / _TRIES))


def _moves(tables: list[str], source: str, target: str) -> list[str]:
    return [f"{qualified(source, name)} TO {qualified(target, name)}" for name in tables]


def exchange_sql(live: Schema, incoming: Schema, names: Names, *, patience: int) -> list[str]:
    """The live tables out and the waiting ones in, by one statement; triggers are in the way of it."""
    drops = [f"DROP TRIGGER IF EXISTS {qualified(names.live, name)}" for name in live.triggers]
    moves = [*_moves(live.content, names.live, names.old), *_moves(incoming.content, names.new, names.live)]
    rename = f"RENAME TABLE {', '.join([*moves, witnessed(names.old)])}"
    return [f"SET SESSION lock_wait_timeout = {patience}", *drops, rename]


def return_sql(live: Schema, old: Schema, names: Names, *, patience: int) -> list[str]:
    """The same the other way round."""
    drops = [f"DROP TRIGGER IF EXISTS {qualified(names.live, name)}" for name in live.triggers]
    moves = [*_moves(live.content, names.live, names.new), *_moves(old.content, names.old, names.live)]
    rename = f"RENAME TABLE {', '.join([*moves, witnessed(names.old, back=True)])}"
    return [f"SET SESSION lock_wait_timeout = {patience}", *drops, rename]


def _clear_sql(schema: Schema) -> list[str]:
    name = schema.name
    return [
        *(f"DROP TRIGGER IF EXISTS {qualified(name, one)}" for one in schema.triggers),
        *(f"DROP VIEW IF EXISTS {qualified(name, one)}" for one in schema.views),
        *(f"DROP {kind} IF EXISTS {qualified(name, one)}" for kind, one in schema.routines),
        *(f"DROP EVENT IF EXISTS {qualified(name, one)}" for one in schema.events),
    ]


def activate(context: EngineContext, server: Server, schema: str, marks: Mapping[str, bytes]) -> None:
    """Replace programs and views of `schema` by those in `marks`; may be done again at any time."""
    found = read_schemas(context, server)[schema]
    clear = "".join(f"{each};\n" for each in _clear_sql(found)).encode()
    chunks = [clear, marks.get("programs", b""), b"\n", marks.get("views", b"")]
    server.load(context, chunks, what=f"programs and views of {schema}", schema=schema)


def swap(context: EngineContext, server: Server, names: Names, *, of: str = "") -> None:
    """Make the tables of `names.new` live and keep what they replace in `names.old`.

    `of` is the run that is taken back by this. Returns when it is done; raises with everything as it was,
    unless the message says otherwise.
    """
    live = read_schemas(context, server)[names.live]
    programs, views = read_definitions(context, server, live)
    context.check_lease()
    rows = {"live": names.live.encode(), "new": names.new.encode(), "programs": programs, "views": views}
    rows |= {"run": context.run.id.encode(), "job": context.run.job.encode(), "undo": b"1" if of else b"0"}
    rows |= {"of": of.encode()} if of else {}
    statements = [
        f"CREATE DATABASE {identifier(names.old)} CHARACTER SET {live.charset} COLLATE {live.collation}",
        mark_table(names.old),
        witness_table(names.old),
        *(mark(names.old, part, body) for part, body in rows.items()),
        mark(names.old, "stage", Stage.SWAPPING.value.encode()),
    ]
    try:
        server.run(context, *statements, what=f"writing down what {names.live} is made of")
    except HastewardError:
        with contextlib.suppress(HastewardError):
            old = read_schemas(context, server).get(names.old)
            _drop_unbegun(context, server, old, own=context.run.id)
        raise
    try:
        _exchange(context, server, names)
        activate(context, server, names.live, read_marks(context, server, names.new))
    except BaseException:
        take_back(context, server, names)
        raise
    _conclude(context, server, names)


def _exchange(context: EngineContext, server: Server, names: Names) -> None:
    for attempt in range(1, _TRIES + 1):
        found = read_schemas(context, server)
        context.check_lease()
        statements = exchange_sql(found[names.live], found[names.new], names, patience=_patience(context))
        try:
            server.run(context, *statements, what=f"the swap of {names.live}")
        except RunFailed as error:
            if attempt == _TRIES or not any(word in error.message for word in _AGAIN):
                raise
            text = f"the swap of {names.live} is tried again ({attempt} of {_TRIES}): {error.message}"
            context.reporter.emit(Warned("restore.swap_again", text))
        else:
            return


def _conclude(context: EngineContext, server: Server, names: Names) -> None:
    server.run(
        context,
        f"DROP DATABASE IF EXISTS {identifier(names.new)}",
        mark(names.old, "stage", Stage.KEPT.value.encode()),
        what=f"finishing the swap of {names.live}",
    )


def take_back(context: EngineContext, server: Server, names: Names) -> None:
    """After a failure: the tables back to where they were, and their programs too."""
    try:
        found = read_schemas(context, server)
        old = found.get(names.old)
        if old is None:
            return
        marks = read_marks(context, server, names.old)
        if remedy(marks, old) is Remedy.FORWARD:
            context.check_lease()
            back = return_sql(found[names.live], old, names, patience=_patience(context))
            server.run(context, *back, what=f"taking the swap of {names.live} back")
        activate(context, server, names.live, marks)
        server.run(context, f"DROP DATABASE {identifier(names.old)}", what="removing an empty schema")
    except HastewardError as error:
        text = f"the swap of {names.live} could not be taken back: {error.message}; run the restore again"
        context.reporter.emit(Warned("restore.half_swapped", text))


def put_in_order(context: EngineContext, server: Server) -> list[str]:
    """Finish or take back what dead runs began; what was done, in words. Our Lease keeps live ones away."""
    said = []
    found = read_schemas(context, server)
    for old in (schema for name, schema in found.items() if name.startswith(OLD_PREFIX)):
        marks = read_marks(context, server, old.name)
        live, new = marks.get("live", b"").decode(), marks.get("new", b"").decode()
        chosen = remedy(marks, old)
        names = Names(live, new, old.name)
        if _drop_unbegun(context, server, old):
            continue
        if chosen is Remedy.NOTHING or live not in found:
            continue
        context.check_lease()
        if chosen is Remedy.BACK:
            activate(context, server, live, marks)
            server.run(context, f"DROP DATABASE {identifier(old.name)}", what="removing an empty schema")
            said.append(f"schema {live} has its programs back, which a dead restore had taken")
        else:
            if new in found:
                activate(context, server, live, read_marks(context, server, new))
            _conclude(context, server, names)
            said.append(f"finished the restore of schema {live}, which a dead run had begun")
    said += _drop_waiting(context, server)
    for text in said:
        context.reporter.emit(StepDone("restore", text))
    return said


def _drop_unbegun(context: EngineContext, server: Server, old: Schema | None, *, own: str = "") -> bool:
    """Drop a schema that was to take what is replaced, if nothing can have been moved into it.

    Once all was written down something can, unless by the run `own`, which knows that it has not.
    """
    if old is None or old.content:
        return False
    marks = read_marks(context, server, old.name)
    if begun(marks) and marks.get("run") != own.encode():
        return False
    context.check_lease()
    server.run(context, f"DROP DATABASE {identifier(old.name)}", what="removing an empty schema")
    return True


def _drop_waiting(context: EngineContext, server: Server) -> list[str]:
    """Schemas that a dead run was loading. Without a mark only an empty one is ours for certain."""
    said = []
    for name, schema in read_schemas(context, server).items():
        if not name.startswith(NEW_PREFIX):
            continue
        if MARK in schema.tables or not schema.tables:
            context.check_lease()
            server.run(context, f"DROP DATABASE {identifier(name)}", what="removing what a dead run left")
            said.append(f"removed {name}, which a dead run was loading")
    return said
