"""The role that content is loaded as. It may do nothing but fill the one database that was made for it.

A dump is SQL that somebody else wrote: the functions in its constraints, indexes and views run while it is
loaded. A session that merely steps down from superuser can step up again, so the load logs in as this role,
with a password of its own: by a way that the server lets it in, because a local socket may be the superuser's
alone.
"""

# ruff: noqa: S608 - every name and value is quoted

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from hasteward_sql.postgresql.collect.client import Login
from hasteward_sql.postgresql.facts.marks import load_mark
from hasteward_sql.postgresql.facts.quoting import identifier, literal
from hasteward_sql.postgresql.names import LOAD_ROLE_PREFIX
from hasteward_sql.postgresql.restore.target import Item

_ITERATIONS = 4096


def scram(password: str, salt: bytes) -> str:
    """`password` as PostgreSQL stores it (SCRAM-SHA-256), so that no statement ever holds it."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    client = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt64, client64, server64 = (base64.b64encode(part).decode() for part in (salt, client, server))
    return f"SCRAM-SHA-256${_ITERATIONS}:{salt64}${client64}:{server64}"


@dataclass(frozen=True, slots=True)
class LoadRole:
    """One such role, with the password that only this process knows."""

    name: str
    password: str = field(repr=False)

    @classmethod
    def of(cls, job: str) -> LoadRole:
        """The role of one run."""
        return cls(f"{LOAD_ROLE_PREFIX}{job}", secrets.token_hex(24))

    def create(self, run: str) -> str:
        """The role, marked as ours. Row security is passed over, as it is by whoever dumps."""
        name, mark = identifier(self.name), load_mark(run)
        stored = scram(self.password, secrets.token_bytes(16))
        return (
            f"BEGIN;\nCREATE ROLE {name} LOGIN BYPASSRLS PASSWORD {literal(stored)};\n"
            f"COMMENT ON ROLE {name} IS {literal(mark)};\nCOMMIT;\n"
        )

    def login(self, like: Login, door: str) -> Login:
        """Its log-in at the server of `like`, by way of the host `door` (the same way when that is empty)."""
        return replace(like, user=self.name, password=self.password, host=door or like.host)

    def prepare(self, item: Item, tablespaces: Sequence[str]) -> str:
        """As superuser, in the empty database: the extensions, and the few things of a fresh database."""
        name = identifier(self.name)
        lines = ["BEGIN;", f"ALTER SCHEMA public OWNER TO {name};"]
        lines += [f"GRANT CREATE ON TABLESPACE {identifier(space)} TO {name};" for space in tablespaces]
        lines += create_extensions(item)
        for extension in _outside(item):
            lines += [
                _owned_by(extension, self.name),
                f"DO {literal(_each_config_table(extension, self.name))};",
                f"DO {literal(_each_wrapper(extension, self.name))};",
            ]
        return "\n".join([*lines, "COMMIT;", ""])

    def hand_over(self, item: Item, superuser: str) -> str:
        """As superuser, after owners and rights were given: nothing stays with this role."""
        name, new = identifier(self.name), identifier(item.new_name)
        lines = ["BEGIN;"]
        for extension in _outside(item):
            lines += [
                _owned_by(extension, superuser),
                f"DO {literal(_each_config_table(extension, superuser))};",
            ]
        lines += [
            f"REASSIGN OWNED BY {name} TO {identifier(item.entry['owner'])};",
            f"DROP OWNED BY {name};",
            f"ALTER DATABASE {new} CONNECTION LIMIT 0;",
            "COMMIT;",
        ]
        return "\n".join([*lines, ""])


def create_extensions(item: Item) -> list[str]:
    """Those whose schema is there before the content; in their order of old, because one may need another."""
    return [
        f"CREATE EXTENSION IF NOT EXISTS {identifier(row['name'])} SCHEMA {identifier(row['schema'])};"
        if row["schema"] in {"public", "pg_catalog"}
        else f"CREATE EXTENSION IF NOT EXISTS {identifier(row['name'])};"
        for row in item.entry["extensions"]
        if row["outside"]
    ]


def drop_role(name: str) -> str:
    """Remove such a role, and what was granted to it."""
    quoted = identifier(name)
    body = (
        f"BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = {literal(name)}) THEN"
        f" DROP OWNED BY {quoted}; DROP ROLE {quoted}; END IF; END"
    )
    return f"DO {literal(body)};\n"


def _outside(item: Item) -> Iterable[str]:
    return [str(row["name"]) for row in item.entry["extensions"] if row["outside"]]


def _owned_by(extension: str, owner: str) -> str:
    """ALTER EXTENSION has no OWNER TO; but only its owner may comment on it, as every dump does."""
    return (
        "UPDATE pg_extension SET extowner ="
        f" (SELECT oid FROM pg_roles WHERE rolname = {literal(owner)}) WHERE extname = {literal(extension)};"
    )


def _each_config_table(extension: str, owner: str) -> str:
    """The rows of these are in the dump, so who loads it must be able to write them."""
    return (
        "DECLARE t regclass; BEGIN FOR t IN SELECT unnest(extconfig)::regclass FROM pg_extension"
        f" WHERE extname = {literal(extension)} LOOP"
        f" EXECUTE format('ALTER TABLE %s OWNER TO %I', t, {literal(owner)}); END LOOP; END"
    )


def _each_wrapper(extension: str, role: str) -> str:
    """Whoever makes a foreign server needs the wrapper's USAGE."""
    return (
        "DECLARE w name; BEGIN FOR w IN SELECT f.fdwname FROM pg_foreign_data_wrapper f"
        " JOIN pg_depend d ON d.classid = 'pg_foreign_data_wrapper'::regclass AND d.objid = f.oid"
        " JOIN pg_extension x ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = x.oid"
        f" WHERE d.deptype = 'e' AND x.extname = {literal(extension)} LOOP"
        f" EXECUTE format('GRANT USAGE ON FOREIGN DATA WRAPPER %I TO %I', w, {literal(role)}); END LOOP; END"
    )
