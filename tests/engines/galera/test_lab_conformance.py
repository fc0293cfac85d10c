# ruff: noqa: S608 - statements of a test
"""What every engine must keep on real servers, kept by galera on three of MariaDB."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Self

import pytest

from hasteward_lab.conformance import LabConformance, Site
from hasteward_lab.mariadb import hand

pytestmark = [pytest.mark.servers, pytest.mark.timeout(1200)]

SHOP = """
CREATE DATABASE shop CHARACTER SET utf8mb4;
CREATE TABLE shop.item (n INT PRIMARY KEY AUTO_INCREMENT, word VARCHAR(40));
CREATE TABLE shop.log (n INT PRIMARY KEY);
CREATE TABLE shop.price (n INT PRIMARY KEY, amount INT) WITH SYSTEM VERSIONING;
CREATE SEQUENCE shop.ticket INCREMENT BY 0;
CREATE TRIGGER shop.noted AFTER INSERT ON shop.item FOR EACH ROW INSERT INTO shop.log VALUES (NEW.n);
CREATE VIEW shop.v AS SELECT COUNT(*) AS c FROM shop.item;
CREATE PROCEDURE shop.p() SELECT 1;
INSERT INTO shop.item (word) VALUES ('a'), ('\N{HOT BEVERAGE}'); INSERT INTO shop.price VALUES (1, 2);
CREATE DATABASE other; CREATE TABLE other.t (n INT PRIMARY KEY); INSERT INTO other.t VALUES (7);
CREATE USER clerk@'%' IDENTIFIED BY 'open'; GRANT SELECT ON shop.* TO clerk@'%';
CREATE DATABASE ledger; CREATE TABLE ledger.l (n INT PRIMARY KEY);
"""
#: by checksum; of a versioned table the server counts the moments in, and a restore makes new ones
CONTENT = (
    "CHECKSUM TABLE shop.item, shop.log, other.t; SELECT * FROM shop.price; SHOW CREATE SEQUENCE shop.ticket;"
    "SELECT * FROM shop.v; SHOW CREATE PROCEDURE shop.p;"
    "SELECT PRIVILEGE_TYPE, TABLE_SCHEMA FROM information_schema.SCHEMA_PRIVILEGES"
    " WHERE GRANTEE LIKE '%clerk%'"
)
LOGIN = ["mariadb", "-uclerk", "-popen", "-h127.0.0.1", "-NBe", "SELECT c FROM shop.v"]


class GaleraSite(Site):
    engine = "galera"
    where = ("-e", "galera", "-c", "db", "-n", "db")
    # the roles that are shipped know nothing of MariaDB's kinds
    context = "admin"
    part = ("--database", "shop", "--database", "other")

    @classmethod
    @contextmanager
    def up(cls) -> Iterator[Self]:
        with hand.well() as lab:
            lab.mariadb("db-0", SHOP)
            yield cls(lab)

    def content(self) -> Mapping[str, Any]:
        return {
            pod: (self.lab.mariadb(pod, CONTENT), self.lab.exec(pod, LOGIN).stdout.decode())
            for pod in self.lab.pods
        }

    def damage(self) -> None:
        sql = "DELETE FROM shop.item WHERE n > 1; DELETE FROM shop.log; UPDATE other.t SET n = 9;"
        self.lab.mariadb("db-2", sql + "DROP USER IF EXISTS clerk@'%'")

    def commit(self, number: int) -> None:
        self.lab.mariadb("db-1", f"INSERT INTO ledger.l VALUES ({number})")

    def committed(self) -> Mapping[str, frozenset[int]]:
        found = {pod: self.lab.mariadb(pod, "SELECT n FROM ledger.l") for pod in self.lab.pods}
        return {pod: frozenset(map(int, said.split())) for pod, said in found.items()}

    def settle(self) -> None:
        hand.healthy(self.lab, 120)
        # a member answers with what it has applied, and it waits until that is all there is
        for pod in self.lab.pods:
            self.lab.mariadb(pod, "SET SESSION wsrep_sync_wait = 1; SELECT COUNT(*) FROM ledger.l")

    def tidy(self) -> None:
        names = "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE 'hasteward%'"
        for name in self.lab.mariadb("db-0", names).split():
            self.lab.mariadb("db-0", f"DROP DATABASE `{name}`")


@contextmanager
def member_down(site: GaleraSite) -> Iterator[GaleraSite]:
    """A member that was stopped, and an operator that is away."""
    site.lab.operator_down()
    site.lab.stop("db-2")
    try:
        yield site
    finally:
        site.lab.start("db-2")
        site.lab.operator_up()


class TestGalera(LabConformance):
    subject = GaleraSite
    troubles = MappingProxyType({"member-down": member_down})

    def test_the_members_agree_on_the_checksums_of_what_was_restored(self, journey: Any) -> None:
        """W7, mariadb-operator #1757: said by the restore itself, which looked at every member."""
        assert "db-0, db-1, db-2 agree on the checksums of 5 tables" in journey.answer["data"]["checks"]
