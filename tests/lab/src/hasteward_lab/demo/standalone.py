"""A plain MariaDB on this machine and a directory beside it: no Kubernetes, no operator."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from pathlib import Path

from hasteward_lab.demo.play import repository
from hasteward_lab.demo.stage import Stage
from hasteward_lab.programs import MissingError
from hasteward_lab.state import LabError

FILES = ("shop-mariadb.sql",)
_PATIENCE = 60.0


def tell(stage: Stage, name: str) -> None:
    """The whole story; the name of a lab is not needed."""
    del name
    stage.say("A real MariaDB server on this machine, and the word before every command that leads to it.")
    _server(stage)
    repository(stage, HASTEWARD_VIA=f"env HOME={stage.folder}")
    where = ("-e", "standalone", "-n", "office", "-c", "shop-db")
    shop = (*where, "--db-type", "mariadb", "--secret-file", "root-password")
    stage.run("hasteward", "init")
    stage.say("A backup with mariadb-dump, section by section, each proven beside the server.")
    stage.run("hasteward", "backup", *shop)
    before = _sums(stage)
    stage.say("The accident.")
    _sql(stage, "DROP TABLE shop.orders; UPDATE shop.customers SET name = 'oops'")
    if _sums(stage) == before:
        raise LabError("the accident changed nothing")
    stage.say("The way back: loaded beside, checked, swapped by RENAME TABLE; the old schema stays.")
    stage.run("hasteward", "restore", *shop, "--dry-run")
    stage.run("hasteward", "restore", *shop, "--yes")
    if _sums(stage) != before:
        raise LabError("the restored data is not what was backed up")
    stage.say("Equal: every checksum is that from before the accident. The stored file is plain SQL:")
    stage.run("hasteward", "export", *shop, "--snapshot", "latest", "-o", "shop.sql.gz")
    _a_directory(stage)


def _a_directory(stage: Stage) -> None:
    stage.say("A directory goes the same way.")
    wiki = stage.folder / "wiki"
    wiki.mkdir()
    (wiki / "home.md").write_text("# Home\n", encoding="utf-8")
    where = ("-e", "standalone", "-n", "office", "-c", "wiki", "--db-type", "files", "--path", str(wiki))
    stage.run("hasteward", "backup", *where)
    stage.run("rm", "wiki/home.md")
    stage.run("hasteward", "restore", *where, "--yes")
    stage.run("cat", "wiki/home.md")
    stage.run("hasteward", "get", "backups")


def _server(stage: Stage) -> None:
    """A server of its own: its data and socket in the folder, a password for root in a file."""
    folder = stage.folder
    program = shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise MissingError("the demo needs a MariaDB server: install the package mariadb-server-core")
    (folder / ".my.cnf").write_text(f"[client]\nsocket={folder}/s\n", encoding="utf-8")
    password = secrets.token_hex(8)
    (folder / "root-password").touch(mode=0o600)
    (folder / "root-password").write_text(password, encoding="ascii")
    whose = f"--user={_me()}"
    data = f"--datadir={folder}/data"
    stage.quietly(
        "mariadb-install-db",
        "--no-defaults",
        data,
        "--skip-test-db",
        whose,
        "--auth-root-authentication-method=normal",
    )
    options = ("--skip-networking", "--innodb-buffer-pool-size=32M", "--performance-schema=OFF")
    stage.start(program, "--no-defaults", data, f"--socket={folder}/s", whose, *options)
    _wait_for(folder / "s")
    setup = f"ALTER USER root@localhost IDENTIFIED BY '{password}'"
    _client(folder, setup, "")
    _client(folder, (folder / "shop-mariadb.sql").read_text(encoding="utf-8"), password)


def _me() -> str:
    return "root" if os.getuid() == 0 else os.environ["USER"]


def _wait_for(socket: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not socket.exists():
        if time.monotonic() > deadline:
            raise LabError(f"the server has not made {socket}")
        time.sleep(0.05)


def _client(folder: Path, sql: str, password: str) -> str:
    words = ["mariadb", "--no-defaults", "-uroot", f"--socket={folder}/s", "-NB"]
    environment = os.environ | {"MYSQL_PWD": password}
    done = subprocess.run(
        words, input=sql, capture_output=True, text=True, env=environment, check=False, timeout=_PATIENCE
    )
    if done.returncode:
        raise LabError(f"mariadb: {done.stderr.strip()}")
    return done.stdout


def _sql(stage: Stage, sql: str) -> str:
    stage.show(f'mariadb -uroot -p -e "{sql}"')
    password = (stage.folder / "root-password").read_text(encoding="ascii")
    return _client(stage.folder, sql, password)


def _sums(stage: Stage) -> str:
    return _sql(stage, "CHECKSUM TABLE shop.customers, shop.orders")
