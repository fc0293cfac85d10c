# ruff: noqa: S608 - every name and value goes through quoting.py
"""What is in a server: schemas with their tables and programs, accounts, and what crosses borders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hasteward.ports.context import EngineContext
from hasteward_sql.mysql.client import Flavour, Row, Server, shown
from hasteward_sql.mysql.quoting import account, batches, text_literal

#: schemas of a restore that is under way, and those that a restore has replaced
NEW_PREFIX = "hasteward_new_"
OLD_PREFIX = "hasteward_old_"
#: the table in both of them that says what they are
MARK = "hasteward_kept"
#: a table of the schema that takes the replaced tables; the act that swaps them renames it too
WAITING = "hasteward_waiting"
SWAPPED = "hasteward_swapped"
_SYSTEM = ("information_schema", "performance_schema", "mysql", "sys")
_ACCOUNTS = ("mysql.sys", "mysql.session", "mysql.infoschema", "mariadb.sys", "PUBLIC")
_TRANSACTIONAL = ("InnoDB", "", "MEMORY")


@dataclass(frozen=True, slots=True)
class Schema:
    """One schema. `tables` are by name with their engine; sequences are among them; `views` are not.

    `broken` are the views of which the server says that what they refer to is not there: no dump can hold
    them, because no server would make them.
    """

    name: str
    charset: str
    collation: str
    tables: Mapping[str, str] = field(default_factory=dict)
    views: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()
    routines: tuple[tuple[str, str], ...] = ()
    events: tuple[str, ...] = ()
    size: int = 0
    changed: str = ""
    versioned: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()

    @property
    def sound_views(self) -> tuple[str, ...]:
        """The views that a dump can hold."""
        return tuple(view for view in self.views if view not in self.broken)

    @property
    def content(self) -> list[str]:
        """Its tables without those of ours that say what a schema is."""
        return [name for name in self.tables if name not in {MARK, WAITING, SWAPPED}]

    @property
    def counts(self) -> dict[str, int]:
        """How many of each a dump holds."""
        kinds = ("tables", "triggers", "routines", "events")
        return {"views": len(self.sound_views)} | {kind: len(getattr(self, kind)) for kind in kinds}

    @property
    def unsafe(self) -> tuple[str, ...]:
        """Tables that a transaction cannot show as they were at one moment."""
        return tuple(name for name, engine in self.tables.items() if engine not in _TRANSACTIONAL)


@dataclass(frozen=True, slots=True)
class Account:
    """A user, or a role (`host` is empty): how it is made, and what it was granted."""

    user: str
    host: str
    create: str
    grants: tuple[str, ...]

    @property
    def name(self) -> str:
        """``user@host``."""
        return account_name(self.user, self.host)


def account_name(user: str, host: str) -> str:
    """``user@host``, or the role's name alone."""
    return f"{user}@{host}" if host else user


@dataclass(frozen=True, slots=True)
class Crossing:
    """A foreign key from one schema into another."""

    schema: str
    table: str
    key: str
    target: str

    def __str__(self) -> str:
        return f"{self.key} of {self.schema}.{self.table} refers to schema {self.target}"


def is_ours(name: str) -> bool:
    """Whether a schema is one that a restore has made."""
    return name.startswith((NEW_PREFIX, OLD_PREFIX))


_SCHEMA, _TABLE, _PROGRAM = "'schema'", "'table'", "'program'"
_SCHEMAS = (
    f"SELECT {shown(_SCHEMA)}, {shown('SCHEMA_NAME')}, {shown('DEFAULT_CHARACTER_SET_NAME')},"
    f" {shown('DEFAULT_COLLATION_NAME')} FROM information_schema.SCHEMATA ORDER BY SCHEMA_NAME"
)
_BROKEN = "TABLE_TYPE = 'VIEW' AND TABLE_COMMENT LIKE '%references invalid%'"
_TABLES = (
    f"SELECT {shown(_TABLE)}, {shown('TABLE_SCHEMA')}, {shown('TABLE_NAME')}, {shown('TABLE_TYPE')},"
    f" {shown('ENGINE')}, {shown('IFNULL(DATA_LENGTH, 0) + IFNULL(INDEX_LENGTH, 0)')},"
    f" {shown('UPDATE_TIME')}, {shown(_BROKEN)}"
    " FROM information_schema.TABLES ORDER BY TABLE_SCHEMA, TABLE_NAME"
)
_PROGRAMS = (
    f"SELECT {shown(_PROGRAM)}, {shown('s')}, {shown('k')}, {shown('n')} FROM ("
    "SELECT 'triggers' AS k, TRIGGER_SCHEMA AS s, TRIGGER_NAME AS n FROM information_schema.TRIGGERS"
    " UNION ALL SELECT ROUTINE_TYPE, ROUTINE_SCHEMA, ROUTINE_NAME FROM information_schema.ROUTINES"
    " UNION ALL SELECT 'events', EVENT_SCHEMA, EVENT_NAME FROM information_schema.EVENTS"
    ") AS programs ORDER BY k, s, n"
)
_CROSSING = "'crossing'"
_CROSSINGS = (
    f"SELECT {shown(_CROSSING)}, {shown('CONSTRAINT_SCHEMA')}, {shown('TABLE_NAME')},"
    f" {shown('CONSTRAINT_NAME')}, {shown('UNIQUE_CONSTRAINT_SCHEMA')}"
    " FROM information_schema.REFERENTIAL_CONSTRAINTS"
    " WHERE CONSTRAINT_SCHEMA <> UNIQUE_CONSTRAINT_SCHEMA ORDER BY 2, 3, 4"
)


def read_schemas(context: EngineContext, server: Server) -> dict[str, Schema]:
    """Every schema but the server's own; ours are among them."""
    return _schemas(server.rows(context, f"{_SCHEMAS}; {_TABLES}; {_PROGRAMS}"))


def _schemas(rows: Iterable[Row]) -> dict[str, Schema]:
    found: dict[str, dict[str, Any]] = {}
    for what, name, *row in rows:
        if what == "schema":
            if str(name).lower() not in _SYSTEM:
                found[str(name)] = {"charset": row[0], "collation": row[1], "tables": {}}
        elif (facts := found.get(str(name))) is not None:
            (_add_table if what == "table" else _add_program)(facts, row)
    return {name: _schema(name, facts) for name, facts in found.items()}


def _schema(name: str, facts: Mapping[str, Any]) -> Schema:
    return Schema(
        name=name,
        charset=facts["charset"],
        collation=facts["collation"],
        tables=facts["tables"],
        views=tuple(facts.get("views", ())),
        triggers=tuple(facts.get("triggers", ())),
        routines=tuple(facts.get("routines", ())),
        events=tuple(facts.get("events", ())),
        size=facts.get("size", 0),
        changed=facts.get("changed", ""),
        versioned=tuple(facts.get("versioned", ())),
        broken=tuple(facts.get("broken", ())),
    )


def _add_table(facts: dict[str, Any], row: list[str | None]) -> None:
    name, kind, engine, size, changed, broken = row
    if kind == "VIEW":
        facts.setdefault("views", []).append(name)
        if broken == "1":
            facts.setdefault("broken", []).append(name)
        return
    facts["tables"][str(name)] = engine or ""
    facts["size"] = facts.get("size", 0) + int(size or 0)
    facts["changed"] = max(facts.get("changed", ""), changed or "")
    if kind == "SYSTEM VERSIONED":
        facts.setdefault("versioned", []).append(name)


def _add_program(facts: dict[str, Any], row: list[str | None]) -> None:
    kind, name = row
    if kind in {"triggers", "events"}:
        facts.setdefault(str(kind), []).append(name)
    else:
        facts.setdefault("routines", []).append((str(kind), str(name)))


def read_crossings(context: EngineContext, server: Server) -> list[Crossing]:
    """Every foreign key that leaves its schema."""
    return [Crossing(*map(str, row)) for _, *row in server.rows(context, _CROSSINGS)]


def read_all(context: EngineContext, server: Server) -> tuple[dict[str, Schema], list[Crossing]]:
    """As `read_schemas` and `read_crossings`, in one question."""
    rows = server.rows(context, f"{_SCHEMAS}; {_TABLES}; {_PROGRAMS}; {_CROSSINGS}")
    crossings = [Crossing(*map(str, row)) for what, *row in rows if what == "crossing"]
    return _schemas([row for row in rows if row[0] != "crossing"]), crossings


def read_names(context: EngineContext, server: Server) -> list[tuple[str, str]]:
    """User and host of every account that is not the server's own; roles, which have no host, first."""
    is_role = "is_role" if server.flavour is Flavour.MARIADB else "'N'"
    sql = f"SELECT {shown('User')}, {shown('Host')}, {shown(is_role)} FROM mysql.user ORDER BY 3 DESC, 1, 2"
    return [
        (str(user), "" if role == "Y" else str(host))
        for user, host, role in server.rows(context, sql)
        if user and user not in _ACCOUNTS
    ]


def read_accounts(context: EngineContext, server: Server) -> list[Account]:
    """Roles first, then users, each with the server's own statements."""
    names = read_names(context, server)
    border = f"hasteward {context.run.id}"
    setting = "SET print_identified_with_as_hex = 1; " if server.flavour is Flavour.MYSQL else ""
    questions = []
    for user, host in names:
        name = account(user, host)
        create = f"SHOW CREATE USER {name}; " if host else ""
        questions.append(f"SELECT '{border}'; {create}SHOW GRANTS FOR {name}")
    parts: list[list[str]] = []
    for batch in batches(questions):
        for line in server.lines(context, setting + "; ".join(batch)):
            if line == border:
                parts.append([])
            else:
                parts[-1].append(line)
    return [_account(user, host, said) for (user, host), said in zip(names, parts, strict=True)]


def _account(user: str, host: str, said: list[str]) -> Account:
    if not host:
        return Account(user, host, f"CREATE ROLE IF NOT EXISTS {account(user, host)}", tuple(said))
    create = said[0].replace("CREATE USER ", "CREATE USER IF NOT EXISTS ", 1)
    return Account(user, host, create, tuple(said[1:]))


def read_marks(context: EngineContext, server: Server, schema: str) -> dict[str, bytes]:
    """What the mark of one of our schemas says; nothing when it has none."""
    sql = (
        f"SELECT {shown('TABLE_NAME')} FROM information_schema.TABLES"
        f" WHERE TABLE_SCHEMA = {text_literal(schema)} AND TABLE_NAME = '{MARK}'"
    )
    if not server.rows(context, sql):
        return {}
    answer = server.plain(context, f"SELECT HEX(part), HEX(body) FROM `{schema.replace('`', '``')}`.`{MARK}`")
    parts = (line.split("\t") for line in answer.splitlines())
    return {bytes.fromhex(part).decode(): bytes.fromhex(body) for part, body in parts}
