"""What is in a server: schemas with their tables and programs, accounts, and what crosses borders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hasteward.ports.context import EngineContext
from hasteward_sql.mysql.client import Flavour, Server, shown
from hasteward_sql.mysql.quoting import account, text_literal

#: schemas of a restore that is under way, and those that a restore has replaced
NEW_PREFIX = "hasteward_new_"
OLD_PREFIX = "hasteward_old_"
#: the table in both of them that says what they are
MARK = "hasteward_kept"
_SYSTEM = ("information_schema", "performance_schema", "mysql", "sys")
_ACCOUNTS = ("mysql.sys", "mysql.session", "mysql.infoschema", "mariadb.sys", "PUBLIC")
_TRANSACTIONAL = ("InnoDB", "", "MEMORY")


@dataclass(frozen=True, slots=True)
class Schema:
    """One schema. `tables` are by name with their engine; sequences are among them; `views` are not."""

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

    @property
    def counts(self) -> dict[str, int]:
        """How many of each there are."""
        kinds = ("tables", "views", "triggers", "routines", "events")
        return {kind: len(getattr(self, kind)) for kind in kinds}

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
        return f"{self.user}@{self.host}" if self.host else self.user


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


def read_schemas(context: EngineContext, server: Server) -> dict[str, Schema]:
    """Every schema but the server's own; ours are among them."""
    found: dict[str, dict[str, Any]] = {}
    for name, charset, collation in server.rows(
        context,
        f"SELECT {shown('SCHEMA_NAME')}, {shown('DEFAULT_CHARACTER_SET_NAME')},"
        f" {shown('DEFAULT_COLLATION_NAME')} FROM information_schema.SCHEMATA ORDER BY SCHEMA_NAME",
    ):
        if str(name).lower() not in _SYSTEM:
            found[str(name)] = {"charset": charset, "collation": collation, "tables": {}}
    _read_tables(context, server, found)
    _read_programs(context, server, found)
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
    )


def _read_tables(context: EngineContext, server: Server, found: Mapping[str, dict[str, Any]]) -> None:
    sql = (
        f"SELECT {shown('TABLE_SCHEMA')}, {shown('TABLE_NAME')}, {shown('TABLE_TYPE')}, {shown('ENGINE')},"
        f" {shown('IFNULL(DATA_LENGTH, 0) + IFNULL(INDEX_LENGTH, 0)')}, {shown('UPDATE_TIME')}"
        " FROM information_schema.TABLES ORDER BY TABLE_SCHEMA, TABLE_NAME"
    )
    for schema, name, kind, engine, size, changed in server.rows(context, sql):
        facts = found.get(str(schema))
        if facts is None:
            continue
        if kind == "VIEW":
            facts.setdefault("views", []).append(name)
            continue
        facts["tables"][str(name)] = engine or ""
        facts["size"] = facts.get("size", 0) + int(size or 0)
        facts["changed"] = max(facts.get("changed", ""), changed or "")
        if kind == "SYSTEM VERSIONED":
            facts.setdefault("versioned", []).append(name)


def _read_programs(context: EngineContext, server: Server, found: Mapping[str, dict[str, Any]]) -> None:
    schema, name = shown("s"), shown("n")
    sql = (
        f"SELECT {shown('k')}, {schema}, {name} FROM ("
        "SELECT 'triggers' AS k, TRIGGER_SCHEMA AS s, TRIGGER_NAME AS n FROM information_schema.TRIGGERS"
        " UNION ALL SELECT ROUTINE_TYPE, ROUTINE_SCHEMA, ROUTINE_NAME FROM information_schema.ROUTINES"
        " UNION ALL SELECT 'events', EVENT_SCHEMA, EVENT_NAME FROM information_schema.EVENTS"
        ") AS programs ORDER BY k, s, n"
    )
    for kind, where, what in server.rows(context, sql):
        facts = found.get(str(where))
        if facts is None:
            continue
        if kind in {"triggers", "events"}:
            facts.setdefault(str(kind), []).append(what)
        else:
            facts.setdefault("routines", []).append((str(kind), str(what)))


def read_crossings(context: EngineContext, server: Server) -> list[Crossing]:
    """Every foreign key that leaves its schema."""
    sql = (
        f"SELECT {shown('CONSTRAINT_SCHEMA')}, {shown('TABLE_NAME')}, {shown('CONSTRAINT_NAME')},"
        f" {shown('UNIQUE_CONSTRAINT_SCHEMA')} FROM information_schema.REFERENTIAL_CONSTRAINTS"
        " WHERE CONSTRAINT_SCHEMA <> UNIQUE_CONSTRAINT_SCHEMA ORDER BY 1, 2, 3"
    )
    return [Crossing(str(a), str(b), str(c), str(d)) for a, b, c, d in server.rows(context, sql)]


def read_accounts(context: EngineContext, server: Server) -> list[Account]:
    """Roles first, then users, each with the server's own statements; the server's own are left out."""
    is_role = "is_role" if server.flavour is Flavour.MARIADB else "'N'"
    sql = f"SELECT {shown('User')}, {shown('Host')}, {shown(is_role)} FROM mysql.user ORDER BY 3 DESC, 1, 2"
    found = []
    for user, host, role in server.rows(context, sql):
        if user in _ACCOUNTS or not user:
            continue
        found.append(_account(context, server, str(user), "" if role == "Y" else str(host)))
    return found


def _account(context: EngineContext, server: Server, user: str, host: str) -> Account:
    name = account(user, host)
    if host:
        as_hex = "" if server.flavour is Flavour.MARIADB else "SET print_identified_with_as_hex = 1; "
        create = server.lines(context, f"{as_hex}SHOW CREATE USER {name}")[0]
        create = create.replace("CREATE USER ", "CREATE USER IF NOT EXISTS ", 1)
    else:
        create = f"CREATE ROLE IF NOT EXISTS {name}"
    return Account(user, host, create, tuple(server.lines(context, f"SHOW GRANTS FOR {name}")))


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
