"""Real servers for the folder, with content that is hard to carry."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import postgres_kit
import pytest
import standalone_kit

CONTENT = Path(__file__).with_name("content.sql")


@pytest.fixture(scope="package")
def mariadb() -> Iterator[Any]:
    """A server whose root has a password that is hard to quote."""
    # in memory: a server that makes and drops schemas waits for the disk most of the time
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="hsm-", dir=memory if os.access(memory, os.W_OK) else "/tmp"))
    server = standalone_kit.MariaDB(folder)
    try:
        server.start()
        word = standalone_kit.PASSWORD.replace("\\", "\\\\").replace("'", "''")
        server.sql(f"ALTER USER root@localhost IDENTIFIED BY '{word}'", password="")
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def shop(mariadb: Any) -> Iterator[Any]:
    """The server with two schemas of content and two accounts; empty again afterwards."""
    mariadb.sql(CONTENT.read_text(encoding="utf-8"))
    yield mariadb
    names = [name.replace("`", "``") for name in mariadb.schemas()]
    drops = [f"DROP DATABASE `{name}`;" for name in names]
    mariadb.sql("".join(drops) + "DROP USER IF EXISTS 'clerk'@'%'; DROP ROLE IF EXISTS reader;")


@pytest.fixture
def steward(mariadb: Any, tmp_path: Path) -> Any:
    """hasteward on that server, by way of a prefix."""
    secret = tmp_path / "secret"
    secret.write_text(standalone_kit.PASSWORD + "\n")
    return standalone_kit.Steward(
        standalone_kit.local(tmp_path / "locks"),
        standalone_kit.HostRef(mariadb.prefix),
        {"db_type": "mariadb", "secret_file": str(secret)},
    )


@pytest.fixture(scope="package")
def postgres() -> Iterator[Any]:
    """This machine's PostgreSQL, whose superuser has a password that is hard to quote."""
    programs = postgres_kit.debian()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    server = postgres_kit.Postgres(programs)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def keep(tmp_path: Path) -> Any:
    """Makes the hasteward of a PostgreSQL server."""

    def make(server: Any) -> Any:
        secret = tmp_path / "secret"
        secret.write_text(standalone_kit.PASSWORD + "\n")
        return standalone_kit.Steward(
            standalone_kit.local(tmp_path / "locks"),
            standalone_kit.HostRef(server.prefix),
            {"db_type": "postgres", "secret_file": str(secret)},
        )

    return make


@pytest.fixture
def clean(postgres: Any) -> Iterator[Any]:
    """This machine's PostgreSQL; empty again afterwards."""
    yield postgres
    postgres.wipe()


@pytest.fixture
def app(clean: Any) -> Any:
    """The same with one small database."""
    clean.psql(
        "CREATE ROLE app LOGIN; CREATE DATABASE app OWNER app STRATEGY file_copy;\n\\connect app\n"
        "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one'), (2, 'two');"
        "ALTER TABLE t OWNER TO app"
    )
    return clean


@pytest.fixture
def keeper(postgres: Any, keep: Any) -> Any:
    """hasteward on this machine's PostgreSQL."""
    return keep(postgres)
