"""Every point of the fault table, and every k-th call, on fakes: the whole command line each time."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from fault_sweep import points as table

from hasteward.domain.errors import ExitCode

CODES = (401, 403, 404, 409, 429, 500, 503)
#: how many calls of the API and of the store each verb makes at least
CALLS = {
    ("backup", "api"): 6,
    ("restore", "api"): 6,
    ("backup", "store"): 10,
    ("restore", "store"): 6,
    ("export", "store"): 5,
}


def assert_all_is_well(world: Any, body: bytes, old: bytes, done: Any, verb: str) -> None:
    """What holds after any fault, whatever it was."""
    assert done.code == table.KILLED or done.code in set(ExitCode), done.code
    errors = [line for line in done.err.splitlines() if line.startswith("error:")]
    assert len(errors) == (done.code not in {0, table.KILLED}), done.err
    assert "Traceback" not in done.err
    assert "unexpected" not in done.err, done.err
    assert "open sesame" not in done.err
    assert set(world.all_proven_backups()) <= {b"-- head\n" + body}
    assert world.server.live in {old, body}
    if verb == "restore" and done.code == 0:
        assert world.server.live == body
    if verb == "backup":
        assert len(world.all_proven_backups()) >= (done.code == 0)
    if verb == "export":
        assert world.exported() == (b"-- head\n" + body if done.code == 0 else None)


def assert_the_next_run_just_works(world: Any, body: bytes, verb: str) -> None:
    done = world.run(verb)
    assert done.code == 0, done.err
    if verb == "restore":
        assert world.server.live == body
    if verb == "export":
        assert world.exported() == b"-- head\n" + body
    assert set(world.all_proven_backups()) == {b"-- head\n" + body}


def play(world: Any, body: bytes, old: bytes, point: table.Point) -> int:
    live = body
    if point.verb != "backup":
        world.restored_by_hand()
        live = old
    world.arm(point)
    done = world.run(point.verb)
    assert world.struck, f"{point.id} struck nothing"
    assert done.code in point.exits, (point.id, done.code, done.err)
    world.disarm()
    assert_all_is_well(world, body, live, done, point.verb)
    assert_the_next_run_just_works(world, body, point.verb)
    return int(done.code)


@pytest.mark.parametrize("point", table.POINTS, ids=lambda point: point.id)
def test_a_fault_leaves_no_lie_no_lock_and_no_half(
    sweep_world: Callable[[], Any], sweep_bytes: tuple[bytes, bytes], point: table.Point
) -> None:
    play(sweep_world(), *sweep_bytes, point)


def test_the_table_has_more_than_two_hundred_distinct_points() -> None:
    ids = {point.id for point in table.POINTS}

    assert len(ids) == len(table.POINTS) >= 200
    assert {point.verb for point in table.POINTS} == {"backup", "restore", "export"}
    assert all(point.exits <= {*ExitCode, table.KILLED} for point in table.POINTS)


@pytest.mark.parametrize(
    ("verb", "side", "code"),
    [
        *((verb, "api", code) for verb in ("backup", "restore") for code in CODES),
        *((verb, "store", "store") for verb in ("backup", "restore", "export")),
    ],
)
def test_any_call_failing_leaves_no_lie_no_lock_and_no_half(
    sweep_world: Callable[[], Any],
    sweep_bytes: tuple[bytes, bytes],
    verb: str,
    side: str,
    code: int | str,
) -> None:
    body, old = sweep_bytes
    for k in itertools.count(1):
        world = sweep_world()
        if verb != "backup":
            world.restored_by_hand()
        world.fail_call(k, code)
        done = world.run(verb)
        world.disarm()
        if not world.struck:
            break
        assert_all_is_well(world, body, body if verb == "backup" else old, done, verb)
        assert_the_next_run_just_works(world, body, verb)
    assert k > CALLS[verb, side], "fewer calls than there are"


def test_a_dump_that_ends_with_any_status_but_zero_makes_no_backup(
    sweep_world: Callable[[], Any], sweep_bytes: tuple[bytes, bytes]
) -> None:
    world = sweep_world()
    for status in range(1, 138):
        world.arm(table.Point("backup", table.Dies(status), frozenset()))
        done = world.run("backup")
        assert (done.code, world.all_proven_backups()) == (1, [])
        assert f"exited with {status}" in done.err
        world.disarm()
    assert_the_next_run_just_works(world, sweep_bytes[0], "backup")
