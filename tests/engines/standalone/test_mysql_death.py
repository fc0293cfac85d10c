# ruff: noqa: S608 - statements of a test
"""A restore that dies anywhere leaves old data live, or new, once the next run has put it in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import standalone_kit

from hasteward.domain.errors import Refused
from hasteward_sql import mysql
from hasteward_sql.mysql.catalog import MARK, SWAPPED, WAITING, Schema
from hasteward_sql.mysql.state import Remedy, remedy, unfinished
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


@pytest.fixture
def tiny(mariadb: Any) -> Iterator[Any]:
    mariadb.sql(GOOD)
    yield mariadb
    mariadb.sql("".join(f"DROP DATABASE `{name}`;" for name in mariadb.schemas()))


def die_everywhere(tiny: Any, steward: Any, calls: Callable[[int], range]) -> set[str]:
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


@pytest.mark.servers
def test_dying_at_any_act_of_the_swap_leaves_old_or_new(tiny: Any, steward: Any) -> None:
    found = die_everywhere(tiny, steward, lambda count: range(count - LAST_CALLS, count, 2))
    assert found == {"old", "new"}


@pytest.mark.servers
@pytest.mark.long
@pytest.mark.timeout(1800)
def test_dying_at_any_command_of_a_restore_leaves_old_or_new(tiny: Any, steward: Any) -> None:
    assert die_everywhere(tiny, steward, lambda count: range(1, count + 1)) == {"old", "new"}


@pytest.mark.servers
def test_no_dump_is_taken_of_a_schema_whose_programs_a_dead_restore_has_set_aside(
    tiny: Any, steward: Any
) -> None:
    steward.backup()
    tiny.sql(
        f"CREATE DATABASE hasteward_old_x; CREATE TABLE hasteward_old_x.{MARK} (part VARCHAR(32), body BLOB);"
        f"INSERT INTO hasteward_old_x.{MARK} VALUES ('stage', 'swapping'), ('live', 'tiny')"
    )
    with pytest.raises(Refused, match="schema hasteward_old_x holds what it had set aside"):
        steward.backup()


def schema(*tables: str) -> Schema:
    return Schema("s", "utf8mb4", "utf8mb4_bin", dict.fromkeys((*tables, MARK), "InnoDB"))


@pytest.mark.parametrize(
    ("stage", "old", "expected"),
    [
        (b"", schema(WAITING), Remedy.NOTHING),
        (b"kept", schema(SWAPPED, "t"), Remedy.NOTHING),
        (b"swapping", schema(WAITING), Remedy.BACK),
        (b"swapping", schema(SWAPPED, "t"), Remedy.FORWARD),
        (b"swapping", schema(SWAPPED), Remedy.FORWARD),
        # somebody has been at it: what holds tables is not dropped as an empty one
        (b"swapping", schema("t"), Remedy.FORWARD),
        (b"swapping", schema(), Remedy.BACK),
    ],
)
def test_the_table_that_the_swap_renames_tells_which_side_is_live(
    stage: bytes, old: Schema, expected: Remedy
) -> None:
    marks = {"stage": stage} if stage else {}
    assert remedy(marks, old) is expected
    assert unfinished(marks) is (stage == b"swapping")
