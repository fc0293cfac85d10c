"""The commands as a person types them, on a plain server and a directory: secrets, death, bad input."""

from __future__ import annotations

import json
import os
import random
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import standalone_kit

from hasteward_lab import canaries

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]
TOOLS = Path(__file__).parents[3] / ".tools" / "bin"


class Tool:
    """The command line with a home, a repository and a server's password of its own."""

    def __init__(self, folder: Path, prefix: tuple[str, ...], word: str) -> None:
        self.folder = folder
        for name in ("home", "tmp"):
            (folder / name).mkdir()
        for name, content in (("password", f"canary-{secrets.token_hex(8)}"), ("word", word)):
            (folder / name).touch(mode=0o600)
            (folder / name).write_text(content)
        self.given = (folder / "password", folder / "word")
        self.where = ("-e", "standalone", "-n", "here", "-c", "shop-db", "--via", " ".join(prefix))
        self.server = (*self.where, "--db-type", "mariadb", "--secret-file", str(folder / "word"))
        self.environment = {
            "PATH": f"{TOOLS}:{os.environ['PATH']}",
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "HASTEWARD_BACKUPS_PATH": str(folder / "repository"),
            "RESTIC_PASSWORD_FILE": str(folder / "password"),
        }

    def start(self, *argv: str) -> subprocess.Popen[str]:
        """Begin a command."""
        return subprocess.Popen(
            [sys.executable, "-m", "hasteward.cli.main", *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
            cwd=self.folder,
        )

    def run(self, *argv: str, status: int = 0) -> tuple[str, str]:
        """Run a command that must end with `status`; its answer, and what it said beside."""
        process = self.start(*argv)
        out, err = process.communicate(timeout=150)
        assert process.returncode == status, f"{argv}: {process.returncode}: {out}{err}"
        return out, err


@pytest.fixture
def word(shop: Any) -> Iterator[str]:
    """A password for root that nobody else on this machine uses."""
    made = f"canary-{secrets.token_hex(8)}"
    shop.sql(f"ALTER USER root@localhost IDENTIFIED BY '{made}'")
    yield made
    old = standalone_kit.PASSWORD.replace("\\", "\\\\").replace("'", "''")
    shop.sql(f"ALTER USER root@localhost IDENTIFIED BY '{old}'", password=made)


@pytest.fixture
def tool(shop: Any, word: str, tmp_path: Path) -> Tool:
    made = Tool(tmp_path, shop.prefix, word)
    made.run("init")
    return made


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
        said = [*tool.run("backup", *tool.server, *forms)]
        said += tool.run("restore", *tool.server, "--database", "shop", "--dry-run", "-v")
        said += tool.run("restore", *tool.server, "--database", "shop", "--yes", "-v")
        said += tool.run("export", *tool.where, "--db-type", "mariadb", "-o", "/dev/null", "--force", "-v")
        badly = (*tool.where, "--db-type", "mariadb", "--secret-file", str(tool.folder / "wrong"))
        said += tool.run("backup", *badly, "-v", status=1)
        said += tool.run("triage", *tool.server, "-v", status=3)

    assert watch.hits == set()
    assert watch.programs & {"mariadb-dump", "mariadb"}, "the watch saw the clients"
    assert canaries.in_text(birds, "".join(said), "what was said") == []
    assert canaries.in_files(birds, tool.folder, (*tool.given, tool.folder / "wrong")) == []


def killed(count: int, shop: Any, tool: Tool, word: str) -> None:
    """Killed at random moments: a backup is proven or not there, a restore is ended by the next one."""
    sums = "CHECKSUM TABLE shop.customer EXTENDED"
    saved = shop.sql(sums, password=word)
    command = ("restore", *tool.server, "--database", "shop", "--yes", "--no-keep-old")
    spans = {}
    for name, argv in (("backup", ("backup", *tool.server)), ("restore", command)):
        begun = time.monotonic()
        tool.run(*argv)
        spans[name] = time.monotonic() - begun
    dice = random.Random(20261125)  # noqa: S311  moments, not secrets
    for _ in range(count):
        process = tool.start("backup", *tool.server)
        time.sleep(dice.uniform(0.2, 1.05) * spans["backup"])
        process.kill()
        process.communicate()
        listed = json.loads(tool.run("get", "backups", "--output", "json")[0])["data"]["backups"]
        assert all(entry["proven"] for entry in listed)
        shop.sql("UPDATE customer SET note = 'damaged'", "shop", password=word)
        damaged = shop.sql(sums, password=word)
        process = tool.start(*command)
        time.sleep(dice.uniform(0.3, 1.05) * spans["restore"])
        process.kill()
        process.communicate()
        tool.run(*command)
        assert shop.sql(sums, password=word) == saved != damaged
    tool.run("backup", *tool.server)


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
        tool.run("backup", *tool.server)
    before = shop.sql("SHOW DATABASES; CHECKSUM TABLE shop.customer", password=word)
    stored = sorted(str(path) for path in (tool.folder / "repository").rglob("*"))

    command = ("restore", *tool.server, "--yes") if restore else ("backup", *tool.server)
    real = "".join(tool.run(*command, *flags, status=status))
    dry = "".join(tool.run(*command, *flags, "--dry-run", status=status))

    assert words in real
    assert words in dry
    assert "Traceback" not in real + dry
    assert sorted(str(path) for path in (tool.folder / "repository").rglob("*")) == stored
    assert shop.sql("SHOW DATABASES; CHECKSUM TABLE shop.customer", password=word) == before
