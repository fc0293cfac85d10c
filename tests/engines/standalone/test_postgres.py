"""A bare PostgreSQL: dumped in proven sections, restored beside what is live, and swapped in."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import postgres_kit
import pytest
import standalone_kit
from postgres_kit import DATABASES, Postgres

from hasteward.domain.errors import HastewardError, InvalidInput, Refused, RunFailed
from hasteward.domain.snapshot import SnapshotFilter
from hasteward.pipelines.catalog import backups, manifest_of

pytestmark = pytest.mark.servers

#: a value of content.sql in five databases, changed
DAMAGE = {
    "app": "DROP TABLE shop.parts; UPDATE shop.things SET n = 0; SELECT lo_unlink(424242)",
    "My App": "DELETE FROM ledger; SELECT setval('ledger_id_seq', 9)",
    "postgres": 'DROP DATABASE "o\'brien"; ALTER DATABASE app RESET ALL',
}


def damage(server: Postgres) -> None:
    for database, text in DAMAGE.items():
        server.psql(text, database)


def digests(keeper: Any) -> dict[str, str]:
    entry = backups(keeper.repository, SnapshotFilter(type="backup"))[0]
    return {section.key: section.digest for section in manifest_of(keeper.repository, entry).sections}


def round_trip(server: Postgres, keeper: Any) -> None:
    """Dump, damage, restore: equal by everything that pg_dump can see; and dumped again, the same dump."""
    server.fill()
    before = server.content(*DATABASES)
    saved = keeper.backup()
    assert saved.path == "here/shop-db/pgdumpall.sql"
    first = digests(keeper)
    damage(server)

    result = keeper.restore()

    assert server.content(*DATABASES) == before
    assert result.outcome.restored == DATABASES
    assert sorted(name.split("_", 3)[3] for name in result.outcome.kept) == sorted({*DATABASES} - {"o'brien"})
    broken = next(name for name in result.outcome.kept if name.endswith("_app"))
    assert server.psql("SELECT count(*) FROM shop.things WHERE n <> 0", broken) == "0"
    keeper.runs = 0  # the key that restricts psql is the run's
    again = keeper.backup()
    assert (again.sections, again.size) == (saved.sections, saved.size)
    assert digests(keeper) == first
    stored = keeper.repository.files[saved.snapshot].decode()
    assert standalone_kit.PASSWORD not in stored + repr(keeper.reporter.events)


def programs_of(major: str) -> Path:
    """The programs of a version, or a skipped test."""
    programs = postgres_kit.others().get(major)
    if programs is None:
        pytest.skip(f"PostgreSQL {major} is neither installed from PyPI nor named by HASTEWARD_POSTGRES")
    return programs


@pytest.mark.long
@pytest.mark.timeout(600)
def test_everything_comes_back_with_a_role_without_rights(clean: Postgres, keeper: Any) -> None:
    round_trip(clean, keeper)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("major", ["14", "16", "17", "18"])
def test_everything_comes_back_on_every_version(major: str, keep: Any) -> None:
    server = Postgres(programs_of(major))
    try:
        round_trip(server, keep(server))
    finally:
        server.stop()


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("major", ["16", "17", "18"])
def test_a_dump_is_restored_into_a_newer_version_and_not_into_an_older_one(
    app: Postgres, keeper: Any, keep: Any, major: str
) -> None:
    newer = Postgres(programs_of(major))
    keeper.backup()
    try:
        there = keep(newer)
        there.repository = keeper.repository
        assert there.restore().outcome.restored == ("app",)
        assert newer.psql("SELECT v FROM t ORDER BY id", "app") == "one\ntwo"
        there.backup()
        with pytest.raises(Refused, match="which is older"):
            keeper.restore()
    finally:
        newer.stop()


def test_the_stored_file_replays_into_an_empty_server(app: Postgres, keeper: Any) -> None:
    result = keeper.backup()
    stored = keeper.repository.files[result.snapshot].decode()
    empty = Postgres(app.programs)
    try:
        empty.psql(stored)
        assert empty.content("app")["app"] == app.content("app")["app"]
    finally:
        empty.stop()


def test_one_database_is_restored_by_name_and_what_it_replaces_is_kept(app: Postgres, keeper: Any) -> None:
    app.psql("CREATE DATABASE other STRATEGY file_copy")
    app.psql("CREATE TABLE mine AS SELECT 1 AS n", "other")
    keeper.backup()
    app.psql("DELETE FROM t", "app")
    app.psql("INSERT INTO mine VALUES (2)", "other")

    result = keeper.restore("app")

    (kept,) = result.outcome.kept
    assert (result.outcome.restored, kept.endswith("_app")) == (("app",), True)
    assert app.psql("SELECT id FROM t", "app") == "1\n2"
    assert app.psql("SELECT id FROM t", kept) == ""
    assert app.psql("SELECT n FROM mine", "other") == "1\n2"
    plan = keeper.approval.plans[-1]
    assert [text.partition(" (")[0] for text in plan.gives_up] == ["database app"]
    with pytest.raises(InvalidInput, match="no database nowhere"):
        keeper.restore("nowhere")
    keeper.approval.yes = False
    with pytest.raises(Refused, match="agreed"):
        keeper.restore("app")
    assert app.names() == ["app", kept, "other"]


def test_what_only_a_superuser_can_create_is_refused_with_the_flag_that_does_it(
    app: Postgres, keeper: Any
) -> None:
    app.psql(
        "CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
        "CREATE EVENT TRIGGER seen ON sql_drop EXECUTE FUNCTION watch()",
        "app",
    )
    before = app.content("app")
    keeper.backup()
    app.psql("DROP EVENT TRIGGER seen; DELETE FROM t", "app")

    with pytest.raises(Refused, match="only a superuser can create: event trigger seen") as caught:
        keeper.restore()

    assert "--as-superuser" in caught.value.hint
    keeper.restore(as_superuser=True)
    assert app.content("app") == before
    assert "restore.as_superuser" in keeper.reporter.warnings()


# --- who is let in ----------------------------------------------------------------------------------------


@pytest.fixture
def local_only() -> Iterator[Postgres]:
    """A server as Debian makes it: by the socket the superuser alone, from 127.0.0.1 with a password."""
    programs = postgres_kit.debian()
    assert programs is not None
    server = Postgres(programs, postgres_kit.BY_SOCKET_ALONE)
    server.psql("CREATE DATABASE app STRATEGY file_copy")
    server.psql("CREATE TABLE t AS SELECT 1 AS id", "app")
    yield server
    server.stop()


def test_the_role_that_loads_comes_in_by_whatever_door_is_open(local_only: Postgres, keep: Any) -> None:
    keeper = keep(local_only)
    keeper.options["secret_file"] = None
    keeper.backup()
    local_only.psql("DELETE FROM t", "app")

    keeper.restore()

    assert local_only.psql("SELECT id FROM t", "app") == "1"
    rules = Path(local_only.data) / "pg_hba.conf"
    rules.write_text(rules.read_text().replace("scram-sha-256", "reject"))
    local_only.psql("SELECT pg_reload_conf()")
    with pytest.raises(RunFailed, match="the server does not let it in") as caught:
        keeper.restore()
    assert caught.value.hint.startswith("pg_hba.conf must let it in by password")
    ours = "SELECT rolname FROM pg_roles WHERE rolname ~ '^hasteward'"
    assert (local_only.psql(ours), len(local_only.names())) == ("", 2)
    keeper.restore(as_superuser=True)


def test_who_cannot_see_everything_makes_no_backup(app: Postgres, keeper: Any, tmp_path: Path) -> None:
    app.psql("ALTER ROLE app PASSWORD 'not-a-secret'")
    (tmp_path / "clerk").write_text("not-a-secret")
    with pytest.raises(Refused, match="app is no superuser"):
        keeper.backup(db_user="app", secret_file=str(tmp_path / "clerk"))
    with pytest.raises(RunFailed, match="password authentication failed"):
        keeper.backup(secret_file=str(tmp_path / "clerk"))
    with pytest.raises(RunFailed, match="no password supplied"):
        keeper.backup(secret_file=None)
    assert [one for one in keeper.repository.listed if one.tags.type == "backup"] == []
    keeper.backup()
    with pytest.raises(Refused, match="app is no superuser, and only one can make"):
        keeper.restore(db_user="app", secret_file=str(tmp_path / "clerk"))


def test_the_password_is_in_no_argument(app: Postgres, keeper: Any) -> None:
    """W20: MariaDB's was, in all of them; and so in ``ps`` and in the audit log of the API server."""
    keeper.host = Noting(keeper.host)
    keeper.backup()
    keeper.restore()

    assert len(keeper.host.seen) > 20
    assert not [argv for argv in keeper.host.seen if any(standalone_kit.PASSWORD in word for word in argv)]
    assert standalone_kit.PASSWORD not in (app.folder / "log").read_text(errors="replace")


@dataclasses.dataclass
class Noting:
    """A host that notes what is run."""

    inner: Any
    seen: list[Sequence[str]] = dataclasses.field(default_factory=list)

    @contextmanager
    def run(self, host: Any, argv: Sequence[str], *, stall_seconds: float) -> Iterator[Any]:
        self.seen.append(argv)
        with self.inner.run(host, argv, stall_seconds=stall_seconds) as stream:
            yield stream

    def lock(self, host: Any) -> Any:
        return self.inner.lock(host)


# --- what must not be saved, or replaced ------------------------------------------------------------------


def test_a_server_as_it_was_made_is_no_backup(postgres: Postgres, keeper: Any) -> None:
    """L8Labs: an archive of nothing counted as a backup, because the program that made it said so."""
    with pytest.raises(Refused, match="no database of a user and not one table") as caught:
        keeper.backup()
    assert "whether its volume is mounted" in caught.value.hint
    assert keeper.repository.listed == []
    postgres.psql("CREATE TABLE t AS SELECT 1 AS n")
    assert keeper.backup().sections > 0
    postgres.psql("DROP TABLE t")


def test_a_role_that_exists_keeps_its_password_and_the_superuser_is_not_in_the_dump(
    app: Postgres, keeper: Any
) -> None:
    """borgmatic #1303 and its twin: a restored dump of everything took the root account's password away."""
    app.psql("ALTER ROLE app PASSWORD 'then'")
    saved = keeper.backup()
    app.psql("ALTER ROLE app PASSWORD 'now'")
    hashes = "SELECT rolname, rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL ORDER BY 1"
    before = app.psql(hashes)

    keeper.restore()

    assert app.psql(hashes) == before
    stored = keeper.repository.files[saved.snapshot].decode()
    assert re.findall(r"(?:CREATE|ALTER) ROLE (\S+)", stored) == ['"app";', '"app"']


def test_a_standby_is_refused(app: Postgres, keeper: Any) -> None:
    keeper.backup()
    (Path(app.data) / "standby.signal").touch()
    app.program("pg_ctl", "-D", app.data, "-m", "fast", "-w", "stop")
    app.start()
    try:
        with pytest.raises(Refused, match="is a standby, and nothing can be written to it"):
            keeper.restore()
        assert keeper.backup().sections > 0
        assert {"dump.sequences"} <= set(keeper.reporter.warnings())
    finally:
        app.program("pg_ctl", "-D", app.data, "promote", "-w")


def test_a_disk_that_is_too_small_is_refused_and_one_that_cannot_be_read_takes_force(
    app: Postgres, keeper: Any, tmp_path: Path
) -> None:
    keeper.backup()
    lines = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/x 9999 9000 999 91% /data"
    fake = tmp_path / "bin" / "df"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\necho '{lines}'\n")
    fake.chmod(0o755)
    *rest, path = app.prefix
    keeper.via = standalone_kit.HostRef((*rest, path.replace("PATH=", f"PATH={fake.parent}:")))
    with pytest.raises(Refused, match="has 999 KiB free; the restore needs"):
        keeper.restore()
    fake.write_text("#!/bin/sh\nexit 9\n")
    with pytest.raises(Refused, match="could not be read") as caught:
        keeper.restore()
    assert caught.value.code == "restore.space_unread"
    keeper.restore(force=True)
    assert any("FORCED past" in note for note in keeper.approval.plans[-1].notes)


def test_a_server_that_becomes_another_meanwhile_is_not_swapped(app: Postgres, keeper: Any) -> None:
    keeper.backup()
    app.psql("DELETE FROM t", "app")

    def become(argv: Sequence[str]) -> None:
        if any("hasteward_new" in word for word in argv):
            keeper.host.inner = Another(inner)

    inner = keeper.host
    keeper.host = Watched(inner, become)
    with pytest.raises(HastewardError, match="another database system answers now"):
        keeper.restore()
    assert (app.psql("SELECT id FROM t", "app"), app.names()) == ("", ["app"])


@dataclasses.dataclass
class Watched:
    """A host that tells what is run before it is."""

    inner: Any
    tell: Callable[[Sequence[str]], None]

    @contextmanager
    def run(self, host: Any, argv: Sequence[str], *, stall_seconds: float) -> Iterator[Any]:
        self.tell(argv)
        with self.inner.run(host, argv, stall_seconds=stall_seconds) as stream:
            yield stream

    def lock(self, host: Any) -> Any:
        return self.inner.lock(host)


@dataclasses.dataclass
class Another:
    """The same host, where the server has another identity."""

    inner: Any

    @contextmanager
    def run(self, host: Any, argv: Sequence[str], *, stall_seconds: float) -> Iterator[Any]:
        argv = [word.replace("system_identifier::text", "'1'::text") for word in argv]
        with self.inner.run(host, argv, stall_seconds=stall_seconds) as stream:
            yield stream
