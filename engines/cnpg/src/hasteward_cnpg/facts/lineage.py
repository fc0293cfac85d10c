"""Where a member's log ends and the way it came; who is ahead of whom, and where two ways part. Pure.

A timeline's number says nothing (L1: a stale restore had the highest). What counts is the way: the timelines
a member came through, as its *own* timeline's history file tells them (L2: each file repeats the older
lines, so files are never put together), and the end of its valid log (W1: not its last checkpoint).

Positions grow along a way, so what a member holds past a fork is its end minus the fork.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from hasteward_cnpg.evidence import Fork, Lsn, Position

_LINE = re.compile(r"\s*(\d+)\s+([0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8})(\s.*)?")


def parse_history(text: str) -> tuple[Fork, ...]:
    """The lines of one history file, oldest first; ValueError for anything that is none.

    Numbers must rise, as the server writes them; positions need not (a rewind, L8).
    """
    forks: list[Fork] = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"{line!r} is no line of a timeline history")
        fork = Fork(int(match[1]), Lsn.parse(match[2]))
        if forks and fork.timeline <= forks[-1].timeline:
            raise ValueError(f"timeline {fork.timeline} follows timeline {forks[-1].timeline}")
        forks.append(fork)
    return tuple(forks)


def rewinds(position: Position) -> tuple[Fork, ...]:
    """The forks that lie before an earlier one: somebody went back to an older point (L8)."""
    highest: Lsn | None = None
    found = []
    for fork in position.ancestors:
        if highest is not None and fork.at < highest:
            found.append(fork)
        highest = fork.at if highest is None else max(highest, fork.at)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a way that lies on one timeline, from `start` up to `end`."""

    timeline: int
    start: Lsn
    end: Lsn


def way(position: Position) -> tuple[Stretch, ...]:
    """The way without what was left behind: every stretch begins where the one before it ends.

    A fork that lies before an earlier one cuts the way back to it, and a timeline on which nothing was
    written is no stretch.
    """
    stretches: list[Stretch] = []
    for fork in (*position.ancestors, Fork(position.timeline, position.end)):
        while stretches and stretches[-1].end > fork.at:
            last = stretches.pop()
            if last.start < fork.at:
                stretches.append(Stretch(last.timeline, last.start, fork.at))
        begin = stretches[-1].end if stretches else Lsn(0)
        if fork.at > begin:
            stretches.append(Stretch(fork.timeline, begin, fork.at))
    return tuple(stretches)


class Order(StrEnum):
    """How one member's log stands to another's."""

    SAME = "same"
    BEHIND = "behind"
    AHEAD = "ahead"
    DIVERGED = "diverged"


@dataclass(frozen=True, slots=True)
class Relation:
    """Seen from the first of two: where the ways part (or one ends), and how many bytes each has past it."""

    order: Order
    fork: Lsn
    mine: int
    theirs: int


def compare(one: Position, other: Position) -> Relation:
    """How `one` stands to `other`, in bytes of log; both of the same database system."""
    fork = _parting(way(one), way(other))
    mine, theirs = one.end - fork, other.end - fork
    if mine > 0 and theirs > 0:
        order = Order.DIVERGED
    elif mine > 0:
        order = Order.AHEAD
    elif theirs > 0:
        order = Order.BEHIND
    else:
        order = Order.SAME
    return Relation(order, fork, max(0, mine), max(0, theirs))


def _parting(one: tuple[Stretch, ...], other: tuple[Stretch, ...]) -> Lsn:
    """The last position that both ways share."""
    shared = Lsn(0)
    for mine, theirs in zip(one, other, strict=False):
        if mine.timeline != theirs.timeline:
            return shared
        if mine.end != theirs.end:
            return min(mine.end, theirs.end)
        shared = mine.end
    return shared


def past(position: Position, fork: Lsn) -> tuple[Stretch, ...]:
    """The part of a way that lies past `fork`, for counting what was committed there."""
    return tuple(
        Stretch(stretch.timeline, max(stretch.start, fork), stretch.end)
        for stretch in way(position)
        if stretch.end > fork
    )
