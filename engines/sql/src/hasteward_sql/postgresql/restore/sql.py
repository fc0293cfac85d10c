"""The SQL of a restore. Every name and value is quoted here; nothing of the dump is parsed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hasteward_sql.postgresql.facts.belongings import privileges_in_order
from hasteward_sql.postgresql.facts.marks import KEPT, Kept, Swap, kept_mark, new_mark
from hasteward_sql.postgresql.facts.quoting import identifier, literal, set_clause
from hasteward_sql.postgresql.restore.target import Exchange, Item

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
    mark = new_mark(run, item.name)
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
        for grant in privileges_in_order(grants or (), owner):
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


def swap(exchanges: Sequence[Exchange], superuser: str, whole: Swap) -> str:
    """Every rename in one transaction, and beside the kept databases what it was.

    Its last statement is the COMMIT: cut short, it changes nothing.
    """
    lines = ["BEGIN;"]
    for one in exchanges:
        lines += [*_go_out(one, superuser, whole), *_come_in(one, superuser)]
    return "\n".join([*lines, "COMMIT;", ""])


def whole_swap(exchanges: Sequence[Exchange], run: str, job: str, *, undo: bool, keep: bool) -> Swap:
    """What the mark of every database that goes out tells of all of them."""
    outgoing = tuple(one.old_name for one in exchanges if one.outgoing is not None)
    free = {one.name: one.incoming.oid for one in exchanges if one.outgoing is None and one.incoming}
    return Swap(run, job, undo, keep, outgoing, free)


def _go_out(one: Exchange, superuser: str, whole: Swap) -> list[str]:
    live = one.outgoing
    if live is None:
        return [_unchanged(one.name, 0)]
    successor = None if one.incoming is None else one.incoming.oid
    mark = kept_mark(Kept(one.old_name, one.name, successor, live.template, whole))
    old = identifier(one.old_name)
    lines = [
        _unchanged(one.name, live.oid),
        _end_sessions(live.oid),
        f"ALTER DATABASE {identifier(one.name)} RENAME TO {old};",
        f"ALTER ROLE {identifier(superuser)} IN DATABASE {old} SET {KEPT} TO {literal(mark)};",
    ]
    return [*lines, f"ALTER DATABASE {old} IS_TEMPLATE false;"] if live.template else lines


def _come_in(one: Exchange, superuser: str) -> list[str]:
    incoming, name = one.incoming, identifier(one.name)
    if incoming is None:
        return []
    comment = "NULL" if incoming.comment is None else literal(incoming.comment)
    lines = [
        _unchanged(incoming.name, incoming.oid),
        _end_sessions(incoming.oid),
        f"ALTER DATABASE {identifier(incoming.name)} RENAME TO {name};",
        f"COMMENT ON DATABASE {name} IS {comment};",
    ]
    if incoming.kept:
        lines.append(f"ALTER ROLE {identifier(superuser)} IN DATABASE {name} RESET {KEPT};")
    if incoming.limit is not None:
        lines.append(f"ALTER DATABASE {name} CONNECTION LIMIT {incoming.limit};")
    return [*lines, f"ALTER DATABASE {name} IS_TEMPLATE true;"] if incoming.template else lines


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
