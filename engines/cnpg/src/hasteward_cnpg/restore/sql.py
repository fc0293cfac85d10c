"""The SQL of a restore. Every name and value is quoted here; nothing of the dump is parsed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hasteward_cnpg.facts.belongings import in_order
from hasteward_cnpg.facts.quoting import identifier, literal, set_clause
from hasteward_cnpg.restore.target import Item

_ICU_FROM = 15

_ENDER = """
DECLARE seen boolean := false; found boolean;
BEGIN FOR i IN 1..1200 LOOP
  PERFORM pg_stat_clear_snapshot();
  SELECT count(*) > 0 INTO found FROM pg_stat_activity s WHERE s.application_name = $swapper;
  seen := seen OR found;
  EXIT WHEN seen AND NOT found;
  EXIT WHEN NOT seen AND i > 200;
  PERFORM pg_terminate_backend(a.pid) FROM pg_locks l
    JOIN pg_stat_activity s ON s.pid = l.pid AND s.application_name = $swapper
    JOIN pg_stat_activity a ON a.datid = l.objid AND a.pid <> l.pid AND a.pid <> pg_backend_pid()
    WHERE l.locktype = 'object' AND l.classid = 'pg_database'::regclass
    AND l.mode = 'AccessExclusiveLock' AND l.granted;
  PERFORM pg_sleep(0.05);
END LOOP; END
"""


def create_database(item: Item, run: str, major: int, load_role: str | None = None) -> str:
    """A fresh database, marked as ours in its comment; superusers can enter it, and `load_role`."""
    entry = item.entry
    words = [
        f"CREATE DATABASE {identifier(item.new_name)} TEMPLATE template0",
        f"ENCODING {literal(entry['encoding'])}",
        f"LC_COLLATE {literal(entry['collate'])} LC_CTYPE {literal(entry['ctype'])}",
        f"OWNER {identifier(load_role or entry['owner'])}",
        f"TABLESPACE {identifier(entry['tablespace'])}",
        "CONNECTION LIMIT 0",
    ]
    if major >= _ICU_FROM:
        words.append(f"LOCALE_PROVIDER {entry['provider']}")
        kind = "BUILTIN_LOCALE" if entry["provider"] == "builtin" else "ICU_LOCALE"
        if entry["icu_locale"]:
            words.append(f"{kind} {literal(entry['icu_locale'])}")
        if entry["icu_rules"]:
            words.append(f"ICU_RULES {literal(entry['icu_rules'])}")
    mark = json.dumps({"run": run, "database": item.name, "role": "new"})
    name = identifier(item.new_name)
    lines = [" ".join(words) + ";", f"COMMENT ON DATABASE {name} IS {literal(mark)};"]
    if load_role is not None:
        lines += [
            f"REVOKE ALL ON DATABASE {name} FROM PUBLIC;",
            f"ALTER DATABASE {name} CONNECTION LIMIT -1;",
        ]
    return "\n".join([*lines, ""])


def properties(item: Item) -> str:
    """Rights and settings of the database, which its own section does not hold."""
    name = identifier(item.new_name)
    owner = item.entry["owner"]
    lines = ["BEGIN;"]
    grants: Sequence[Mapping[str, Any]] | None = item.entry["grants"]
    if item.entry["acl"] is not None:
        lines.append(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC, {identifier(owner)};")
        for grant in in_order(grants or (), owner):
            lines += _grant(name, owner, grant)
    else:
        # the rights of a fresh database again; granted one by one they would be the same, but written out
        lines.append(f"UPDATE pg_database SET datacl = NULL WHERE datname = {literal(item.new_name)};")  # noqa: S608  quoted
    for setting in item.entry["settings"]:
        whose = f"DATABASE {name}"
        if setting["role"] is not None:
            whose = f"ROLE {identifier(setting['role'])} IN DATABASE {name}"
        lines += [f"ALTER {whose} {set_clause(entry)};" for entry in setting["config"]]
    return "\n".join([*lines, "COMMIT;", ""])


def _grant(name: str, owner: str, grant: Mapping[str, Any]) -> list[str]:
    grantee = "PUBLIC" if grant["grantee"] is None else identifier(grant["grantee"])
    option = " WITH GRANT OPTION" if grant["grantable"] else ""
    lines = [f"GRANT {grant['privilege']} ON DATABASE {name} TO {grantee}{option};"]
    if grant["grantor"] == owner:
        return lines
    return [
        f"SET SESSION AUTHORIZATION {identifier(grant['grantor'])};",
        *lines,
        "RESET SESSION AUTHORIZATION;",
    ]


def swap(items: Sequence[Item]) -> str:
    """Every rename in one transaction. Its last statement is the COMMIT: cut short, it changes nothing."""
    lines = ["BEGIN;"]
    for item in items:
        if item.live is not None:
            lines += [_unchanged(item.name, item.live.oid), _end_sessions(item.live.oid)]
            lines.append(f"ALTER DATABASE {identifier(item.name)} RENAME TO {identifier(item.old_name)};")
            if item.live.template:
                lines.append(f"ALTER DATABASE {identifier(item.old_name)} IS_TEMPLATE false;")
        else:
            lines.append(_unchanged(item.name, 0))
        new, comment = identifier(item.name), item.entry["comment"]
        lines += [
            f"ALTER DATABASE {identifier(item.new_name)} RENAME TO {new};",
            f"COMMENT ON DATABASE {new} IS {'NULL' if comment is None else literal(comment)};",
            f"ALTER DATABASE {new} CONNECTION LIMIT {int(item.entry['connection_limit'])};",
        ]
        if item.entry["is_template"]:
            lines.append(f"ALTER DATABASE {new} IS_TEMPLATE true;")
    return "\n".join([*lines, "COMMIT;", ""])


def _unchanged(name: str, oid: int) -> str:
    """Fails when the database is no longer the one that was shown in the plan."""
    body = (
        f"BEGIN IF {oid} <> coalesce((SELECT oid FROM pg_database WHERE datname = {literal(name)}), 0)"  # noqa: S608  quoted
        f" THEN RAISE EXCEPTION 'a database was replaced meanwhile'; END IF; END"
    )
    return f"DO {literal(body)};"


def _end_sessions(oid: int) -> str:
    body = (
        "BEGIN PERFORM pg_stat_clear_snapshot(); PERFORM pg_terminate_backend(pid) FROM pg_stat_activity"
        f" WHERE datid = {oid} AND pid <> pg_backend_pid(); END"
    )
    return f"DO {literal(body)};"


def ender(application: str) -> str:
    """Ends whoever is still in a database that `application` has locked for its rename.

    The rename waits five seconds for sessions to go and lets nobody new in meanwhile, but a client that was
    just connecting when it began is inside. This runs beside it, in a session of its own, until it is over.
    """
    return f"DO {literal(_ENDER.replace('$swapper', literal(application)))}"


def drop_database(name: str) -> str:
    """Remove one of our databases, whoever is in it."""
    return f"DROP DATABASE IF EXISTS {identifier(name)} WITH (FORCE);\n"
