"""A MariaDB per test file, with content that is hard to carry."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_spec = importlib.util.spec_from_file_location(
    "standalone_kit", Path(__file__).with_name("standalone_kit.py")
)
assert _spec is not None
assert _spec.loader is not None
standalone_kit = importlib.util.module_from_spec(_spec)
sys.modules["standalone_kit"] = standalone_kit
_spec.loader.exec_module(standalone_kit)

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
