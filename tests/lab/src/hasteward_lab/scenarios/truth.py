"""What is true in a lab, from the servers and files themselves, against what a scenario expects."""

from __future__ import annotations

from dataclasses import dataclass

from hasteward_lab.lab import Lab
from hasteward_lab.scenarios import conditions, galera
from hasteward_lab.scenarios.model import Expect, Member
from hasteward_lab.scenarios.run import LEDGER
from hasteward_lab.state import LabError

_MARKS = "SELECT DISTINCT mark::text FROM lab_ledger ORDER BY 1"
_PRIMARY_TIMELINE = "SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int"
_REPLICA_TIMELINE = (
    "SELECT coalesce((SELECT received_tli FROM pg_stat_wal_receiver WHERE status = 'streaming'), "
    "greatest((SELECT timeline_id FROM pg_control_checkpoint()), "
    "(SELECT min_recovery_end_timeline FROM pg_control_recovery())))"
)


@dataclass(frozen=True)
class Truth:
    """One member as it is. `marks` is None when nobody can read them."""

    server: str
    role: str | None
    ready: bool
    streaming: bool
    timeline: int | None
    control_timeline: int | None
    marks: frozenset[str] | None


def member(lab: Lab, name: str) -> Truth:
    """Look at one member: by SQL where its server answers, else in a recovered copy of its files."""
    seen = lab.chaos.server(name)
    if not seen["there"]:
        control = _control_timeline(lab, name)
        marks = _replayed(lab, name)
        return Truth("missing", None, False, False, control, control, marks)  # noqa: FBT003 - a row of facts
    ready = conditions.is_ready(lab, name)
    control = _control_timeline(lab, name)
    if seen["frozen"] or not seen["answers"]:
        server = "frozen" if seen["frozen"] else "down"
        return Truth(
            server,
            None,
            ready,
            streaming=False,
            timeline=control,
            control_timeline=control,
            marks=_replayed(lab, name),
        )
    replica = lab.psql(name, "SELECT pg_is_in_recovery()") == "t"
    timeline = int(lab.psql(name, _REPLICA_TIMELINE if replica else _PRIMARY_TIMELINE))
    return Truth(
        "up",
        "replica" if replica else "primary",
        ready,
        replica and conditions.is_streaming(lab, name),
        timeline,
        control,
        _asked(lab, name),
    )


def differences(lab: Lab, expect: Expect) -> list[str]:
    """Where the lab is not what is expected, a line each; empty is good."""
    rows = galera.differences(lab, expect) if lab.part == "mariadb" else _postgres(lab, expect)
    for fact in expect.facts:
        instead = conditions.proven(lab, fact)
        if instead:
            rows.append(f"{fact.claim}: {instead}")
    return rows


def _postgres(lab: Lab, expect: Expect) -> list[str]:
    found = {name: member(lab, name) for name in expect.members}
    rows = [row for name, wanted in expect.members.items() for row in _compare(name, wanted, found[name])]
    rows += _newest(expect, found)
    return rows + _authority(expect, found, lab.primary)


def _control_timeline(lab: Lab, name: str) -> int | None:
    try:
        return int(lab.chaos.control(name)["Latest checkpoint's TimeLineID"])
    except LabError:
        return None


def _asked(lab: Lab, name: str) -> frozenset[str]:
    there = lab.psql(name, f"SELECT to_regclass('{LEDGER}') IS NOT NULL") == "t"
    return frozenset(lab.psql(name, _MARKS).splitlines()) if there else frozenset()


def _replayed(lab: Lab, name: str) -> frozenset[str] | None:
    if lab.chaos.server(name)["there"] and not any(lab.chaos.digests(name).values()):
        return frozenset()  # no file is on its claim: it holds nothing, and nothing in it is unread
    try:
        return frozenset(lab.chaos.replay(name, _MARKS))
    except LabError:
        return None


def _compare(name: str, wanted: Member, found: Truth) -> list[str]:
    rows = []
    for field in wanted.model_fields_set - {"marks"}:
        expected, is_so = getattr(wanted, field), getattr(found, field)
        if expected != is_so:
            rows.append(f"{name}: {field} is {is_so!r}, not {expected!r}")
    if wanted.marks is not None:
        marks = "unreadable" if found.marks is None else sorted(found.marks)
        expected = wanted.marks if isinstance(wanted.marks, str) else sorted(wanted.marks)
        if marks != expected:
            rows.append(f"{name}: marks are {marks!r}, not {expected!r}")
    return rows


def _holders(found: dict[str, Truth]) -> set[str]:
    """The members that have every commit any readable member has."""
    readable = {name: truth.marks for name, truth in found.items() if truth.marks is not None}
    every = frozenset[str]().union(*readable.values())
    return {name for name, marks in readable.items() if marks == every}


def _newest(expect: Expect, found: dict[str, Truth]) -> list[str]:
    holders = _holders(found)
    if holders == set(expect.newest):
        return []
    return [f"all commits are on {sorted(holders) or 'nobody'}, not on {expect.newest or 'nobody'}"]


def _authority(expect: Expect, found: dict[str, Truth], primary: str) -> list[str]:
    """The verdict must follow from the data: this is what a perfect tool could say."""
    holders = _holders(found)
    unread = [name for name, truth in found.items() if truth.marks is None and truth.server != "missing"]
    fits = {
        "provable": primary in holders and not unread,
        "leader_not_primary": bool(holders) and primary not in holders,
        "diverged": not holders,
        "undeterminable": bool(unread),
    }
    if fits[expect.authority]:
        return []
    return [
        f"authority cannot be {expect.authority}: primary {primary}, all {sorted(holders)}, unread {unread}"
    ]
