"""The parts of a dump that are made here from captured facts: header, roles, memberships, tablespaces.

pg_dumpall would write them too, but as one piece. A restore must create exactly the roles that are missing
and leave the passwords of the others alone, and nothing here parses SQL: so each is a section.
"""

from __future__ import annotations

from collections.abc import Sequence

from hasteward_sql.postgresql.facts.grants import Row, grant_sql, in_order
from hasteward_sql.postgresql.facts.quoting import identifier, literal, set_clause

HEADER = b"""--
-- PostgreSQL databases and roles, written by hasteward; replays with plain psql
--

SET default_transaction_read_only = off;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;

"""

#: after the \\connect to a fresh database, which may have been given this setting just before
SESSION = b"SET default_transaction_read_only = off;\n\n"

_ATTRIBUTES = (
    ("rolsuper", "SUPERUSER"),
    ("rolinherit", "INHERIT"),
    ("rolcreaterole", "CREATEROLE"),
    ("rolcreatedb", "CREATEDB"),
    ("rolcanlogin", "LOGIN"),
    ("rolreplication", "REPLICATION"),
    ("rolbypassrls", "BYPASSRLS"),
)


def role_sql(role: Row) -> bytes:
    """One role with everything but its settings, in one transaction: there is never half a role."""
    name = identifier(role["rolname"])
    words = [word if role[column] else f"NO{word}" for column, word in _ATTRIBUTES]
    if role["rolconnlimit"] != -1:
        words.append(f"CONNECTION LIMIT {int(role['rolconnlimit'])}")
    if role.get("rolpassword") is not None:
        words.append(f"PASSWORD {literal(role['rolpassword'])}")
    if role.get("rolvaliduntil") is not None:
        words.append(f"VALID UNTIL {literal(role['rolvaliduntil'])}")
    lines = ["BEGIN;", f"CREATE ROLE {name};", f"ALTER ROLE {name} WITH {' '.join(words)};"]
    if role["comment"] is not None:
        lines.append(f"COMMENT ON ROLE {name} IS {literal(role['comment'])};")
    return _text([*lines, "COMMIT;", ""])


def role_settings_sql(role: Row) -> bytes:
    """``ALTER ROLE ... SET`` for every setting; after all roles, because a setting may name one."""
    name = identifier(role["rolname"])
    return _text([*(f"ALTER ROLE {name} {set_clause(entry)};" for entry in role["settings"]), ""])


def memberships_sql(memberships: Sequence[Row], superuser: str) -> bytes:
    """Every GRANT of a role to a role, with its options and who granted it."""
    return _text([*(grant_sql(row) for row in in_order(memberships, superuser)), ""])


def tablespaces_sql(tablespaces: Sequence[Row]) -> bytes:
    """A comment per user tablespace: creating one needs a directory, which is not ours to make."""
    if not tablespaces:
        return b"-- no tablespaces\n\n"
    lines = ["-- Tablespaces that must exist before the databases can be restored:"]
    for row in tablespaces:
        words = f"{row['name']}, owner {row['owner']}, location {row['location']}"
        lines.append("-- " + words.replace("\n", " ").replace("\r", " "))
    return _text([*lines, ""])


def sequences_sql(positions: Sequence[tuple[str, str, int]]) -> bytes:
    """Every used sequence at the position the primary gave; one that is gone meanwhile is passed over."""
    if not positions:
        return b"-- no sequence was used\n\n"
    rows = ",\n  ".join(f"({literal(schema)}, {literal(name)}, {value})" for schema, name, value in positions)
    return _text(
        [
            "-- Sequences as the primary has them: a replica's are up to 32 values ahead",
            "SELECT pg_catalog.setval(c.oid::pg_catalog.regclass, v.value, true)",
            "FROM (VALUES",
            f"  {rows}",
            ") AS v(space, name, value)",
            "JOIN pg_catalog.pg_namespace n ON n.nspname = v.space",
            "JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid",
            "  AND c.relname = v.name AND c.relkind = 'S';",
            "",
        ]
    )


def connect_sql(database: str) -> bytes:
    r"""``\connect`` for the two databases that every server has (their names need no quoting)."""
    return _text(["--", f"-- {database} exists in every server; its content follows", "--", ""]) + _text(
        [f"\\connect {database}", ""]
    )


def _text(lines: Sequence[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()
