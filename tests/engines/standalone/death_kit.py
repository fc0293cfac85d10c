"""Restores of a MySQL or MariaDB that die at every command, and what is live after the next run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import standalone_kit

from hasteward_sql import mysql
from hasteward_sql.mysql.swap import put_in_order

GOOD = """
CREATE DATABASE tiny; USE tiny;
CREATE TABLE a (n INT PRIMARY KEY); CREATE TABLE log (n INT);
CREATE TRIGGER noted AFTER INSERT ON a FOR EACH ROW INSERT INTO log VALUES (NEW.n);
CREATE PROCEDURE p() SELECT 1; CREATE VIEW v AS SELECT COUNT(*) AS c FROM a;
INSERT INTO a VALUES (1), (2);
"""
SPOILT = """
DROP DATABASE IF EXISTS tiny; CREATE DATABASE tiny; USE tiny;
CREATE TABLE a (n INT PRIMARY KEY, x INT); CREATE TABLE b (n INT);
CREATE TRIGGER other BEFORE INSERT ON a FOR EACH ROW SET NEW.x = 9;
CREATE VIEW w AS SELECT 5 AS five; INSERT INTO a (n) VALUES (7);
"""
#: commands from the end of a restore back to before its first lasting act
LAST_CALLS = 9


def die_everywhere(tiny: Any, steward: Any, calls: Callable[[int], Iterable[int]]) -> set[str]:
    """Die at every chosen command of a restore, before and after it; what was live after the repair."""
    steward.backup()
    good = tiny.content("tiny")
    tiny.sql(SPOILT)
    spoilt = tiny.content("tiny")
    alive = steward.host
    counted = standalone_kit.DyingHost(alive, 0, done=False)
    steward.host = counted
    steward.restore("tiny")
    found = set()
    for at in calls(counted.calls):
        for done in (False, True):
            steward.host = alive
            tiny.sql("".join(f"DROP DATABASE `{name}`;" for name in tiny.schemas()) + SPOILT)
            steward.host = standalone_kit.DyingHost(alive, at, done=done)
            with pytest.raises(standalone_kit.Death):
                steward.restore("tiny")
            steward.host = alive
            context = steward.context()
            server = mysql.connect(context, steward.via, user="root", password=standalone_kit.PASSWORD)
            put_in_order(context, server)
            now = tiny.content("tiny")
            assert now in {good, spoilt}, (at, done)
            found.add("new" if now == good else "old")
            left = [name for name in tiny.schemas() if name.startswith("hasteward_")]
            assert len(left) == (1 if now == good else 0), (at, done, left)
    return found
