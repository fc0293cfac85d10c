# ruff: noqa: S608 - statements of a test
"""Three real Galera members in the lab with a shop in them, and hasteward in front of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hasteward_lab import conformance
from hasteward_lab.conformance import Hasteward
from hasteward_lab.lab import Lab
from hasteward_lab.mariadb import hand
from hasteward_lab.state import LabError

MEMBERS = ("db-0", "db-1", "db-2")
SHOP = (
    "CREATE DATABASE shop CHARACTER SET utf8mb4;"
    "CREATE TABLE shop.item (n INT PRIMARY KEY AUTO_INCREMENT, word VARCHAR(40));"
    "CREATE TABLE shop.log (n INT PRIMARY KEY);"
    "CREATE TABLE shop.price (n INT PRIMARY KEY, amount INT) WITH SYSTEM VERSIONING;"
    "CREATE SEQUENCE shop.ticket INCREMENT BY 0;"
    "CREATE TRIGGER shop.noted AFTER INSERT ON shop.item FOR EACH ROW INSERT INTO shop.log VALUES (NEW.n);"
    "CREATE VIEW shop.v AS SELECT COUNT(*) AS c FROM shop.item;"
    "CREATE PROCEDURE shop.p() SELECT 1;"
    "INSERT INTO shop.item (word) VALUES ('a'), ('\N{HOT BEVERAGE}'); INSERT INTO shop.price VALUES (1, 2);"
    "CREATE DATABASE other; CREATE TABLE other.t (n INT PRIMARY KEY); INSERT INTO other.t VALUES (7);"
    "CREATE USER clerk@'%' IDENTIFIED BY 'open'; GRANT SELECT ON shop.* TO clerk@'%';"
)
#: by checksum; of a versioned table the server counts the moments in, and a restore makes new ones
_CONTENT = (
    "CHECKSUM TABLE shop.item, shop.log, other.t; SELECT * FROM shop.price; SHOW CREATE SEQUENCE shop.ticket;"
    "SELECT * FROM shop.v; SHOW CREATE PROCEDURE shop.p; SHOW GRANTS FOR clerk"
)


LOGIN = ["mariadb", "-uclerk", "-popen", "-h127.0.0.1", "-NBe", "SELECT c FROM shop.v"]


class Site(conformance.Site):
    """A lab, and with a folder hasteward in front of it."""

    engine = "galera"
    where = ("-e", "galera", "-c", "db", "-n", "db")
    part = ("--database", "shop", "--database", "other")
    # one RENAME per schema
    one_act = False

    def __init__(self, lab: Lab, folder: Path | None = None, patience: float = 200) -> None:
        super().__init__(lab)
        self.tool = Hasteward.on(lab, folder, context=self.context) if folder else None
        if self.tool:
            self.tool.patience = patience

    def sql(self, pod: str, text: str) -> str:
        script = "MYSQL_PWD=$MARIADB_ROOT_PASSWORD exec mariadb -uroot -NB --default-character-set=utf8mb4"
        done = self.lab.exec(pod, ["sh", "-c", script], text.encode())
        if done.returncode:
            raise LabError(done.stderr.decode(errors="replace"))
        return done.stdout.decode()

    def hasteward(
        self, *words: str, status: int = 0, role: str = "repair", cluster: str = "db"
    ) -> dict[str, Any]:
        """Run a command with the rights of one of the service accounts that are shipped."""
        assert self.tool is not None
        whom = () if words[0] == "init" else ("-e", "galera", "-c", cluster, "-n", "db")
        return self.tool.answer(*words, *whom, status=status, HASTEWARD_CONTEXT=role)

    def fill(self) -> None:
        self.sql("db-0", SHOP + "CREATE DATABASE ledger; CREATE TABLE ledger.l (n INT PRIMARY KEY)")

    def held(self, pod: str) -> str:
        """Every table, and what a view, a routine, a sequence and an account are."""
        return self.sql(pod, _CONTENT)

    def content(self) -> Mapping[str, Any]:
        return {pod: (self.held(pod), self.lab.exec(pod, LOGIN).stdout.decode()) for pod in MEMBERS}

    def damage(self) -> None:
        self.sql("db-2", "DELETE FROM shop.item WHERE n > 1; DELETE FROM shop.log; UPDATE other.t SET n = 9")

    def commit(self, number: int) -> None:
        self.sql("db-1", f"INSERT INTO ledger.l VALUES ({number})")

    def committed(self) -> Mapping[str, frozenset[int]]:
        found = {pod: self.sql(pod, "SELECT n FROM ledger.l") for pod in MEMBERS}
        return {pod: frozenset(map(int, said.split())) for pod, said in found.items()}

    def settle(self) -> None:
        hand.healthy(self.lab, 120)
        # a member answers with what it has applied, and it waits until that is all there is
        for pod in MEMBERS:
            self.sql(pod, "SET SESSION wsrep_sync_wait = 1; SELECT COUNT(*) FROM ledger.l")

    def tidy(self) -> None:
        names = "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE 'hasteward%'"
        for name in self.sql("db-0", names).split():
            self.sql("db-0", f"DROP DATABASE `{name}`")


__all__ = ["LOGIN", "MEMBERS", "SHOP", "Site"]
