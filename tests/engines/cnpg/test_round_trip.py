"""Dump, damage, restore on real servers: equal by everything pg_dump can see."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from cnpg_kit import (
    CLUSTER,
    LocalKubernetes,
    MemorySink,
    Server,
    Stored,
    caught_up,
    context_for,
    plan_of,
    reporter_of,
)

from hasteward.domain.events import Progress
from hasteward.ports.context import DumpOptions, RestoreOptions, RestoreOutcome
from hasteward_cnpg.plugin import plugin

pytestmark = pytest.mark.servers

USERS = ("My App", "a=b", "app", 'naïve ☃ \\ "q"  x', "o'brien")
Dump = Callable[..., Stored]


def restore(
    api: LocalKubernetes, source: Stored, *databases: str, run: str = "run2", keep_old: bool = True
) -> RestoreOutcome:
    context = context_for(api, run=run, minute=30)
    return plugin.restore(context, CLUSTER, source, RestoreOptions(databases=databases, keep_old=keep_old))


def dumps(server: Server) -> dict[str, str]:
    """Every user database as pg_dump --create writes it; roles and memberships as pg_dumpall does."""
    found = {name: server.dump_of(name) for name in USERS}
    return found | {"globals": server.tool("pg_dumpall", "--globals-only", "--restrict-key=x")}


def damage(server: Server) -> None:
    server.psql(
        "SET default_transaction_read_only = off; SET statement_timeout = 0;"
        "DROP TABLE shop.parts; UPDATE shop.things SET n = 0; SELECT lo_unlink(424242)",
        "app",
    )
    server.psql("DELETE FROM ledger; SELECT setval('ledger_id_seq', 9)", "My App")
    server.psql(
        'DROP DATABASE "o\'brien"; ALTER DATABASE app RESET ALL; COMMENT ON DATABASE "My App" IS \'x\''
    )


def test_everything_comes_back(single: LocalKubernetes, filled: Server, full: Stored) -> None:
    before = dumps(filled)
    damage(filled)

    outcome = restore(single, full)

    assert dumps(filled) == before
    assert outcome.restored == USERS
    assert set(outcome.kept) == {
        "hasteward_old_20260821T093021Z_My App",
        "hasteward_old_20260821T093021Z_a=b",
        "hasteward_old_20260821T093021Z_app",
        'hasteward_old_20260821T093021Z_naïve ☃ \\ "q"  x',
    }
    assert filled.psql("SELECT count(*) FROM shop.things WHERE n <> 0", outcome.kept[2]) == "0"
    assert not filled.psql("SELECT datname FROM pg_database WHERE datname LIKE 'hasteward_new%'")


def test_a_dump_of_the_restored_is_the_same_dump(
    single: LocalKubernetes, filled: Server, full: Stored, dump: Dump
) -> None:
    restore(single, full, keep_old=False)

    second = dump(single)

    assert second.digests() == full.digests()
    assert {n: d["counts"] for n, d in second.manifest.catalog["databases"].items()} == {
        n: d["counts"] for n, d in full.manifest.catalog["databases"].items()
    }
    assert not filled.psql("SELECT datname FROM pg_database WHERE datname LIKE 'hasteward%'")


def test_the_file_replays_with_plain_psql(
    single: LocalKubernetes, filled: Server, fresh: Server, full: Stored
) -> None:

    fresh.tool("psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "postgres", sql=full.data.decode())

    assert fresh.dumpall() == filled.dumpall()


def test_a_replica_is_dumped_and_holds_the_same(
    api: LocalKubernetes, filled: Server, full: Stored, pair: dict[str, Server], dump: Dump
) -> None:
    before = dumps(filled)
    caught_up(pair)

    from_replica = dump(api)

    assert (full.manifest.member, from_replica.manifest.member) == ("pg-1", "pg-2")
    damage(filled)
    restore(api, from_replica)
    assert dumps(filled) == before


def test_one_database_comes_back_and_the_others_stay(
    single: LocalKubernetes, filled: Server, full: Stored
) -> None:
    before = dumps(filled)
    damage(filled)
    damaged = filled.dump_of("app")

    outcome = restore(single, full, "My App")

    assert outcome.restored == ("My App",)
    assert filled.dump_of("My App") == before["My App"]
    assert filled.dump_of("app") == damaged


def test_postgres_and_template1_come_back_when_named(
    single: LocalKubernetes, primary: Server, dump: Dump
) -> None:
    """There is no other database to stand in while both are renamed, so the restore makes one."""
    primary.psql("CREATE TABLE IF NOT EXISTS kept (id int)")
    source = dump(single)
    before = primary.dump_of("postgres")
    primary.psql("INSERT INTO kept VALUES (2)")

    outcome = restore(single, source, "postgres", "template1", keep_old=False)

    assert outcome.restored == ("template1", "postgres")
    assert primary.dump_of("postgres") == before
    assert primary.psql("SELECT datistemplate FROM pg_database WHERE datname = 'template1'") == "t"
    assert not primary.psql("SELECT datname FROM pg_database WHERE datname LIKE 'hasteward%'")


def test_missing_roles_return_and_passwords_of_the_others_stay(
    single: LocalKubernetes, filled: Server, full: Stored
) -> None:
    globals_before = filled.tool("pg_dumpall", "--roles-only", "--restrict-key=x")
    for name in USERS:
        quoted = '"' + name.replace('"', '""') + '"'
        filled.psql(f"ALTER DATABASE {quoted} IS_TEMPLATE false; DROP DATABASE {quoted}")
    filled.psql("""ALTER ROLE owner_a PASSWORD 'changed'; DROP ROLE "o'reader"; DROP ROLE "Owner B" """)
    changed = filled.psql("SELECT rolpassword FROM pg_authid WHERE rolname = 'owner_a'")

    restore(single, full)

    assert filled.psql("SELECT rolpassword FROM pg_authid WHERE rolname = 'owner_a'") == changed
    after = filled.tool("pg_dumpall", "--roles-only", "--restrict-key=x")
    hide = re.compile(r"(ALTER ROLE owner_a WITH.*PASSWORD )'[^']*'")
    assert hide.sub(r"\1", after) == hide.sub(r"\1", globals_before)


def test_w20_the_manifest_and_the_argv_hold_no_password(
    single: LocalKubernetes, primary: Server, dump: Dump
) -> None:
    primary.psql("CREATE ROLE a PASSWORD 'x'; CREATE ROLE b PASSWORD 'y'; CREATE DATABASE d OWNER a")
    hashes = primary.psql("SELECT rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL").splitlines()
    source = dump(single)
    primary.psql("DROP DATABASE d; DROP ROLE a; DROP ROLE b")

    restore(single, source)

    assert len(hashes) == 2
    after = primary.psql("SELECT rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL").splitlines()
    assert after == hashes
    text = json.dumps(source.manifest.catalog) + json.dumps(single.execs)
    assert not [found for found in hashes if found in text or found.split("$")[-1] in text]
    assert all(found in source.data.decode() for found in hashes)


def test_a_dry_run_writes_nothing_and_says_the_same(single: LocalKubernetes, small: Server) -> None:
    sink = MemorySink()
    context = context_for(single, approve=False)

    proof = plugin.dump(context, CLUSTER, sink, DumpOptions())

    assert proof.planned_only
    assert not sink.data
    assert any("database app (about" in step.text for step in plan_of(context).steps)
    assert not plan_of(context).gives_up


def test_progress_is_announced_with_an_estimate(single: LocalKubernetes, small: Server) -> None:
    context = context_for(single)
    plugin.dump(context, CLUSTER, MemorySink(), DumpOptions())

    (progress,) = [event for event in reporter_of(context).events if isinstance(event, Progress)]
    assert progress.done == 0
    assert progress.about is not None
    assert progress.about > 10_000_000


def test_our_own_leftovers_are_not_dumped(single: LocalKubernetes, small: Server, dump: Dump) -> None:
    small.psql("CREATE DATABASE hasteward_old_x")
    small.psql("CREATE DATABASE closed ALLOW_CONNECTIONS false")

    source = dump(single)

    assert source.manifest.catalog["excluded"] == ["closed", "hasteward_old_x"]
    assert source.manifest.section("database:hasteward_old_x") is None
