# ruff: noqa: S608 - statements of a test
"""A gigabyte in a cluster of three, by content, while somebody writes all the while."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from galera_site import LOGIN, MEMBERS, Site

from hasteward_lab.conformance import Ledger
from hasteward_lab.mariadb import hand

pytestmark = [pytest.mark.servers, pytest.mark.long, pytest.mark.timeout(7200)]

MEGABYTES = 1000
TABLES = ("big.a", "big.b", "big.c", "big.d")
#: a row of some 420 bytes; in parts, because a transaction is one write-set
ROW_BYTES, PART = 420, 25_000


def fill(site: Site, megabytes: int) -> None:
    site.sql("db-0", "CREATE DATABASE big CHARACTER SET utf8mb4")
    rows = megabytes * 1_000_000 // ROW_BYTES // len(TABLES)
    for table in TABLES:
        site.sql("db-0", f"CREATE TABLE {table} (n BIGINT PRIMARY KEY, a CHAR(34), b VARCHAR(400))")
        for first in range(1, rows, PART):
            last = min(rows, first + PART - 1)
            row = "seq, CONCAT('\N{HOT BEVERAGE}', MD5(seq)), CONCAT(MD5(-seq), REPEAT(MD5(seq MOD 997), 10))"
            site.sql("db-0", f"USE big; INSERT INTO {table} SELECT {row} FROM seq_{first}_to_{last}")


def content(site: Site) -> list[str]:
    """What each member holds, once it has applied all that the others have told it."""
    sums = f"SET SESSION wsrep_sync_wait = 15; CHECKSUM TABLE {', '.join(TABLES)}"
    # when they were made is another moment on every member
    more = (
        "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE, ACTION_STATEMENT FROM information_schema.TRIGGERS"
        " WHERE TRIGGER_SCHEMA = 'shop'; SELECT EVENT_NAME, EVENT_DEFINITION, INTERVAL_VALUE"
        " FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'shop'; SELECT ROUTINE_NAME,"
        " ROUTINE_DEFINITION FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'shop'"
    )
    return [site.sql(name, sums) + site.held(name) + site.sql(name, more) for name in MEMBERS]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with hand.well(volume_size=f"{MEGABYTES * 3 + 1024}Mi") as lab:
        found = Site(lab, tmp_path, patience=3600)
        found.fill()
        found.sql("db-0", "CREATE EVENT shop.e ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1")
        found.hasteward("init")
        fill(found, MEGABYTES)
        yield found


def test_a_gigabyte_comes_back_on_every_member_while_somebody_writes(site: Site) -> None:
    saved = content(site)
    assert saved == saved[:1] * 3
    with Ledger(site) as ledger:
        backup = site.hasteward("backup")["data"]
        site.sql("db-2", "DROP TABLE big.a; DELETE FROM big.b WHERE n > 100; DELETE FROM shop.item")
        site.sql("db-2", "DROP PROCEDURE shop.p; DROP EVENT shop.e; DROP USER clerk@'%'")
        words = [word for name in ("big", "shop", "other") for word in ("--database", name)]
        site.hasteward("restore", "--yes", *words)

    assert backup["size"] > MEGABYTES * 900_000
    assert content(site) == saved
    site.settle()
    assert site.committed() == dict.fromkeys(MEMBERS, frozenset(ledger.acknowledged))
    assert len(ledger.acknowledged) > 10
    for name in MEMBERS:
        assert site.lab.exec(name, LOGIN).stdout.decode().strip() == "2"
    assert site.hasteward("triage")["data"]["healthy"]
