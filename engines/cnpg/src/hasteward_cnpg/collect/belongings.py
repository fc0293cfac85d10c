"""Who owns what in a database, who may do what with it, and what only a superuser could create again.

pg_dump would write owners and rights among the content, where only a superuser can replay them. Here they
are facts of their own, so that the content can be loaded by a role that may do nothing else.
"""

# ruff: noqa: S608, ISC004 - SQL made of the constants of this file, one piece per line

from __future__ import annotations

from hasteward.ports.context import EngineContext
from hasteward.ports.kubernetes import PodRef
from hasteward_cnpg.collect.psql import query
from hasteward_cnpg.facts.belongings import Belongings, parse_belongings

_SECONDS = 120
_FIRST_OWN_OID = 16384
_PUBLICATION_SCHEMAS_FROM = 15

#: an object of an extension comes with it
_MEMBER = (
    "EXISTS (SELECT FROM pg_depend e WHERE e.classid = {0} AND e.objid = {1} AND e.deptype = 'e'"
    " AND e.refclassid = 'pg_extension'::regclass)"
)
_OWN = "(n.nspname !~ '^pg_' AND n.nspname <> 'information_schema')"


def _thing(
    kind: str, catalog: str, prefix: str, *, acl: str = "", schema: str = "", where: str = "true"
) -> str:
    """One branch of the list of all things: what it is called in ALTER and GRANT, its owner, its rights."""
    rights = f"o.{acl}" if acl else "NULL::aclitem[]"
    own, source = f"o.oid >= {_FIRST_OWN_OID}", f"{catalog} o"
    if schema:
        own = _OWN
        source += f" JOIN pg_namespace n ON n.oid = o.{schema} AND ({_OWN} OR n.nspname = 'pg_catalog')"
    columns = f"{kind}, '{catalog}'::regclass::oid, o.oid, o.{prefix}owner, {rights}, {own}"
    return f"SELECT {columns} FROM {source} WHERE {where}"


_OF_TABLE = "o.relkind IN ('r','p','v','m','f','S') AND NOT (o.relpersistence = 't')"
#: a sequence of a column goes with its table
_COLUMNS_SEQUENCE = (
    "EXISTS (SELECT FROM pg_depend s WHERE s.classid = 'pg_class'::regclass AND s.objid = t.id"
    " AND s.refclassid = 'pg_class'::regclass AND s.deptype IN ('a','i') AND t.kind = 'SEQUENCE')"
)

_THINGS = " UNION ALL ".join(
    (
        "SELECT 'SCHEMA', 'pg_namespace'::regclass::oid, n.oid, n.nspowner, n.nspacl,"
        f" {_OWN} FROM pg_namespace n WHERE {_OWN} OR n.nspname = 'pg_catalog'",
        _thing(
            "CASE o.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END",
            "pg_class",
            "rel",
            acl="relacl",
            schema="relnamespace",
            where=_OF_TABLE,
        ),
        _thing("'ROUTINE'", "pg_proc", "pro", acl="proacl", schema="pronamespace"),
        _thing(
            "'TYPE'",
            "pg_type",
            "typ",
            acl="typacl",
            schema="typnamespace",
            where="o.typtype IN ('b','c','d','e','r') AND o.typinput <> 'array_in'::regproc"
            " AND (o.typrelid = 0"
            " OR EXISTS (SELECT FROM pg_class c WHERE c.oid = o.typrelid AND c.relkind = 'c'))",
        ),
        _thing("'OPERATOR'", "pg_operator", "opr", schema="oprnamespace"),
        _thing("'OPERATOR CLASS'", "pg_opclass", "opc", schema="opcnamespace"),
        _thing("'OPERATOR FAMILY'", "pg_opfamily", "opf", schema="opfnamespace"),
        _thing("'COLLATION'", "pg_collation", "coll", schema="collnamespace"),
        _thing("'CONVERSION'", "pg_conversion", "con", schema="connamespace"),
        _thing("'STATISTICS'", "pg_statistic_ext", "stx", schema="stxnamespace"),
        _thing("'TEXT SEARCH DICTIONARY'", "pg_ts_dict", "dict", schema="dictnamespace"),
        _thing("'TEXT SEARCH CONFIGURATION'", "pg_ts_config", "cfg", schema="cfgnamespace"),
        _thing("'LANGUAGE'", "pg_language", "lan", acl="lanacl"),
        _thing("'FOREIGN DATA WRAPPER'", "pg_foreign_data_wrapper", "fdw", acl="fdwacl"),
        _thing("'FOREIGN SERVER'", "pg_foreign_server", "srv", acl="srvacl"),
        _thing("'PUBLICATION'", "pg_publication", "pub"),
        _thing("'EVENT TRIGGER'", "pg_event_trigger", "evt"),
        _thing(
            "'SUBSCRIPTION'",
            "pg_subscription",
            "sub",
            where="o.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())",
        ),
        "SELECT 'LARGE OBJECT', 'pg_largeobject'::regclass::oid, o.oid, o.lomowner, o.lomacl, true"
        " FROM pg_largeobject_metadata o",
    )
)

_GRANTS = (
    "(SELECT json_agg(json_build_object('grantor', pg_get_userbyid(a.grantor), 'grantee',"
    " CASE WHEN a.grantee = 0 THEN NULL ELSE pg_get_userbyid(a.grantee) END, 'privilege', a.privilege_type,"
    " 'grantable', a.is_grantable) ORDER BY a.grantor, a.grantee, a.privilege_type) FROM aclexplode({0}) a)"
)
_BEFORE = (
    "(SELECT coalesce(json_agg(DISTINCT pg_get_userbyid(a.grantee)), '[]')"
    " FROM pg_init_privs i, aclexplode(i.initprivs) a"
    " WHERE i.classoid = t.class AND i.objoid = t.id AND i.objsubid = {0} AND a.grantee <> 0)"
)
_CHANGED = (
    "{0} IS NOT NULL AND {0} IS DISTINCT FROM (SELECT i.initprivs FROM pg_init_privs i"
    " WHERE i.classoid = t.class AND i.objoid = t.id AND i.objsubid = {1})"
)


def _superusers(name: str, source: str, where: str) -> str:
    return f"SELECT {name} AS what FROM {source} WHERE {where}"


def _member(catalog: str, oid: str) -> str:
    return "NOT " + _MEMBER.format(f"'{catalog}'::regclass", oid)


def _named(word: str, catalog: str, name: str, alias: str = "o", where: str = "true") -> str:
    own = f"{alias}.oid >= {_FIRST_OWN_OID} AND {_member(catalog, alias + '.oid')}"
    return _superusers(f"format('{word} %I', {alias}.{name})", f"{catalog} {alias}", f"{own} AND ({where})")


#: those that the server makes itself, of a range type, are no functions of the dump
_ROUTINE = (
    f"pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE p.oid >= {_FIRST_OWN_OID}"
    f" AND {_member('pg_proc', 'p.oid')} AND NOT EXISTS (SELECT FROM pg_depend i"
    " WHERE i.classid = 'pg_proc'::regclass AND i.objid = p.oid AND i.deptype = 'i')"
)
_SUPERUSERS = (
    _named("event trigger", "pg_event_trigger", "evtname"),
    "SELECT format('function %s (language %s)', p.oid::regprocedure, l.lanname)"
    f" FROM {_ROUTINE} AND p.prokind <> 'a' AND NOT l.lanpltrusted",
    f"SELECT format('function %s (leakproof)', p.oid::regprocedure) FROM {_ROUTINE} AND p.proleakproof",
    f"SELECT format('function %s (planner support)', p.oid::regprocedure) FROM {_ROUTINE}"
    " AND p.prosupport <> 0",
    "SELECT format('function %s (sets %s)', c.routine, c.setting) FROM (SELECT p.oid::regprocedure AS routine,"
    f" split_part(unnest(p.proconfig), '=', 1) AS setting FROM {_ROUTINE}) c"
    " WHERE c.setting IN ('role', 'session_authorization')"
    " OR c.setting IN (SELECT name FROM pg_settings WHERE context = 'superuser')",
    "SELECT format('aggregate %s (internal state)', a.aggfnoid::regprocedure) FROM pg_aggregate a"
    f" WHERE a.aggfnoid >= {_FIRST_OWN_OID} AND 'internal'::regtype IN (a.aggtranstype, a.aggmtranstype)"
    f" AND {_member('pg_proc', 'a.aggfnoid')}",
    "SELECT format('type %s', o.oid::regtype) FROM pg_type o WHERE o.typtype = 'b'"
    f" AND o.typinput <> 'array_in'::regproc AND o.oid >= {_FIRST_OWN_OID} AND {_member('pg_type', 'o.oid')}",
    "SELECT format('cast from %s to %s', o.castsource::regtype, o.casttarget::regtype) FROM pg_cast o"
    f" WHERE o.oid >= {_FIRST_OWN_OID} AND {_member('pg_cast', 'o.oid')} AND (o.castmethod = 'b' OR NOT EXISTS"
    f" (SELECT FROM pg_type t WHERE t.oid IN (o.castsource, o.casttarget) AND t.oid >= {_FIRST_OWN_OID}"
    f" AND {_member('pg_type', 't.oid')}))",
    _named("operator class", "pg_opclass", "opcname"),
    _named(
        "operator family",
        "pg_opfamily",
        "opfname",
        where="NOT EXISTS (SELECT FROM pg_opclass c WHERE c.opcfamily = o.oid)",
    ),
    _named("text search parser", "pg_ts_parser", "prsname"),
    _named("text search template", "pg_ts_template", "tmplname"),
    _named("language", "pg_language", "lanname"),
    _named("access method", "pg_am", "amname"),
    "SELECT format('transform for %s', o.trftype::regtype) FROM pg_transform o"
    f" WHERE o.oid >= {_FIRST_OWN_OID} AND {_member('pg_transform', 'o.oid')}",
    _named("foreign-data wrapper", "pg_foreign_data_wrapper", "fdwname"),
    "SELECT format('user mapping for server %I without a password', o.srvname) FROM pg_user_mappings o"
    " WHERE 'password_required=false' = ANY (o.umoptions)",
    _named("publication", "pg_publication", "pubname", where="o.puballtables"),
    "SELECT format('subscription %I', o.subname) FROM pg_subscription o WHERE o.subdbid ="
    " (SELECT oid FROM pg_database WHERE datname = current_database())",
    "SELECT format('security label of provider %s', o.provider) FROM pg_seclabel o WHERE NOT "
    + _MEMBER.format("o.classoid", "o.objoid"),
)
_SCHEMA_PUBLICATIONS = (
    "SELECT format('publication %I', p.pubname) FROM pg_publication_namespace o"
    " JOIN pg_publication p ON p.oid = o.pnpubid"
)

_SQL = f"""
WITH t(kind, class, id, owner, acl, own) AS ({_THINGS}),
 own AS (SELECT t.*, (pg_identify_object(class, id, 0)).identity AS name, {_MEMBER.format("t.class", "t.id")}
   AS extension FROM t WHERE t.own OR {_CHANGED.format("t.acl", "0")})
SELECT json_build_object(
 'owners', (SELECT coalesce(json_agg(json_build_array(kind, name, pg_get_userbyid(owner))
    ORDER BY kind COLLATE "C", name COLLATE "C"), '[]')
    FROM own t WHERE own AND NOT extension AND NOT {_COLUMNS_SEQUENCE}),
 'rights', (SELECT coalesce(json_agg(json_build_object('kind', kind, 'name', name,
    'owner', pg_get_userbyid(owner), 'column', NULL, 'before', {_BEFORE.format("0")},
    'grants', {_GRANTS.format("acl")}) ORDER BY kind COLLATE "C", name COLLATE "C"), '[]')
    FROM own t WHERE {_CHANGED.format("t.acl", "0")}),
 'columns', (SELECT coalesce(json_agg(json_build_object('kind', 'TABLE', 'name',
    (pg_identify_object(t.class, t.id, 0)).identity, 'owner', pg_get_userbyid(owner),
    'column', quote_ident(c.attname), 'before', {_BEFORE.format("c.attnum")},
    'grants', {_GRANTS.format("c.attacl")}) ORDER BY t.id, c.attnum), '[]')
    FROM t JOIN pg_attribute c ON c.attrelid = t.id AND t.class = 'pg_class'::regclass
    WHERE NOT c.attisdropped AND {_CHANGED.format("c.attacl", "c.attnum")}),
 'defaults', (SELECT coalesce(json_agg(json_build_object('role', pg_get_userbyid(d.defaclrole),
    'schema', (SELECT nspname FROM pg_namespace WHERE oid = d.defaclnamespace), 'type', d.defaclobjtype,
    'grants', coalesce({_GRANTS.format("d.defaclacl")}, '[]'))
    ORDER BY pg_get_userbyid(d.defaclrole), d.defaclnamespace, d.defaclobjtype), '[]') FROM pg_default_acl d),
 'superuser', (SELECT coalesce(json_agg(DISTINCT w.what), '[]') FROM ($superusers) w(what)),
 'extensions', (SELECT coalesce(json_agg(json_build_object('name', x.extname, 'version', x.extversion,
    'schema', n.nspname, 'config', x.extconfig IS NOT NULL,
    'outside', n.nspname IN ('public', 'pg_catalog') OR {_MEMBER.format("'pg_namespace'::regclass", "n.oid")})
    ORDER BY x.oid), '[]') FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace
    WHERE x.oid >= {_FIRST_OWN_OID}))
"""


def read_belongings(context: EngineContext, pod: PodRef, database: str, major: int) -> Belongings:
    """Owners, rights, extensions, and the names of what only a superuser can create."""
    parts = list(_SUPERUSERS)
    if major >= _PUBLICATION_SCHEMAS_FROM:
        parts.append(_SCHEMA_PUBLICATIONS)
    sql = _SQL.replace("$superusers", " UNION ALL ".join(parts))
    return parse_belongings(query(context, pod, sql, database=database, seconds=_SECONDS))
