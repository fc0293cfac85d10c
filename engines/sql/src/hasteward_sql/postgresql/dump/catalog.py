"""The engine's part of the manifest: what was there, never a secret.

JSON::

    {"databases": {NAME: {"encoding", "collate", "ctype", "provider": "libc|icu|builtin", "icu_locale",
                          "icu_rules", "owner", "tablespace", "is_template", "connection_limit",
                          "acl": [text, ...] | null, "grants": [{"grantor", "grantee" (null: PUBLIC),
                          "privilege", "grantable"}, ...] | null, "comment",
                          "settings": [{"role" (null: all), "config": ["name=value", ...]}, ...],
                          "bytes": size on disk, "counts": {KIND: number} | null,
                          "superuser": [what only a superuser can create, ...],
                          "extensions": [{"name", "version", "schema", "config": has tables whose rows are
                          dumped, "outside": its schema is there before the content is}, ...]}},
     "roles": [{"name", "superuser", "inherit", "createrole", "createdb", "login", "replication",
                "bypassrls", "connection_limit", "valid_until", "comment", "settings"}, ...],
     "memberships": [{"role", "member", "grantor", "admin", "inherit", "set"}, ...],
     "excluded": [NAME, ...], "tablespaces": [{"name", "owner", "location", "options"}, ...]}

An engine may add what it knows of the server. `counts` is null when objects came or went while the database
was dumped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hasteward_sql.postgresql.collect.catalog import Globals
from hasteward_sql.postgresql.facts.belongings import Belongings
from hasteward_sql.postgresql.facts.grants import membership_entry

_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin", "d": "libc"}


def database_entry(
    row: Mapping[str, Any], counts: dict[str, int] | None, belongings: Belongings
) -> dict[str, Any]:
    """One database; columns that a version does not have are null."""
    return {
        "encoding": row["encoding_name"],
        "collate": row["datcollate"],
        "ctype": row["datctype"],
        "provider": _PROVIDERS.get(str(row.get("datlocprovider", "c")), "libc"),
        "icu_locale": row.get("datlocale", row.get("daticulocale")),
        "icu_rules": row.get("daticurules"),
        "owner": row["owner"],
        "tablespace": row["tablespace"],
        "is_template": row["datistemplate"],
        "connection_limit": row["datconnlimit"],
        "acl": row["acl"],
        "grants": row["grants"],
        "comment": row["comment"],
        "settings": row["settings"],
        "bytes": row["bytes"],
        "counts": counts,
        "superuser": list(belongings.superuser),
        "extensions": [dict(extension) for extension in belongings.extensions],
    }


def role_entry(row: Mapping[str, Any]) -> dict[str, Any]:
    """One role without its password."""
    return {
        "name": row["rolname"],
        "superuser": row["rolsuper"],
        "inherit": row["rolinherit"],
        "createrole": row["rolcreaterole"],
        "createdb": row["rolcreatedb"],
        "login": row["rolcanlogin"],
        "replication": row["rolreplication"],
        "bypassrls": row["rolbypassrls"],
        "connection_limit": row["rolconnlimit"],
        "valid_until": row["rolvaliduntil"],
        "comment": row["comment"],
        "settings": row["settings"],
    }


def catalog_entry(found: Globals) -> dict[str, Any]:
    """What belongs to no database."""
    return {
        "roles": [role_entry(row) for row in found.roles],
        "memberships": [membership_entry(row) for row in found.memberships],
        "tablespaces": [dict(row) for row in found.tablespaces],
    }
