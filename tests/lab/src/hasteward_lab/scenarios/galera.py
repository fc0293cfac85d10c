"""Scenarios of Galera clusters: how rows get in, and what is true of a member."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hasteward_lab.mariadb import hand
from hasteward_lab.state import LabError

if TYPE_CHECKING:
    from hasteward_lab.lab import Lab
    from hasteward_lab.scenarios.model import Expect, Member, Write

_SERVING = ("Synced", "Donor")
SCHEMA, TABLE = "lab", "ledger"
_LEDGER = (
    f"CREATE DATABASE IF NOT EXISTS {SCHEMA}; USE {SCHEMA}; CREATE TABLE IF NOT EXISTS {TABLE} "
    "(id bigint AUTO_INCREMENT PRIMARY KEY, mark varchar(60) NOT NULL, n int NOT NULL)"
)
_MARKS = f"SELECT DISTINCT mark FROM {SCHEMA}.{TABLE} ORDER BY 1"  # noqa: S608 - names of our own


def write(lab: Lab, wanted: Write) -> None:
    """Commit rows under a mark."""
    rows = f"SELECT '{wanted.mark}', seq FROM seq_1_to_{wanted.rows}"  # noqa: S608 - the mark's pattern is checked
    lab.mariadb(wanted.pod, f"{_LEDGER}; INSERT INTO {TABLE} (mark, n) {rows}")


def caught_up(lab: Lab, pod: str, up: str) -> bool:
    """Say whether a member has applied all that another has committed."""
    seen, goal = (hand.wsrep(lab, name) for name in (pod, up))
    return int(seen["last_committed"]) >= int(goal["last_committed"])


@dataclass(frozen=True)
class Truth:
    """One member as it is. `marks` is None when nobody can read them."""

    server: str
    ready: bool
    wsrep: str
    marks: frozenset[str] | None


def member(lab: Lab, name: str) -> Truth:
    """Look at one member: by SQL where its server answers, else in a recovered copy of its files."""
    from hasteward_lab.scenarios.conditions import is_ready

    seen = lab.chaos.server(name)
    if not seen["there"]:
        return Truth("missing", ready=False, wsrep="", marks=_recovered(lab, name))
    ready = is_ready(lab, name)
    if seen["frozen"] or not seen["answers"]:
        server = "frozen" if seen["frozen"] else "down"
        return Truth(server, ready, "", _recovered(lab, name))
    return Truth("up", ready, hand.told(lab, name), _asked(lab, name))


def differences(lab: Lab, expect: Expect) -> list[str]:
    """Where the lab is not what is expected, a line each; empty is good."""
    found = {name: member(lab, name) for name in expect.members}
    verdicts = {name: verdict(name, found) for name in found}
    rows = [
        row
        for name, wanted in expect.members.items()
        for row in _compare(name, wanted, found[name], verdicts[name])
    ]
    holders = holders_of(found)
    if holders != set(expect.newest):
        rows.append(f"all commits are on {sorted(holders) or 'nobody'}, not on {expect.newest or 'nobody'}")
    return rows + _authority(expect, found, holders)


def holders_of(found: dict[str, Truth]) -> set[str]:
    """The members that have every commit any readable member has."""
    readable = {name: truth.marks for name, truth in found.items() if truth.marks is not None}
    every = frozenset[str]().union(*readable.values())
    return {name for name, marks in readable.items() if marks == every}


def verdict(name: str, found: dict[str, Truth]) -> str:
    """A member in a word, by what it holds and whether it serves."""
    truth = found[name]
    if truth.marks is None:
        return "unreadable"
    others = [row.marks for other, row in found.items() if other != name and row.marks is not None]
    every = truth.marks.union(*others)
    if truth.marks == every:
        return "healthy" if truth.wsrep.startswith(_SERVING) else "stopped"
    if not truth.marks:
        return "empty"
    # Somebody else may hold its marks too: what it lacks decides, if one member holds all.
    whole = any(row == every for row in others)
    return "behind" if whole or any(truth.marks < row for row in others) else "diverged"


def _asked(lab: Lab, name: str) -> frozenset[str] | None:
    with contextlib.suppress(LabError):
        return frozenset(lab.mariadb(name, f"SET wsrep_dirty_reads=ON; {_MARKS}").splitlines())
    return _recovered(lab, name)


def _recovered(lab: Lab, name: str) -> frozenset[str] | None:
    try:
        return frozenset(hand.rows(lab, name, SCHEMA, TABLE, "mark"))
    except LabError:
        return None


def _compare(name: str, wanted: Member, found: Truth, word: str) -> list[str]:
    rows = []
    told = {"server": found.server, "ready": found.ready, "wsrep": found.wsrep, "verdict": word}
    for field in sorted(wanted.model_fields_set & set(told)):
        expected = getattr(wanted, field)
        if expected != told[field]:
            rows.append(f"{name}: {field} is {told[field]!r}, not {expected!r}")
    if wanted.marks is not None:
        marks = "unreadable" if found.marks is None else sorted(found.marks)
        expected = wanted.marks if isinstance(wanted.marks, str) else sorted(wanted.marks)
        if marks != expected:
            rows.append(f"{name}: marks are {marks!r}, not {expected!r}")
    return rows


def _authority(expect: Expect, found: dict[str, Truth], holders: set[str]) -> list[str]:
    """The verdict must follow from the data: this is what a perfect tool could say."""
    unread = [name for name, truth in found.items() if truth.marks is None]
    serving = {name for name, truth in found.items() if truth.wsrep.startswith(_SERVING)}
    fits = {
        "provable": bool(holders) and not unread and (not serving or bool(serving & holders)),
        "leader_not_primary": bool(holders) and bool(serving) and not serving & holders,
        "diverged": not holders,
        "undeterminable": bool(unread),
    }
    if fits[expect.authority]:
        return []
    told = f"all {sorted(holders)}, serving {sorted(serving)}, unread {unread}"
    return [f"authority cannot be {expect.authority}: {told}"]
