"""Reads what a restore would replace and what stands in its way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hasteward.ports.context import EngineContext
from hasteward_sql.postgresql.collect.client import Login, ask, decode
from hasteward_sql.postgresql.facts.marks import read_kept, read_mark
from hasteward_sql.postgresql.names import LOAD_ROLE_PREFIX, NEW_PREFIX, OLD_PREFIX
from hasteward_sql.postgresql.restore.target import Leftovers, LiveDatabase, Survey
from hasteward_sql.words import counted

_SQL = """
SELECT json_build_object(
 'databases', (SELECT json_agg(json_build_object('oid', d.oid::bigint, 'name', d.datname,
    'bytes', pg_database_size(d.oid), 'comment', shobj_description(d.oid, 'pg_database'),
    'kept', (SELECT substr(c, 16) FROM pg_db_role_setting s, unnest(s.setconfig) c
       WHERE s.setdatabase = d.oid AND s.setrole = 10 AND starts_with(c, 'hasteward.kept=')),
    'template', d.datistemplate, 'connectable', d.datallowconn AND d.datconnlimit <> -2,
    'sessions', (SELECT count(*) FROM pg_stat_activity a WHERE a.datid = d.oid
       AND a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()),
    'applications', (SELECT coalesce(json_agg(DISTINCT a.application_name), '[]') FROM pg_stat_activity a
       WHERE a.datid = d.oid AND a.application_name <> '' AND a.backend_type = 'client backend'
       AND a.pid <> pg_backend_pid()),
    'seen', (SELECT max(a.state_change) FROM pg_stat_activity a WHERE a.datid = d.oid
       AND a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()),
    'transactions', (SELECT s.xact_commit FROM pg_stat_database s WHERE s.datid = d.oid),
    'since', (SELECT s.stats_reset FROM pg_stat_database s WHERE s.datid = d.oid),
    'prepared', (SELECT coalesce(json_agg(p.gid), '[]') FROM pg_prepared_xacts p
       WHERE p.database = d.datname),
    'slots', (SELECT coalesce(json_agg(s.slot_name), '[]') FROM pg_replication_slots s
       WHERE s.database = d.datname),
    'subscriptions', (SELECT coalesce(json_agg(s.subname), '[]') FROM pg_subscription s
       WHERE s.subdbid = d.oid))
    ORDER BY d.datname) FROM pg_database d),
 'roles', (SELECT json_object_agg(rolname, shobj_description(oid, 'pg_authid')) FROM pg_authid),
 'superuser', (SELECT rolname FROM pg_authid WHERE oid = 10),
 'extensions', (SELECT coalesce(json_object_agg(v.name, v.trusted OR NOT v.superuser), '{}')
    FROM pg_available_extension_versions v JOIN pg_available_extensions e
    ON e.name = v.name AND e.default_version = v.version),
 'memberships', (SELECT coalesce(json_agg(json_build_array(g.rolname, u.rolname)), '[]')
    FROM pg_auth_members m JOIN pg_authid g ON g.oid = m.roleid JOIN pg_authid u ON u.oid = m.member),
 'tablespaces', (SELECT json_agg(spcname) FROM pg_tablespace),
 'log_growth', (SELECT sum(pg_size_bytes(current_setting(name))) FROM pg_settings
    WHERE name IN ('max_wal_size', 'wal_keep_size')),
 'autovacuum', current_setting('autovacuum') = 'on' AND current_setting('track_counts') = 'on',
 'committed', CASE WHEN current_setting('track_commit_timestamp') = 'on'
    THEN (SELECT timestamp FROM pg_last_committed_xact()) END)
"""


def survey(context: EngineContext, login: Login) -> Survey:
    """One proven answer of the server."""
    answer = ask(context, login, _SQL, seconds=60)
    document = decode(answer, login)
    committed = document["committed"]
    live = (_database(row, committed) for row in document["databases"])
    return Survey(
        databases={database.name: database for database in live},
        roles=frozenset(document["roles"]),
        role_comments={str(name): comment for name, comment in document["roles"].items()},
        superuser=str(document["superuser"]),
        extensions=document["extensions"],
        memberships=frozenset((str(role), str(member)) for role, member in document["memberships"]),
        tablespaces=frozenset(document["tablespaces"]),
        log_growth=int(document["log_growth"]),
        autovacuum=bool(document["autovacuum"]),
        algorithm=answer.algorithm,
    )


def _database(row: Mapping[str, Any], committed: str | None) -> LiveDatabase:
    return LiveDatabase(
        oid=int(row["oid"]),
        name=str(row["name"]),
        size=int(row["bytes"] or 0),
        comment=row["comment"],
        template=bool(row["template"]),
        connectable=bool(row["connectable"]),
        sessions=int(row["sessions"]),
        applications=tuple(row["applications"]),
        activity=_activity(row, committed),
        prepared=tuple(row["prepared"]),
        slots=tuple(row["slots"]),
        subscriptions=tuple(row["subscriptions"]),
        kept=row["kept"],
    )


def _activity(row: Mapping[str, Any], committed: str | None) -> str:
    words = [f"a session was last active at {row['seen']}"] if row["seen"] else []
    since = f"since {row['since']}" if row["since"] else "since the statistics began"
    words.append(f"{counted(row['transactions'] or 0, 'transaction')} {since}")
    if committed:
        words.append(f"the last commit of the whole server was at {committed}")
    else:
        words.append("track_commit_timestamp is off, so the time of the last one is not known")
    return "; ".join(words)


def leftovers(found: Survey, run: str) -> tuple[Leftovers, list[str]]:
    """What dead runs left; and databases that look so, but carry a stranger's comment.

    The Lease of the cluster is ours, so no other run is alive. A database without a comment was created by
    a run that died before it could write one.
    """
    dead: list[str] = []
    unwanted: list[str] = []
    foreign: list[str] = []
    for name, database in found.databases.items():
        if name.startswith(OLD_PREFIX):
            kept = read_kept(name, database.kept)
            if kept is not None and not kept.swap.keep:
                unwanted.append(name)
        elif name.startswith(NEW_PREFIX):
            mark = read_mark(database.comment)
            ours = mark.get("role") == "new" and mark.get("run") != run
            (dead if database.comment is None or ours else foreign).append(name)
    return Leftovers(tuple(dead), tuple(unwanted), _dead_roles(found, run)), foreign


def _dead_roles(found: Survey, run: str) -> tuple[str, ...]:
    """Roles that a dead run was loading as; their comment says that they are ours."""
    names = []
    for name, comment in found.role_comments.items():
        mark = read_mark(comment)
        if name.startswith(LOAD_ROLE_PREFIX) and mark.get("role") == "load" and mark.get("run") != run:
            names.append(name)
    return tuple(sorted(names))
