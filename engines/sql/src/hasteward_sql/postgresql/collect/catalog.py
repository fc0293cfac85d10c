"""What a dump must know beside pg_dump's own output: roles, databases, tablespaces, counts of objects.

Every statement produces one JSON document. The rows come as ``to_jsonb`` of the catalog row where columns
differ between versions, so that a column which is not there is absent and not an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hasteward.ports.context import EngineContext
from hasteward.streams.proof import Algorithm
from hasteward_sql.postgresql.collect.client import Login, ask, decode, query
from hasteward_sql.postgresql.names import LOAD_ROLE_PREFIX

#: long enough for the statistics of a large catalog
_SECONDS = 60

_GLOBALS = f"""
SELECT json_build_object(
 'roles', (SELECT coalesce(json_agg(to_jsonb(r) || jsonb_build_object(
    'comment', shobj_description(r.oid, 'pg_authid'),
    'settings', (SELECT s.setconfig FROM pg_db_role_setting s WHERE s.setrole = r.oid AND s.setdatabase = 0))
    ORDER BY r.rolname), '[]') FROM pg_authid r
    WHERE r.rolname !~ '^(pg_|{LOAD_ROLE_PREFIX})' AND r.oid <> 10),
 'superuser', (SELECT rolname FROM pg_authid WHERE oid = 10),
 'memberships', (SELECT coalesce(json_agg(to_jsonb(m) || jsonb_build_object('role', g.rolname,
    'member_name', u.rolname, 'grantor_name', b.rolname) ORDER BY g.rolname, u.rolname, b.rolname), '[]')
    FROM pg_auth_members m JOIN pg_authid g ON g.oid = m.roleid JOIN pg_authid u ON u.oid = m.member
    LEFT JOIN pg_authid b ON b.oid = m.grantor
    WHERE NOT (g.rolname ~ '^pg_' AND u.rolname ~ '^pg_')),
 'tablespaces', (SELECT coalesce(json_agg(json_build_object('name', t.spcname,
    'owner', pg_get_userbyid(t.spcowner), 'location', pg_tablespace_location(t.oid),
    'options', t.spcoptions) ORDER BY t.spcname), '[]')
    FROM pg_tablespace t WHERE t.spcname !~ '^pg_'),
 'databases', (SELECT coalesce(json_agg(to_jsonb(d) || jsonb_build_object(
    'owner', pg_get_userbyid(d.datdba),
    'encoding_name', pg_encoding_to_char(d.encoding),
    'tablespace', (SELECT spcname FROM pg_tablespace WHERE oid = d.dattablespace),
    'comment', shobj_description(d.oid, 'pg_database'),
    'bytes', pg_database_size(d.oid),
    'acl', d.datacl::text[],
    'grants', (SELECT json_agg(json_build_object(
        'grantor', pg_get_userbyid(a.grantor),
        'grantee', CASE WHEN a.grantee = 0 THEN NULL ELSE pg_get_userbyid(a.grantee) END,
        'privilege', a.privilege_type, 'grantable', a.is_grantable))
      FROM aclexplode(d.datacl) a),
    'settings', (SELECT coalesce(json_agg(json_build_object('role', u.rolname, 'config', s.setconfig)
        ORDER BY u.rolname NULLS FIRST), '[]')
      FROM pg_db_role_setting s LEFT JOIN pg_authid u ON u.oid = s.setrole WHERE s.setdatabase = d.oid))
    ORDER BY (d.datname <> 'template1'), d.datname), '[]') FROM pg_database d))
"""  # noqa: S608  constants of this file

_SPACES = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
_OWN = (
    "NOT EXISTS (SELECT FROM pg_depend e"
    " WHERE e.classid = '{0}'::regclass AND e.objid = {1} AND e.deptype = 'e')"
)


def _count(kind: str, source: str, where: str) -> str:
    return f"'{kind}', (SELECT count(*) FROM {source} WHERE {where})"  # noqa: S608  constants of this file


def _relations(kind: str, letters: str) -> str:
    return _count(
        kind,
        "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace",
        f"c.relkind IN ({letters}) AND {_SPACES} AND {_OWN.format('pg_class', 'c.oid')}",
    )


#: how many objects of each kind a database has, without those of extensions
COUNTS = f"""
SELECT json_build_object(
 {_relations("tables", "'r','p','f'")},
 {_relations("indexes", "'i','I'")},
 {_relations("views", "'v'")},
 {_relations("materialized_views", "'m'")},
 {_relations("sequences", "'S'")},
 {
    _count(
        "functions",
        "pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace",
        f"{_SPACES} AND {_OWN.format('pg_proc', 'p.oid')}",
    )
},
 {
    _count(
        "triggers",
        "pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace",
        f"NOT t.tgisinternal AND {_SPACES} AND {_OWN.format('pg_class', 'c.oid')}",
    )
},
 {
    _count(
        "constraints",
        "pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace",
        f"k.contype IN ('c','f','p','u','x') AND {_SPACES} AND {_OWN.format('pg_class', 'k.conrelid')}",
    )
},
 {
    _count(
        "types",
        "pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid",
        "t.typelem = 0 AND t.typtype IN ('b','c','d','e','r') AND (c.oid IS NULL OR c.relkind = 'c')"
        f" AND {_SPACES} AND {_OWN.format('pg_type', 't.oid')}",
    )
},
 {_count("schemas", "pg_namespace n", f"{_SPACES} AND {_OWN.format('pg_namespace', 'n.oid')}")},
 {_count("event_triggers", "pg_event_trigger v", _OWN.format("pg_event_trigger", "v.oid"))},
 {_count("large_objects", "pg_largeobject_metadata", "true")},
 {_count("extensions", "pg_extension", "true")})
"""


@dataclass(frozen=True, slots=True)
class Globals:
    """The shared catalogs, as JSON rows. `roles` hold password hashes: never log or store them."""

    roles: tuple[Mapping[str, Any], ...]
    superuser: str
    memberships: tuple[Mapping[str, Any], ...]
    tablespaces: tuple[Mapping[str, Any], ...]
    databases: tuple[Mapping[str, Any], ...]
    algorithm: Algorithm


def read_globals(context: EngineContext, login: Login) -> Globals:
    """The shared catalogs of one member, and how its pod computes digests."""
    answer = ask(context, login, _GLOBALS, seconds=_SECONDS)
    document = decode(answer, login)
    return Globals(
        roles=tuple(document["roles"]),
        superuser=str(document["superuser"]),
        memberships=tuple(document["memberships"]),
        tablespaces=tuple(document["tablespaces"]),
        databases=tuple(document["databases"]),
        algorithm=answer.algorithm,
    )


def read_counts(context: EngineContext, login: Login, database: str) -> dict[str, int]:
    """How many objects of each kind a database has, without those of extensions."""
    document = query(context, login, COUNTS, database=database, seconds=_SECONDS)
    return dict(document)
