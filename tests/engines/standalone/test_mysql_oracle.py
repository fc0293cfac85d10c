"""The same round trip on a real MySQL (`tools/fetch-mysql .tools/mysql` puts one there)."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import standalone_kit
from death_kit import GOOD, LAST_CALLS, die_everywhere
from local_servers import of_users

TOOLS = Path(__file__).parents[3] / ".tools" / "mysql"
pytestmark = [
    pytest.mark.servers,
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not (TOOLS / "bin" / "mysqld").exists(), reason="no MySQL: tools/fetch-mysql .tools/mysql"
    ),
]
CONTENT = r"""
CREATE DATABASE shop CHARACTER SET utf8mb4; USE shop;
CREATE TABLE customer (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(80) NOT NULL, doc JSON, picture BLOB);
CREATE TABLE sale (id INT PRIMARY KEY, customer INT, amount DECIMAL(12, 2),
  gross DECIMAL(12, 2) GENERATED ALWAYS AS (amount * 1.2) STORED, CHECK (amount > 0),
  CONSTRAINT belongs FOREIGN KEY (customer) REFERENCES customer (id));
CREATE TABLE history (what VARCHAR(200));
INSERT INTO customer (name, doc, picture)
  VALUES ('Ünï ''q'' \\ 🐘', '{"a": [1, 2]}', X'00FF0A27'), ('NULL', NULL, NULL);
INSERT INTO sale (id, customer, amount)
  WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 900)
  SELECT i, 1 + i % 2, i / 7 FROM n;
DELIMITER //
CREATE FUNCTION priced(x DECIMAL(12, 2)) RETURNS DECIMAL(12, 2) DETERMINISTIC RETURN x * 1.19//
CREATE PROCEDURE tidy() BEGIN DELETE FROM history; END//
CREATE TRIGGER noted AFTER INSERT ON sale FOR EACH ROW INSERT INTO history VALUES (CONCAT('; ', NEW.id))//
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2040-01-01 03:00:00' DO CALL tidy()//
DELIMITER ;
CREATE VIEW gross AS SELECT priced(s.amount) AS g, c.name FROM sale s JOIN customer c ON c.id = s.customer;
INSERT INTO sale (id, customer, amount) VALUES (5000, 1, 1);
CREATE ROLE reader; GRANT SELECT ON shop.* TO reader;
CREATE USER 'clerk'@'%' IDENTIFIED BY 'not-a-secret';
GRANT INSERT ON shop.* TO 'clerk'@'%'; GRANT reader TO 'clerk'@'%';
"""


class MySQL:
    """A real server; its clients come before MariaDB's, which are not to be found on its path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "bin"
        self.path.mkdir()
        for program in (TOOLS / "bin").iterdir():
            (self.path / program.name).symlink_to(program)
        for place in ("/usr/bin", "/bin"):
            for program in Path(place).iterdir():
                ours = self.path / program.name
                if not program.name.startswith(("mysql", "mariadb")) and not ours.exists():
                    ours.symlink_to(program)
        self.socket = folder / "s"
        (folder / ".my.cnf").write_text(f"[client]\nsocket={self.socket}\n")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def prefix(self) -> tuple[str, ...]:
        return ("env", f"HOME={self.folder}", f"PATH={self.path}")

    def start(self) -> None:
        root = TOOLS / "root" / "usr"
        words = [str(TOOLS / "bin" / "mysqld"), "--no-defaults", f"--datadir={self.folder / 'data'}"]
        words += [
            f"--lc-messages-dir={root}/share/mysql",
            f"--character-sets-dir={root}/share/mysql/charsets",
        ]
        words += [f"--user={'root' if os.getuid() == 0 else os.environ['USER']}", "--secure-file-priv=NULL"]
        with (self.folder / "log").open("wb") as log:
            subprocess.run([*words, "--initialize-insecure"], stdout=log, stderr=log, check=True, timeout=200)
            more = [
                "--skip-networking",
                "--mysqlx=OFF",
                f"--socket={self.socket}",
                "--performance-schema=OFF",
            ]
            more += [f"--pid-file={self.folder / 'pid'}", f"--plugin-dir={root}/lib/mysql/plugin"]
            self.process = subprocess.Popen([*words, *more], stdout=log, stderr=log)
        deadline = time.monotonic() + 120
        while not self.socket.exists() and time.monotonic() < deadline:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.1)

    def run(
        self, program: str, *options: str, text: str = "", password: str = standalone_kit.PASSWORD
    ) -> str:
        done = subprocess.run(
            [str(TOOLS / "bin" / program), "--no-defaults", "-uroot", f"--socket={self.socket}", *options],
            input=text.encode("utf-8", "surrogateescape"),
            capture_output=True,
            env=dict(os.environ) | {"MYSQL_PWD": password},
            check=False,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.decode("utf-8", "backslashreplace")

    def sql(self, text: str) -> str:
        return self.run("mysql", "--default-character-set=utf8mb4", "-NB", text=text)

    def content(self, *schemas: str) -> str:
        options = ["--skip-dump-date", "--routines", "--events", "--triggers", "--set-gtid-purged=OFF"]
        return self.run("mysqldump", *options, "--databases", *schemas)

    def schemas(self) -> list[str]:
        """All but the server's own."""
        return of_users(self.sql("SHOW DATABASES"))


@pytest.fixture(scope="module")
def mysql() -> Iterator[MySQL]:
    folder = Path(tempfile.mkdtemp(prefix="hso-", dir="/tmp"))
    server = MySQL(folder)
    try:
        server.start()
        word = standalone_kit.PASSWORD.replace("\\", "\\\\").replace("'", "''")
        server.run("mysql", text=f"ALTER USER root@localhost IDENTIFIED BY '{word}'", password="")
        yield server
    finally:
        if server.process is not None:
            server.process.kill()
            server.process.wait()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def steward(mysql: MySQL, tmp_path: Path) -> Any:
    """hasteward on that server, which is empty again afterwards."""
    secret = tmp_path / "secret"
    secret.write_text(standalone_kit.PASSWORD)
    yield standalone_kit.Steward(
        standalone_kit.local(tmp_path / "locks"),
        standalone_kit.HostRef(mysql.prefix),
        {"db_type": "mysql", "secret_file": str(secret)},
    )
    mysql.sql("".join(f"DROP DATABASE `{name}`;" for name in mysql.schemas()))


def test_everything_comes_back_on_mysql(mysql: MySQL, steward: Any) -> None:
    grants = "SHOW GRANTS FOR 'clerk'@'%'; SHOW GRANTS FOR reader; SHOW CREATE USER 'clerk'@'%'"
    mysql.sql(CONTENT)
    before, granted = mysql.content("shop"), mysql.sql(grants)
    result = steward.backup()
    mysql.sql(
        "USE shop; DELETE FROM sale; DROP TRIGGER noted; DROP VIEW gross; CREATE TABLE later (n INT);"
        "DROP USER 'clerk'@'%'; DROP ROLE reader"
    )
    spoilt = mysql.content("shop")

    done = steward.restore()

    assert mysql.content("shop") == before != spoilt
    assert mysql.sql(grants) == granted
    assert (done.outcome.restored, done.outcome.kept) == (("shop",), ("hasteward_old_20260102T030605Z_shop",))
    assert steward.undo(steward.last).undone == ("schema shop is what it was before",)
    assert mysql.content("shop") == spoilt
    mysql.sql("DROP DATABASE shop; DROP USER 'clerk'@'%'; DROP ROLE reader")
    stored = steward.repository.files[result.snapshot].decode("utf-8", "surrogateescape")
    mysql.run("mysql", "--binary-mode", text=stored)
    assert mysql.content("shop") == before


@pytest.mark.timeout(1800)
def test_dying_at_any_act_of_the_swap_leaves_old_or_new(mysql: MySQL, steward: Any) -> None:
    """MySQL renames no view, trigger or routine into another schema, so there is more in between."""
    mysql.sql(GOOD)

    found = die_everywhere(mysql, steward, lambda count: range(count - LAST_CALLS, count + 1))

    assert found == {"old", "new"}
