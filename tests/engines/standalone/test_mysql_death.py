# ruff: noqa: S608 - statements of a test
"""A restore that dies anywhere leaves old data live, or new, once the next run has put it in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import standalone_kit
from death_kit import GOOD, LAST_CALLS, SPOILT, die_everywhere

from hasteward.domain.errors import Refused
from hasteward_sql.mysql.catalog import MARK, SWAPPED, WAITING, Schema
from hasteward_sql.mysql.state import Remedy, remedy, unfinished


@pytest.fixture
def tiny(mariadb: Any) -> Iterator[Any]:
    mariadb.sql(GOOD)
    yield mariadb
    mariadb.sql("".join(f"DROP DATABASE `{name}`;" for name in mariadb.schemas()))


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


@pytest.mark.servers
@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.long)])
def test_no_dump_is_taken_between_the_swaps_of_two_schemas(tiny: Any, steward: Any, step: int) -> None:
    """One of them restored and the other not is what never was, also where nothing is to be kept."""

    def live() -> tuple[Any, Any]:
        return tiny.content("tiny"), tiny.content("twin")

    def both(script: str) -> str:
        return script + script.replace("tiny", "twin")

    tiny.sql(both(GOOD).replace("CREATE DATABASE tiny;", "DROP DATABASE tiny; CREATE DATABASE tiny;", 1))
    steward.backup()
    good, alive = live(), steward.host
    steward.host = counted = standalone_kit.DyingHost(alive, 0, done=False)
    steward.restore("tiny", "twin", keep_old=False)
    between = 0
    for at in range(counted.calls - 2 * LAST_CALLS, counted.calls, step):
        steward.host = alive
        tiny.sql("".join(f"DROP DATABASE `{name}`;" for name in tiny.schemas()) + both(SPOILT))
        spoilt = live()
        steward.host = standalone_kit.DyingHost(alive, at, done=True)
        with pytest.raises(standalone_kit.Death):
            steward.restore("tiny", "twin", keep_old=False)
        steward.host = alive
        if live() in (good, spoilt):
            continue
        between += live() == (good[0], spoilt[1])
        with pytest.raises(Refused, match="interrupted between two acts") as caught:
            steward.backup()
        assert caught.value.code == "dump.half_restored"
        steward.undo()
        assert live() == spoilt, at
        steward.backup()
        steward.repository.listed.pop()
    assert between


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
