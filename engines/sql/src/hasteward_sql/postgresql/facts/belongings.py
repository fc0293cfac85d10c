"""Owners and rights as facts, and the SQL that gives them again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hasteward_sql.postgresql.facts.grants import in_order
from hasteward_sql.postgresql.facts.quoting import identifier, literal

Row = Mapping[str, Any]
Key = tuple[str, str]

_DEFAULTS = {
    "r": "TABLES",
    "S": "SEQUENCES",
    "f": "ROUTINES",
    "T": "TYPES",
    "n": "SCHEMAS",
    "L": "LARGE OBJECTS",
}
#: `GRANT ... ON FOREIGN SERVER`, but `ALTER SERVER`
_ALTERED = {"FOREIGN SERVER": "SERVER"}
#: in ALTER a sequence or view may be called a table too
_GONE = "undefined_table OR undefined_object OR undefined_function OR invalid_schema_name"


@dataclass(frozen=True, slots=True)
class Belongings:
    """Of one database: who owns what, who may do what, what only a superuser can create, extensions."""

    owners: Mapping[Key, str]
    rights: tuple[Row, ...]
    defaults: tuple[Row, ...]
    superuser: tuple[str, ...]
    extensions: tuple[Row, ...]


def parse_owners(answer: Sequence[Any]) -> dict[Key, str]:
    """Owners by kind and name, sorted."""
    rows = sorted((str(kind), str(name), str(owner)) for kind, name, owner in answer)
    return {(kind, name): owner for kind, name, owner in rows}


def parse_belongings(answers: Mapping[str, Any]) -> Belongings:
    """The answers to the statements of `hasteward_sql.postgresql.collect.belongings`."""
    rights, superuser = answers["rights"], answers["superuser"]
    return Belongings(
        owners=parse_owners(answers["owners"]),
        rights=tuple(rights["rights"]),
        defaults=tuple(rights["defaults"]),
        superuser=tuple(sorted({str(name) for name in superuser["superuser"]})),
        extensions=tuple(superuser["extensions"]),
    )


def rights_sql(before: Mapping[Key, str], after: Belongings) -> bytes:
    """Every owner and every right, for a database whose content belongs to whoever loaded it.

    What was there `before` the dump and after it is in the dump. What came or went meanwhile may not be: its
    statements pass over it then, as they do over what comes with the server or an extension. No event trigger
    fires for any of this, as none fired in the source.
    """
    lines = [
        "-- Owners and rights",
        "SET client_encoding = 'UTF8';",
        "SET standard_conforming_strings = on;",
        "SET search_path = pg_catalog;",
        "SET session_replication_role = replica;",
        "SELECT set_config(name, 'off', false) FROM pg_settings WHERE name = 'event_triggers';",
        "BEGIN;",
    ]
    owners = {**before, **after.owners}
    sure = before.keys() & after.owners.keys()
    for (kind, name), owner in owners.items():
        sql = f"ALTER {_ALTERED.get(kind, kind)} {name} OWNER TO {identifier(owner)};"
        lines.append(sql if (kind, name) in sure else _if_there(sql))
    for row in after.rights:
        certain = (str(row["kind"]), str(row["name"])) in sure
        lines += [sql if certain else _if_there(sql) for sql in _rights(row)]
    for row in after.defaults:
        lines += _default(row)
    lines += ["COMMIT;", "RESET session_replication_role;", ""]
    return ("\n".join(lines) + "\n").encode()


def _if_there(sql: str) -> str:
    return f"DO {literal(f'BEGIN {sql} EXCEPTION WHEN {_GONE} THEN NULL; END')};"


def _grantee(grant: Row) -> str:
    return "PUBLIC" if grant["grantee"] is None else identifier(grant["grantee"])


def privileges_in_order(grants: Sequence[Row], owner: str) -> list[Row]:
    """Privileges ordered so that whoever grants was given the right to before."""
    return in_order(grants, owner, what="privilege", whom="grantee", on="grantable")


def _rights(row: Row) -> Iterator[str]:
    """From what a fresh object gives (or what its extension gave) to what was there."""
    owner, column = str(row["owner"]), row["column"]
    target = f"{row['kind']} {row['name']}"
    words = f" ({column})" if column else ""
    if not column or row["before"]:
        whom = ", ".join(["PUBLIC", *(identifier(n) for n in dict.fromkeys([owner, *row["before"]]))])
        yield f"REVOKE ALL{words} ON {target} FROM {whom};"
    for grant in privileges_in_order(row["grants"] or (), owner):
        option = " WITH GRANT OPTION" if grant["grantable"] else ""
        sql = f"GRANT {grant['privilege']}{words} ON {target} TO {_grantee(grant)}{option};"
        if grant["grantor"] == owner:
            yield sql
        else:
            who = identifier(grant["grantor"])
            yield f"SET LOCAL SESSION AUTHORIZATION {who}; {sql} RESET SESSION AUTHORIZATION;"


def _default(row: Row) -> Iterator[str]:
    role = identifier(row["role"])
    kind = _DEFAULTS[str(row["type"])]
    head = f"ALTER DEFAULT PRIVILEGES FOR ROLE {role}"
    if row["schema"] is None:
        yield f"{head} REVOKE ALL ON {kind} FROM PUBLIC, {role};"
    else:
        head += f" IN SCHEMA {identifier(row['schema'])}"
    for grant in row["grants"]:
        option = " WITH GRANT OPTION" if grant["grantable"] else ""
        yield f"{head} GRANT {grant['privilege']} ON {kind} TO {_grantee(grant)}{option};"
