"""Whose log is ahead of whose, and where two ways part; the way of each is known to the test."""

from __future__ import annotations

import pytest

from hasteward_cnpg.evidence import Fork, Lsn, Position
from hasteward_cnpg.facts.lineage import Order, Stretch, compare, parse_history, past, rewinds, way


def at(timeline: int, end: int, *forks: tuple[int, int]) -> Position:
    return Position(timeline, Lsn(end), tuple(Fork(number, Lsn(where)) for number, where in forks))


@pytest.mark.parametrize(
    ("one", "other", "order", "fork", "mine", "theirs"),
    [
        (at(1, 50), at(1, 50), Order.SAME, 50, 0, 0),
        (at(1, 50), at(1, 80), Order.BEHIND, 50, 0, 30),
        (at(1, 50), at(2, 80, (1, 60)), Order.BEHIND, 50, 0, 30),
        (at(1, 60), at(2, 60, (1, 60)), Order.SAME, 60, 0, 0),
        (at(1, 70), at(2, 80, (1, 60)), Order.DIVERGED, 60, 10, 20),
        (at(1, 70), at(2, 60, (1, 60)), Order.AHEAD, 60, 10, 0),
        (at(2, 90, (1, 60)), at(3, 80, (1, 60), (2, 70)), Order.DIVERGED, 70, 20, 10),
        (at(2, 70, (1, 50)), at(3, 80, (1, 60)), Order.DIVERGED, 50, 20, 30),
        # received less than the switch that its history tells of
        (at(2, 40, (1, 60)), at(1, 70), Order.BEHIND, 40, 0, 30),
    ],
)
def test_two_positions(
    one: Position, other: Position, order: Order, fork: int, mine: int, theirs: int
) -> None:
    there, back = compare(one, other), compare(other, one)

    assert (there.order, there.fork, there.mine, there.theirs) == (order, Lsn(fork), mine, theirs)
    assert (back.fork, back.mine, back.theirs) == (Lsn(fork), theirs, mine)


def test_l1_the_highest_timeline_is_not_the_furthest_log() -> None:
    """Boundary-postgres: a restore of four months ago had the highest number."""
    stale = at(3, 101, (1, 100), (2, 100))
    assert compare(stale, at(1, 90000)).order is Order.DIVERGED
    assert compare(at(3, 100, (1, 100), (2, 100)), at(1, 90000)).order is Order.BEHIND


def test_l2_each_history_file_repeats_the_older_lines_and_is_read_alone() -> None:
    third = "1\t0/50\tno recovery target specified\n\n# note\n2\t0/60\treason\n"

    assert parse_history(third) == (Fork(1, Lsn(0x50)), Fork(2, Lsn(0x60)))
    with pytest.raises(ValueError, match="timeline 1 follows timeline 2"):
        parse_history(third + "1\t0/50\tno recovery target specified\n")
    with pytest.raises(ValueError, match="no line of a timeline history"):
        parse_history("1 nowhere")


def test_l8_a_fork_before_an_earlier_one_is_a_rewind_and_cuts_the_way_back() -> None:
    rewound = at(3, 60, (1, 50), (2, 40))

    assert rewinds(rewound) == (Fork(2, Lsn(40)),)
    assert way(rewound) == (Stretch(1, Lsn(0), Lsn(40)), Stretch(3, Lsn(40), Lsn(60)))
    assert compare(rewound, at(2, 90, (1, 50))).fork == Lsn(40)
    assert rewinds(at(3, 90, (1, 50), (2, 60))) == ()


def test_the_part_past_a_fork_is_read_timeline_by_timeline() -> None:
    assert past(at(3, 90, (1, 50), (2, 70)), Lsn(60)) == (
        Stretch(2, Lsn(60), Lsn(70)),
        Stretch(3, Lsn(70), Lsn(90)),
    )
    assert past(at(1, 50), Lsn(50)) == ()
