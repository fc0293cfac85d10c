"""Content is loaded by a role without rights; what it cannot create is named before anything is touched."""

# ruff: noqa: ISC004 - long lines of SQL in lists of them

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Any, cast

import pytest
from cnpg_kit import CLUSTER, LocalKubernetes, Server, Stored, StoredBytes, context_for, plan_of, restore
from hypothesis import given
from hypothesis import strategies as st

from hasteward.domain.errors import Refused, RunFailed, Unproven
from hasteward.domain.manifest import Manifest, Section
from hasteward.ports.context import RestoreOptions
from hasteward_cnpg.plugin import plugin
from hasteward_sql.postgresql.collect.client import Login
from hasteward_sql.postgresql.dump import _closing
from hasteward_sql.postgresql.facts.belongings import Belongings, privileges_in_order, rights_sql
from hasteward_sql.postgresql.restore.replay import Replayed, restriction, restricts
from hasteward_sql.postgresql.restore.role import LoadRole, scram

Dump = Callable[..., Stored]


# --- what psql is fed --------------------------------------------------------------------------------------

HEAD = b"--\n-- PostgreSQL database dump\n--\n\n"
OPEN, CLOSE = b"\\restrict abc\n", b"\\unrestrict abc\n"
TAIL = b"--\n-- PostgreSQL database dump complete\n--\n\n"


def replayed(whole: bytes, size: int, closing: int) -> Replayed:
    digests = sha256(whole).hexdigest(), sha256(whole[: len(whole) - closing]).hexdigest()
    section = Section("database", "app", 0, len(whole), "sha256", digests[0], closing, digests[1])
    return Replayed(StoredBytes(Stored(whole, cast("Manifest", None), chunk=size), section), section)


@given(st.binary(max_size=3000), st.integers(1, 700), st.booleans())
def test_a_section_loses_its_two_lines_and_nothing_else(body: bytes, size: int, restricted: bool) -> None:
    plain = HEAD + b"SET x;\n" + body + b"\n" + TAIL
    whole = plain
    if restricted:
        whole = plain.replace(HEAD, HEAD + OPEN, 1) + CLOSE + b"\n"
        plain = plain.removeprefix(HEAD)
    content = replayed(whole, size, _closing(whole[-512:]))

    sent = b"".join(bytes(piece) for piece in content)
    lines = sent.split(b"\n", content.opening)

    assert lines.pop() == plain
    assert lines == ([*HEAD.split(b"\n")[:-1], OPEN[:-1]] if restricted else [])
    assert content.digest == sha256(sent).hexdigest()


@given(st.integers(0, 1100), st.integers(1, 1100))
def test_of_a_section_of_any_length_all_is_sent(length: int, size: int) -> None:
    whole = bytes(range(251)) * 5
    content = replayed(whole[:length], size, 0)

    assert b"".join(bytes(piece) for piece in content) == whole[:length]


@pytest.mark.parametrize("end", [b"", b"\\unrestrict xyz\nmore\n", b"\\unrestrict\n", b"x\\unrestrict a\n"])
def test_only_what_ends_a_dump_closes_it(end: bytes) -> None:
    assert _closing(TAIL + end) == 0


@pytest.mark.parametrize("size", [10, 5000])
def test_a_section_that_begins_restricted_and_has_no_end_of_its_own_is_refused(size: int) -> None:
    whole = HEAD + OPEN + b"x" * size + b"\n"

    with pytest.raises(Unproven, match="begins restricted and does not end so"):
        replayed(whole, len(whole), 0)


def test_the_key_is_new_for_every_stream() -> None:
    assert restriction(restricted=True) != restriction(restricted=True)
    assert restriction(restricted=False) == []


def test_only_newer_versions_of_psql_can_be_restricted() -> None:
    known = {140018: False, 140019: True, 150013: False, 150014: True, 160010: True, 170005: False}
    known |= {170006: True, 180000: True, 190000: True, 120000: False}

    assert {version: restricts(version) for version in known} == known


def test_a_password_is_stored_as_the_server_would_store_it() -> None:
    _, rest = scram("secret", b"0123456789abcdef").split("$", 1)
    iterations, salt = rest.split("$")[0].split(":")
    salted = hashlib.pbkdf2_hmac("sha256", b"secret", base64.b64decode(salt), int(iterations))
    stored, server = rest.split("$")[1].split(":")

    client = hmac.digest(salted, b"Client Key", "sha256")
    assert base64.b64decode(stored) == hashlib.sha256(client).digest()
    assert base64.b64decode(server) == hmac.digest(salted, b"Server Key", "sha256")
    assert "secret" not in repr(LoadRole("x", "secret"))


# --- owners and rights -------------------------------------------------------------------------------------


def grant(grantor: str, grantee: str | None, *, more: bool = False) -> dict[str, Any]:
    return {"grantor": grantor, "grantee": grantee, "privilege": "SELECT", "grantable": more}


def test_a_right_is_given_on_only_by_who_has_it() -> None:
    first, then, last = grant("o", "a", more=True), grant("a", "b", more=True), grant("b", "c")

    assert privileges_in_order([last, then, first], "o") == [first, then, last]
    assert privileges_in_order([grant("who", "c")], "o") == [grant("who", "c")]


def test_what_came_or_went_during_the_dump_is_passed_over_when_it_is_not_there() -> None:
    table = {"kind": "TABLE", "column": None, "before": ["mon"], "owner": "o"}
    after = Belongings(
        owners={("TABLE", "s.stays"): "o", ("TABLE", "s.came"): "o"},
        rights=(
            {**table, "name": "s.stays", "grants": [grant("o", None), grant("p", "q")]},
            {
                "kind": "TABLE",
                "name": "s.came",
                "column": '"c"',
                "before": [],
                "owner": "o",
                "grants": [grant("o", "r", more=True)],
            },
        ),
        defaults=(
            {"role": "o", "schema": None, "type": "f", "grants": []},
            {"role": "o", "schema": "s", "type": "r", "grants": [grant("o", "r")]},
        ),
        superuser=(),
        extensions=(),
    )
    text = rights_sql({("TABLE", "s.stays"): "x", ("TABLE", "s.went"): "o"}, after).decode()
    lines = text.partition("BEGIN;\n")[2].splitlines()

    gone = "EXCEPTION WHEN undefined_table OR undefined_object OR undefined_function OR invalid_schema_name"
    assert lines == [
        'ALTER TABLE s.stays OWNER TO "o";',
        f"DO 'BEGIN ALTER TABLE s.went OWNER TO \"o\"; {gone} THEN NULL; END';",
        f"DO 'BEGIN ALTER TABLE s.came OWNER TO \"o\"; {gone} THEN NULL; END';",
        'REVOKE ALL ON TABLE s.stays FROM PUBLIC, "o", "mon";',
        "GRANT SELECT ON TABLE s.stays TO PUBLIC;",
        'SET LOCAL SESSION AUTHORIZATION "p"; GRANT SELECT ON TABLE s.stays TO "q";'
        " RESET SESSION AUTHORIZATION;",
        f"DO 'BEGIN GRANT SELECT (\"c\") ON TABLE s.came TO \"r\" WITH GRANT OPTION; {gone} THEN NULL; END';",
        'ALTER DEFAULT PRIVILEGES FOR ROLE "o" REVOKE ALL ON ROUTINES FROM PUBLIC, "o";',
        'ALTER DEFAULT PRIVILEGES FOR ROLE "o" IN SCHEMA "s" GRANT SELECT ON TABLES TO "r";',
        "COMMIT;",
        "RESET session_replication_role;",
        "",
    ]  # fmt: skip


# --- on a real server --------------------------------------------------------------------------------------

#: everything that only a superuser can create, and what is next to it and needs none
MANY = """
CREATE EXTENSION pg_trgm; CREATE EXTENSION postgres_fdw; CREATE EXTENSION citext SCHEMA public;
CREATE SCHEMA ext; CREATE EXTENSION hstore SCHEMA ext; CREATE EXTENSION dblink SCHEMA ext;
CREATE FUNCTION c_fn(int) RETURNS int LANGUAGE internal STRICT AS 'int4abs';
CREATE FUNCTION leak(int) RETURNS boolean LANGUAGE plpgsql LEAKPROOF AS 'BEGIN RETURN true; END';
CREATE FUNCTION as_role() RETURNS int LANGUAGE sql SET role = 'postgres' AS 'SELECT 1';
CREATE FUNCTION logs() RETURNS int LANGUAGE sql SET log_statement = 'none' AS 'SELECT 1';
CREATE TYPE own;
CREATE FUNCTION own_in(cstring) RETURNS own LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
CREATE FUNCTION own_out(own) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
CREATE TYPE own (input = own_in, output = own_out, like = int4);
CREATE CAST (own AS int) WITHOUT FUNCTION;
CREATE TYPE mood AS ENUM ('a'); CREATE TYPE r AS RANGE (subtype = float8);
CREATE FUNCTION of_mood(mood) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE CAST (mood AS int) WITH FUNCTION of_mood(mood);
CREATE OPERATOR CLASS int_too FOR TYPE int4 USING btree AS OPERATOR 1 <, FUNCTION 1 btint4cmp(int4, int4);
CREATE PUBLICATION everything FOR ALL TABLES; CREATE PUBLICATION nothing;
CREATE FOREIGN DATA WRAPPER mine;
CREATE SERVER away FOREIGN DATA WRAPPER postgres_fdw;
CREATE USER MAPPING FOR app SERVER away OPTIONS (password_required 'false');
CREATE USER MAPPING FOR postgres SERVER away OPTIONS (password 'x');
CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER seen ON sql_drop EXECUTE FUNCTION watch();
CREATE TEXT SEARCH PARSER p (
  start = prsd_start, gettoken = prsd_nexttoken, end = prsd_end, lextypes = prsd_lextype);
CREATE TEXT SEARCH TEMPLATE tt (lexize = dsimple_lexize);
CREATE ACCESS METHOD heap_too TYPE TABLE HANDLER heap_tableam_handler;
"""
NAMED = [
    "access method heap_too",
    "cast from public.own to integer",
    "event trigger seen",
    "extension dblink in schema ext",
    "foreign-data wrapper mine",
    "function public.as_role() (with settings of a superuser)",
    "function public.c_fn(integer) (language internal)",
    "function public.leak(integer) (leakproof)",
    "function public.logs() (with settings of a superuser)",
    "function public.own_in(cstring) (language internal)",
    "function public.own_out(public.own) (language internal)",
    "operator class int_too",
    "publication everything",
    "text search parser p",
    "text search template tt",
    "type public.own",
    "user mapping for server away without a password",
]


@pytest.mark.servers
def test_what_only_a_superuser_can_create_is_named_and_refused(
    single: LocalKubernetes, small: Server, dump: Dump
) -> None:
    small.psql(MANY, "app")
    source = dump(single)
    before = small.dump_of("app")

    with pytest.raises(Refused) as caught:
        restore(single, source)

    _, _, said = caught.value.message.partition("only a superuser can create: ")
    assert sorted(said.split("; ")) == NAMED
    assert "--as-superuser" in caught.value.hint
    restore(single, source, as_superuser=True, keep_old=False)
    assert small.dump_of("app") == before


#: what a role without rights can load, though a superuser owns or grants some of it
LEAST = """
CREATE EXTENSION citext; CREATE EXTENSION postgres_fdw; CREATE SCHEMA ext AUTHORIZATION app;
CREATE EXTENSION hstore SCHEMA ext; COMMENT ON EXTENSION hstore IS 'ours';
CREATE TABLE of_superuser (id ext.hstore, c citext);
CREATE TABLE chain (id int, n int); ALTER TABLE chain OWNER TO app;
GRANT SELECT, INSERT ON chain TO one WITH GRANT OPTION;
SET SESSION AUTHORIZATION one; GRANT SELECT ON chain TO two WITH GRANT OPTION;
SET SESSION AUTHORIZATION two; GRANT SELECT ON chain TO PUBLIC;
RESET SESSION AUTHORIZATION; REVOKE UPDATE ON chain FROM app; GRANT UPDATE (id) ON chain TO two;
REVOKE CREATE ON SCHEMA public FROM PUBLIC; COMMENT ON SCHEMA public IS 'other words';
GRANT EXECUTE ON FUNCTION pg_read_file(text) TO one;
REVOKE EXECUTE ON FUNCTION citext_eq(citext, citext) FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE app REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE app IN SCHEMA ext GRANT SELECT ON TABLES TO one;
CREATE SERVER away FOREIGN DATA WRAPPER postgres_fdw; GRANT USAGE ON FOREIGN SERVER away TO one;
CREATE USER MAPPING FOR one SERVER away OPTIONS (password 'x');
CREATE FOREIGN TABLE far (id int) SERVER away;
CREATE PUBLICATION news FOR TABLE chain; ALTER PUBLICATION news OWNER TO app;
CREATE PROCEDURE run(int) LANGUAGE sql AS 'SELECT 1'; ALTER PROCEDURE run(int) OWNER TO two;
REVOKE ALL ON PROCEDURE run(int) FROM PUBLIC;
CREATE AGGREGATE most(int) (sfunc = int4larger, stype = int); ALTER AGGREGATE most(int) OWNER TO two;
CREATE FUNCTION eq(point, point) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR ext.=== (leftarg = point, rightarg = point, function = eq);
ALTER OPERATOR ext.=== (point, point) OWNER TO app;
CREATE TEXT SEARCH DICTIONARY d (template = simple); CREATE TEXT SEARCH CONFIGURATION cfg (copy = simple);
ALTER TEXT SEARCH CONFIGURATION cfg OWNER TO two; CREATE COLLATION k (locale = 'C');
CREATE STATISTICS st ON id, n FROM chain;
ALTER TABLE chain ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE DOMAIN dom AS int; ALTER DOMAIN dom OWNER TO two; GRANT USAGE ON TYPE dom TO one;
CREATE TYPE span AS RANGE (subtype = float8); ALTER TYPE span OWNER TO app;
SELECT lo_create(77); ALTER LARGE OBJECT 77 OWNER TO two; GRANT SELECT ON LARGE OBJECT 77 TO one;
CREATE SEQUENCE counts; ALTER SEQUENCE counts OWNER TO app; ALTER SEQUENCE counts OWNED BY chain.id;
CREATE MATERIALIZED VIEW mat AS SELECT 1 AS id; ALTER TABLE mat OWNER TO one;
"""


@pytest.fixture
def least(small: Server) -> Server:
    small.psql("CREATE ROLE one; CREATE ROLE two")
    small.psql(LEAST, "app")
    return small


@pytest.mark.servers
def test_owners_and_rights_of_everything_come_back_without_a_superuser(
    single: LocalKubernetes, least: Server, dump: Dump
) -> None:
    source = dump(single)
    before = least.dump_of("app")
    facts = "SELECT datacl, datconnlimit, datdba::regrole FROM pg_database WHERE datname = 'app'"
    extensions = "SELECT extname, extowner::regrole FROM pg_extension WHERE extname <> 'hstore' ORDER BY 1"
    known = [least.psql(facts), least.psql(extensions, "app")]

    restore(single, source, keep_old=False)

    assert least.dump_of("app") == before
    assert [least.psql(facts), least.psql(extensions, "app")] == known
    roles = least.psql("SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1").splitlines()
    assert roles == ["app", "one", "postgres", "two"]


@pytest.mark.servers
def test_no_password_of_the_load_is_in_an_argument(
    single: LocalKubernetes, small: Server, dump: Dump
) -> None:
    sent: list[str] = []
    plain = LoadRole.login

    def seen(role: LoadRole, like: Login, door: str) -> Login:
        sent.append(role.password)
        return plain(role, like, door)

    source = dump(single)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LoadRole, "login", seen)
        restore(single, source)

    assert sent
    assert not [argv for _, argv in single.execs if any(sent[0] in word for word in argv)]
    assert sent[0] not in (small.folder / "log").read_text(errors="replace")


@pytest.mark.servers
def test_a_role_and_a_database_of_a_dead_run_are_removed_by_the_next(
    single: LocalKubernetes, small: Server, dump: Dump
) -> None:
    source = dump(single)
    dead = LoadRole.of("dead")
    small.psql(dead.create("run0") + f"CREATE DATABASE hasteward_new_dead OWNER {dead.name}")
    small.psql('CREATE ROLE hasteward_load_mine; COMMENT ON ROLE hasteward_load_mine IS \'{"role": "x"}\'')
    context = context_for(single, run="run3", minute=3)

    plugin.restore(context, CLUSTER, source, RestoreOptions())

    step = plan_of(context).steps[0].text
    assert step == "drop what a dead run left: hasteward_new_dead, hasteward_load_dead"
    assert small.psql("SELECT rolname FROM pg_roles WHERE rolname ~ '^hasteward'") == "hasteward_load_mine"
    small.psql("DROP ROLE hasteward_load_mine")


@pytest.fixture
def closed(small: Server) -> Iterator[Server]:
    """A server that lets nobody in by password."""
    path = small.data / "pg_hba.conf"
    text = path.read_text()
    path.write_text(text.replace("host all all all scram-sha-256", "host all all all reject"))
    small.psql("SELECT pg_reload_conf()")
    yield small
    path.write_text(text)
    small.psql("SELECT pg_reload_conf()")


@pytest.mark.servers
def test_a_server_that_does_not_let_the_role_in_says_so_before_anything_is_loaded(
    single: LocalKubernetes, closed: Server, dump: Dump
) -> None:
    source = dump(single)

    with pytest.raises(RunFailed, match="the primary does not let it in") as caught:
        restore(single, source)

    assert "spec.postgresql.pg_hba" in caught.value.hint
    assert not closed.psql("SELECT datname FROM pg_database WHERE datname ~ '^hasteward'")
    assert not closed.psql("SELECT rolname FROM pg_roles WHERE rolname ~ '^hasteward'")
    restore(single, source, "run3", as_superuser=True)


@pytest.mark.servers
def test_an_old_psql_and_a_missing_extension_are_refused(
    single: LocalKubernetes, small: Server, dump: Dump
) -> None:
    source = dump(single)
    databases = source.manifest.catalog["databases"]
    row = {"name": "postgis", "version": "3", "schema": "public", "config": True, "outside": True}
    lacking = {"databases": databases | {"app": databases["app"] | {"extensions": [row]}}}

    with pytest.raises(Refused, match="the cluster's image does not have: postgis"):
        restore(single, source.changed(catalog=source.manifest.catalog | lacking), as_superuser=True)

    def old(pod: Any, argv: Any) -> list[str]:
        return [word.replace("current_setting('server_version_num')::int", "150013") for word in argv]

    single.rewrites.append(old)
    with pytest.raises(Refused, match="cannot be told to run no commands") as caught:
        restore(single, replace(source))
    assert "update the image" in caught.value.hint
