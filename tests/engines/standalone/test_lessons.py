"""Lessons about bare databases that others paid for, each under its number, on real servers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import standalone_kit
from postgres_kit import Postgres

pytestmark = pytest.mark.servers

#: what a place must have beside the clients themselves
TOOLS = (
    "sh",
    "cat",
    "tee",
    "b2sum",
    "nice",
    "sleep",
    "env",
    "grep",
    "sed",
    "tr",
    "head",
    "df",
    "readlink",
    "true",
)


@pytest.mark.parametrize("names", [("mariadb", "mariadb-dump"), ("mysql", "mysqldump")])
def test_l64_the_clients_are_found_by_their_old_and_by_their_new_names(
    mariadb: Any, steward: Any, tmp_path: Path, names: tuple[str, str]
) -> None:
    """MariaDB 11 left the old names out of its image, and a tool that knew only those stood still."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for tool in TOOLS:
        (programs / tool).symlink_to(str(shutil.which(tool)))
    for name, real in zip(names, ("mariadb", "mariadb-dump"), strict=True):
        (programs / name).symlink_to(str(shutil.which(real)))
    mariadb.sql("CREATE DATABASE tiny; CREATE TABLE tiny.t AS SELECT 1 AS n")
    steward.via = standalone_kit.HostRef((*mariadb.prefix, f"PATH={programs}"))

    assert steward.backup().sections > 0
    mariadb.sql("DROP DATABASE tiny")
    assert steward.restore("tiny").outcome.restored == ("tiny",)
    mariadb.sql("DROP DATABASE tiny")


def test_l55_no_word_of_ours_is_read_by_a_shell_on_its_way(app: Postgres, keeper: Any) -> None:
    """Arguments joined into a line of shell lost the parentheses of the SQL in them, or ran them."""
    name = "x(y); $(false) `false` \"q\" 'p' & * ~"
    quoted = name.replace('"', '""')
    app.psql(f'ALTER DATABASE app RENAME TO "{quoted}"')
    keeper.backup()
    app.psql("DELETE FROM t", name)

    assert keeper.restore(name).outcome.restored == (name,)

    assert app.psql("SELECT id FROM t ORDER BY id", name) == "1\n2"
