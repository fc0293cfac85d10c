"""Who owns what in a database, who may do what with it, and what only a superuser could create again.

pg_dump would write owners and rights among the content, where only a superuser can replay them. Here they
are facts of their own, so that the content can be loaded by a role that may do nothing else.
"""

# ruff: noqa: S608, ISC004 - SQL made of the constants of this file, one piece per line

from __future__ import annotations

from typing import Any

from hasteward.ports.context import EngineContext
from hasteward_sql.postgresql.collect.catalog import COUNTS
from hasteward_sql.postgresql.collect.client import Asked, Login, querying_across
from hasteward_sql.postgresql.facts.belongings import Belongings, Key, parse_belongings, parse_owners

_SECONDS = 120
#: what the server has from its start lies below
_FIRST_OWN_OID = 16384
_PUBLICATION_SCHEMAS_FROM = 15

_HERE = "(SELECT oid FROM pg_database WHERE datname = current_database())"
#: the schemas that content is in, and the one whose rights are dumped too
_SPACES = (
    "n AS (SELECT oid, nspname <> 'pg_catalog' AS own FROM pg_namespace"
    " WHERE nspname = 'pg_catalog' OR nspname !~ '^pg_' AND nspname <> 'information_schema')"
)
#: what an extension brings; `a`: and what the server makes itself for another object
_MEMBERS = "e AS (SELECT classid c, objid o FROM pg_depend WHERE deptype = 'e')"


def _in_schema(kind: str, catalog: str, prefix: str, *, acl: bool = False, where: str = "true") -> str:
    """One branch of the list of things: what ALTER and GRANT call it, its owner, its rights."""
    rights = f"{prefix}acl" if acl else "NULL"
    return (
        f"SELECT {kind}, '{catalog}'::regclass, o.oid, {prefix}owner, {rights}, own FROM {catalog} o"
        f" JOIN n ON n.oid = {prefix}namespace WHERE {where}"
    )


def _alone(kind: str, catalog: str, prefix: str, *, acl: bool = False, where: str = "true") -> str:
    """The same for what lies in no schema."""
    rights = f"{prefix}acl" if acl else "NULL"
    return (
        f"SELECT '{kind}', '{catalog}'::regclass, oid, {prefix}owner, {rights}, oid >= {_FIRST_OWN_OID}"
        f" FROM {catalog} WHERE {where}"
    )


_OF_TABLES = "relkind IN ('r','p','v','m','f','S') AND relpersistence <> 't'"
_OF_TYPES = (
    "typtype IN ('b','c','d','e','r') AND typinput <> 'array_in'::regproc AND"
    " (typrelid = 0 OR EXISTS (SELECT FROM pg_class c WHERE c.oid = typrelid AND relkind = 'c'))"
)
_WITH_RIGHTS = (
    "SELECT 'SCHEMA', 'pg_namespace'::regclass, oid, nspowner, nspacl, own FROM pg_namespace"
    " JOIN n USING (oid)",
    _in_schema(
        "CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END",
        "pg_class",
        "rel",
        acl=True,
        where=_OF_TABLES,
    ),
    _in_schema("'ROUTINE'", "pg_proc", "pro", acl=True),
    _in_schema("'TYPE'", "pg_type", "typ", acl=True, where=_OF_TYPES),
    _alone("LANGUAGE", "pg_language", "lan", acl=True),
    _alone("FOREIGN DATA WRAPPER", "pg_foreign_data_wrapper", "fdw", acl=True),
    _alone("FOREIGN SERVER", "pg_foreign_server", "srv", acl=True),
    "SELECT 'LARGE OBJECT', 'pg_largeobject'::regclass, oid, lomowner, lomacl, true"
    " FROM pg_largeobject_metadata",
)
_WITHOUT = (
    _in_schema("'OPERATOR'", "pg_operator", "opr"),
    _in_schema("'OPERATOR CLASS'", "pg_opclass", "opc"),
    _in_schema("'OPERATOR FAMILY'", "pg_opfamily", "opf"),
    _in_schema("'COLLATION'", "pg_collation", "coll"),
    _in_schema("'CONVERSION'", "pg_conversion", "con"),
    _in_schema("'STATISTICS'", "pg_statistic_ext", "stx"),
    _in_schema("'TEXT SEARCH DICTIONARY'", "pg_ts_dict", "dict"),
    _in_schema("'TEXT SEARCH CONFIGURATION'", "pg_ts_config", "cfg"),
    _alone("PUBLICATION", "pg_publication", "pub"),
    _alone("EVENT TRIGGER", "pg_event_trigger", "evt"),
    _alone("SUBSCRIPTION", "pg_subscription", "sub", where=f"subdbid = {_HERE}"),
)
_HEAD = f"WITH {_SPACES}, {_MEMBERS}, t(kind, class, id, owner, acl, own) AS ("
#: a sequence of a column goes with its table
_OWNERS = """
SELECT coalesce(json_agg(json_build_array(kind, (pg_identify_object(class, id, 0)).identity,
 pg_get_userbyid(owner))), '[]') FROM t WHERE own AND (class::oid, id) NOT IN (SELECT c, o FROM e)
 AND NOT (kind = 'SEQUENCE' AND EXISTS (SELECT FROM pg_depend WHERE classid = class AND objid = id
 AND refclassid = class AND deptype IN ('a','i')))
"""
_GRANTS = (
    "(SELECT coalesce(json_agg(json_build_object('grantor', pg_get_userbyid(grantor), 'grantee',"
    " CASE WHEN grantee <> 0 THEN pg_get_userbyid(grantee) END, 'privilege', privilege_type,"
    " 'grantable', is_grantable) ORDER BY grantor, grantee, privilege_type), '[]') FROM aclexplode({0}))"
)
_RIGHTS = f"""
, c AS (SELECT kind, class, id, owner, acl, 0 AS sub, NULL AS col FROM t UNION ALL
 SELECT kind, class, id, owner, attacl, attnum, quote_ident(attname) FROM t JOIN pg_attribute
 ON attrelid = id AND class = 'pg_class'::regclass WHERE NOT attisdropped)
SELECT json_build_object('rights', (SELECT coalesce(json_agg(json_build_object('kind', kind, 'name',
 (pg_identify_object(class, id, 0)).identity, 'owner', pg_get_userbyid(owner), 'column', col, 'before',
 (SELECT coalesce(json_agg(DISTINCT pg_get_userbyid(grantee)), '[]') FROM aclexplode(initprivs)
 WHERE grantee <> 0), 'grants', {_GRANTS.format("acl")}) ORDER BY class, id, sub), '[]')
 FROM c LEFT JOIN pg_init_privs ON classoid = class AND objoid = id AND objsubid = sub
 WHERE acl IS NOT NULL AND acl IS DISTINCT FROM initprivs),
 'defaults', (SELECT coalesce(json_agg(json_build_object('role', pg_get_userbyid(defaclrole), 'schema',
 (SELECT nspname FROM pg_namespace s WHERE s.oid = defaclnamespace), 'type', defaclobjtype,
 'grants', {_GRANTS.format("defaclacl")}) ORDER BY defaclrole, defaclnamespace, defaclobjtype), '[]')
 FROM pg_default_acl))
"""


def _named(word: str, catalog: str, name: str, where: str = "true") -> str:
    return f"SELECT '{catalog}'::regclass, oid, format('{word} %I', {name}) FROM {catalog} WHERE {where}"


_ROUTINES = (
    "SELECT 'pg_proc'::regclass, p.oid, format('function %s ({0})', p.oid::regprocedure{1}) FROM pg_proc p"
    " JOIN pg_language l ON l.oid = prolang WHERE p.oid >= 16384 AND {2}"
)
#: functions that the server makes for a range type are no functions of the dump
_UNTRUSTED = (
    "NOT lanpltrusted AND prokind <> 'a' AND NOT EXISTS (SELECT FROM pg_depend"
    " WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'i')"
)
_SETTINGS = (
    "EXISTS (SELECT FROM unnest(proconfig) s WHERE split_part(s, '=', 1) IN (SELECT name FROM pg_settings"
    " WHERE context = 'superuser' UNION VALUES ('role'), ('session_authorization')))"
)
_SUPERUSERS = (
    _named("event trigger", "pg_event_trigger", "evtname"),
    _ROUTINES.format("language %s", ", lanname", _UNTRUSTED),
    _ROUTINES.format("leakproof", "", "proleakproof"),
    _ROUTINES.format("planner support", "", "prosupport <> 0"),
    _ROUTINES.format("with settings of a superuser", "", _SETTINGS),
    "SELECT 'pg_proc'::regclass, aggfnoid, format('aggregate %s (internal state)', aggfnoid::regprocedure)"
    " FROM pg_aggregate WHERE 'internal'::regtype IN (aggtranstype, aggmtranstype)",
    "SELECT 'pg_type'::regclass, oid, format('type %s', oid::regtype) FROM pg_type"
    " WHERE typtype = 'b' AND typinput <> 'array_in'::regproc",
    "SELECT 'pg_cast'::regclass, oid, format('cast from %s to %s', castsource::regtype, casttarget::regtype)"
    " FROM pg_cast k WHERE castmethod = 'b' OR NOT EXISTS (SELECT FROM pg_type t WHERE t.oid IN (castsource,"
    f" casttarget) AND t.oid >= {_FIRST_OWN_OID} AND NOT EXISTS (SELECT FROM e WHERE o = t.oid))",
    _named("operator class", "pg_opclass", "opcname"),
    _named(
        "operator family",
        "pg_opfamily f",
        "opfname",
        "NOT EXISTS (SELECT FROM pg_opclass WHERE opcfamily = f.oid)",
    ).replace("'pg_opfamily f'", "'pg_opfamily'"),
    _named("text search parser", "pg_ts_parser", "prsname"),
    _named("text search template", "pg_ts_template", "tmplname"),
    _named("language", "pg_language", "lanname"),
    _named("access method", "pg_am", "amname"),
    _named("transform for type", "pg_transform", "trftype::regtype::text"),
    _named("foreign-data wrapper", "pg_foreign_data_wrapper", "fdwname"),
    _named("publication", "pg_publication", "pubname", "puballtables"),
    _named("subscription", "pg_subscription", "subname", f"subdbid = {_HERE}"),
    "SELECT 'pg_user_mapping'::regclass, umid, format('user mapping for server %I without a password',"
    " srvname) FROM pg_user_mappings WHERE 'password_required=false' = ANY (umoptions)",
    "SELECT classoid, objoid, format('security label of provider %s', provider) FROM pg_seclabel"
    f" WHERE objoid >= {_FIRST_OWN_OID}",
)
_SCHEMA_PUBLICATIONS = (
    "SELECT 'pg_publication'::regclass, p.oid, format('publication %I', pubname)"
    " FROM pg_publication_namespace JOIN pg_publication p ON p.oid = pnpubid"
)
_EXTENSIONS = f"""
(SELECT coalesce(json_agg(json_build_object('name', extname, 'version', extversion, 'schema', nspname,
 'config', extconfig IS NOT NULL, 'outside', nspname IN ('public', 'pg_catalog')
 OR EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_namespace'::regclass AND objid = n.oid
 AND deptype = 'e')) ORDER BY x.oid), '[]')
 FROM pg_extension x JOIN pg_namespace n ON n.oid = extnamespace WHERE x.oid >= {_FIRST_OWN_OID})
"""


def _superusers(branches: tuple[str, ...]) -> str:
    return (
        f"WITH {_MEMBERS} SELECT json_build_object('superuser', (SELECT coalesce(json_agg(DISTINCT w), '[]')"
        f" FROM ({' UNION ALL '.join(branches)}) x(c, o, w) WHERE o >= {_FIRST_OWN_OID}"
        f" AND (c::oid, o) NOT IN (SELECT c, o FROM e)), 'extensions', {_EXTENSIONS})"
    )


def _things(branches: tuple[str, ...]) -> str:
    return f"{_HEAD}{' UNION ALL '.join(branches)})"


def statements(major: int) -> dict[str, str]:
    """Every statement, by what it tells."""
    newer = (_SCHEMA_PUBLICATIONS,) if major >= _PUBLICATION_SCHEMAS_FROM else ()
    return {
        "owners": _things(_WITH_RIGHTS + _WITHOUT) + _OWNERS,
        "rights": _things(_WITH_RIGHTS) + _RIGHTS,
        "superuser": _superusers(_SUPERUSERS + newer),
    }


#: how many objects there are, and who owns what
Before = tuple[dict[str, int], dict[Key, str]]


#: what is read again after it; and what is read before the content of the following database, if there is one
After = tuple[dict[str, int], Belongings, Before | None]


def asking_before(context: EngineContext, login: Login, database: str, major: int) -> Asked[Before]:
    """What is read before the content and again after it."""
    asked = querying_across(context, login, [(database, _before(major))], seconds=_SECONDS)
    return asked.then(lambda found: _understood(found[0]))


def asking_after(
    context: EngineContext, login: Login, database: str, major: int, *, following: str
) -> Asked[After]:
    """The same again, with rights, extensions, and the names of what only a superuser can create; and what is
    read before the content of the `following` database: the way there takes longest.
    """
    asked = {"counts": COUNTS} | statements(major)
    of_next = [(following, _before(major))] if following else []

    def understood(found: list[list[Any]]) -> After:
        answers = dict(zip(asked, found[0], strict=True))
        before = _understood(found[1]) if following else None
        return dict(answers["counts"]), parse_belongings(answers), before

    wanted = [(database, list(asked.values())), *of_next]
    return querying_across(context, login, wanted, seconds=_SECONDS).then(understood)


def _before(major: int) -> tuple[str, str]:
    return COUNTS, statements(major)["owners"]


def _understood(found: list[Any]) -> Before:
    counts, owners = found
    return dict(counts), parse_owners(owners)
