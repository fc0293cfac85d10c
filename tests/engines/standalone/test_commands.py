"""The commands as a person types them, on a plain server and a directory: secrets, death, bad input."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import standalone_kit

from hasteward_lab import canaries
from hasteward_lab.conformance import Hasteward

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]


@dataclass(slots=True)
class Tool(Hasteward):
    """The command line with a server's password of its own."""

    prefix: tuple[str, ...] = ()

    @property
    def where(self) -> tuple[str, ...]:
        return ("-e", "standalone", "-n", "here", "-c", "shop-db", "--via", " ".join(self.prefix))

    @property
    def server(self) -> tuple[str, ...]:
        return (*self.where, "--db-type", "mariadb", "--secret-file", str(self.folder / "word"))


@pytest.fixture
def word(shop: Any) -> Iterator[str]:
    """A password for root that nobody else on this machine uses."""
    made = f"canary-{secrets.token_hex(8)}"
    shop.sql(f"ALTER USER root@localhost IDENTIFIED BY '{made}'")
    yield made
    old = standalone_kit.PASSWORD.replace("\\", "\\\\").replace("'", "''")
    shop.sql(f"ALTER USER root@localhost IDENTIFIED BY '{old}'", password=made)


@pytest.fixture
def tool(shop: Any, word: str, tmp_path: Path) -> Iterator[Tool]:
    with Tool.at(tmp_path, password=f"canary-{secrets.token_hex(8)}") as made:
        made.prefix = shop.prefix
        (tmp_path / "word").write_text(word)
        (tmp_path / "word").chmod(0o600)
        made.told("init")
        yield made


def test_no_command_shows_or_leaves_a_secret(shop: Any, tool: Tool, word: str) -> None:
    shop.sql(
        f"CREATE TABLE birds AS SELECT '{(row := f'canary-{secrets.token_hex(8)}')}' AS bird",
        "shop",
        password=word,
    )
    birds = {"word": word, "password": (tool.folder / "password").read_text(), "row": row}
    (tool.folder / "wrong").write_text(wrong := f"canary-{secrets.token_hex(8)}")
    birds["wrong"] = wrong
    forms = ("--output", "json", "--log-format", "json", "-v", "--report", str(tool.folder / "report"))
    with canaries.Watch(birds) as watch:
        said = [*tool.told("backup", *tool.server, *forms)]
        said += tool.told("restore", *tool.server, "--database", "shop", "--dry-run", "-v")
        said += tool.told("restore", *tool.server, "--database", "shop", "--yes", "-v")
        said += tool.told("export", *tool.where, "--db-type", "mariadb", "-o", "/dev/null", "--force", "-v")
        badly = (*tool.where, "--db-type", "mariadb", "--secret-file", str(tool.folder / "wrong"))
        said += tool.told("backup", *badly, "-v", status=1)
        said += tool.told("triage", *tool.server, "-v", status=3)

    assert watch.hits == set()
    assert watch.programs & {"mariadb-dump", "mariadb"}, "the watch saw the clients"
    assert canaries.in_text(birds, "".join(said), "what was said") == []
    given = [tool.folder / name for name in ("password", "word", "wrong")]
    assert canaries.in_files(birds, tool.folder, given) == []


def killed(count: int, shop: Any, tool: Tool, word: str) -> None:
    """Killed at random moments: a backup is proven or not there, a restore is ended by the next one."""
    sums = "CHECKSUM TABLE shop.customer EXTENDED"
    saved = shop.sql(sums, password=word)
    command = ("restore", *tool.server, "--database", "shop", "--yes", "--no-keep-old")
    spans = {}
    for name, argv in (("backup", ("backup", *tool.server)), ("restore", command)):
        begun = time.monotonic()
        tool.told(*argv)
        spans[name] = time.monotonic() - begun
    dice = random.Random(20261125)  # noqa: S311  moments, not secrets
    for _ in range(count):
        tool.killed("backup", *tool.server, after=dice.uniform(0.2, 1.05) * spans["backup"])
        assert all(entry["proven"] for entry in tool.backups())
        shop.sql("UPDATE customer SET note = 'damaged'", "shop", password=word)
        damaged = shop.sql(sums, password=word)
        tool.killed(*command, after=dice.uniform(0.3, 1.05) * spans["restore"])
        tool.told(*command)
        assert shop.sql(sums, password=word) == saved != damaged
    tool.told("backup", *tool.server)


def test_a_backup_and_a_restore_killed_at_random_moments_leave_no_lie_and_no_half(
    shop: Any, tool: Tool, word: str
) -> None:
    killed(1, shop, tool, word)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_backups_and_restores_killed_at_many_random_moments_leave_no_lie_and_no_half(
    shop: Any, tool: Tool, word: str
) -> None:
    killed(20, shop, tool, word)


#: what is wrong, how the command ends, and what it says
BAD = {
    "no such kind": (("--db-type", "oracle"), 3, "oracle"),
    "no such password file": (("--secret-file", "/nope"), 3, "/nope"),
    "a user that is not there": (("--db-user", "nobody"), 1, "Access denied"),
    "a place that is not there": (("--via", "/nope/exec"), 4, "/nope/exec"),
    "unknown flag": (("--nope",), 2, "nope"),
    "no repository": (("--backups-path", "/nope/at/all"), 10, "/nope/at/all"),
    "no such snapshot": (("--snapshot", "deadbeef"), 3, "deadbeef"),
    "no such schema": (("--database", "nope"), 3, "nope"),
}
QUICK = ("no such kind", "a user that is not there", "no such schema")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.long) for name in BAD]
)
def test_bad_input_is_one_clear_error_and_touches_nothing(
    shop: Any, tool: Tool, word: str, name: str
) -> None:
    flags, status, words = BAD[name]
    restore = name.startswith("no such s")
    if restore:
        tool.told("backup", *tool.server)
    before = shop.sql("SHOW DATABASES; CHECKSUM TABLE shop.customer", password=word)
    stored = sorted(str(path) for path in (tool.folder / "repository").rglob("*"))

    command = ("restore", *tool.server, "--yes") if restore else ("backup", *tool.server)
    real = "".join(tool.told(*command, *flags, status=status))
    dry = "".join(tool.told(*command, *flags, "--dry-run", status=status))

    assert words in real
    assert words in dry
    assert "Traceback" not in real + dry
    assert sorted(str(path) for path in (tool.folder / "repository").rglob("*")) == stored
    assert shop.sql("SHOW DATABASES; CHECKSUM TABLE shop.customer", password=word) == before
