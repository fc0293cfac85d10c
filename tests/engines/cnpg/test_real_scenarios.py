"""Every broken cluster of the lab through `repair`, on real PostgreSQL, with clients writing meanwhile.

What is healed is well to the last row; what is refused, or left alone for a reason, is as it was.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from real_kit import CLUSTER, Tool, Writer, everything_is_well, picture, returning, tool

from hasteward_lab.lab import Lab
from hasteward_lab.scenarios import load, run
from hasteward_lab.scenarios.model import Scenario, Write

pytestmark = [pytest.mark.servers, pytest.mark.long, pytest.mark.timeout(600)]

UNHEALTHY, REFUSED = 20, 21
SETTLES_WITHIN = 90.0


@dataclass(frozen=True)
class Healed:
    """By what. `asked` are the flags of the commands that a person gives one after the other."""

    by: dict[str, str]
    asked: tuple[tuple[str, ...], ...] = ((),)
    captured: tuple[int, ...] = ()
    #: the disk of the primary is full: nobody can write until a person makes room, and the report says so
    full: bool = False


@dataclass(frozen=True)
class Refused:
    """With this error."""

    code: str


@dataclass(frozen=True)
class Left:
    """Nothing to treat, and why not; "" where nothing is wrong."""

    why: str = ""


FENCED = Left("it is fenced by somebody; lift the fence when its reason is gone")
FULL = Left("its volume is full, and only room helps: enlarge spec.storage.size of the Cluster")
BLIND = Refused("gate.undeterminable")
DEAD = Refused("plan.no_primary")
#: of several ends it comes to one or another, by the moment of the look; all of them touch nothing
End = Healed | Refused | Left | tuple[Refused | Left, ...]
ENDS: dict[str, End] = {
    "all-members-down": DEAD,
    "claim-lost-operator-down": (Refused("plan.no_claim"), Refused("gate.no_donor")),
    "committed-past-last-checkpoint": Refused("gate.diverged"),
    "corrupt-pg-control": BLIND,
    "crash-looping-not-a-child": Healed(
        # the operator makes no pod of pg-2 until pg-3 runs, so the second run waits for it once more
        {"pg-2": "restart", "pg-3": "reseed"},
        (("-i", "2", "--force"), ()),
        captured=(2,),
    ),
    "diverged-replica-ready": Healed({"pg-3": "rewind"}, (("-i", "3", "--force"),), captured=(3,)),
    "empty-pgdata": Healed({"pg-2": "reseed"}),
    "exec-forbidden": Left(),
    "failover-done-all-well": Left(),
    "fence-held-by-others": FENCED,
    "fence-list-is-no-json": Left(),
    "fenced-all": (BLIND, FENCED),
    "fenced-primary-freezes-the-operator": DEAD,
    "fenced-replica": FENCED,
    "frozen-primary": BLIND,
    "full-replica-freezes-the-operator": FULL,
    "hibernated": Left("the cluster is hibernated"),
    "idle-divergence": Healed({"pg-3": "rewind"}),
    # the files of pg-3 can be read, and are none; or no node has room for the helper that would read them
    "join-job-pending": (Refused("heal.volumes_in_use"), BLIND),
    "lost-checkpoint-panic": BLIND,
    "missing-history-file": BLIND,
    "new-timeline-old-controldata": BLIND,
    "numbers-count-up": Left(),
    "one-way-partition": Refused("heal.member_well"),
    "pgdata-group-access": Healed({"pg-2": "rewind"}),
    "primary-disk-full-after-checkpoint": DEAD,
    "primary-disk-full-pinned-wal": Healed({"pg-3": "restart"}, full=True),
    "promoted-partitioned-replica": Healed({"pg-2": "rewind"}, (("-i", "2", "--force"),), captured=(2,)),
    "receiver-certificate-rejected": Healed({"pg-3": "restart"}),
    "reconciliation-disabled": Refused("plan.reconciliation_off"),
    "replay-paused": Left(),
    "replica-disk-full": FULL,
    "replica-unschedulable": (BLIND, Left("no node takes its pod")),
    "rewind-impossible": BLIND,
    "shadowing-auto-conf": Healed({"pg-3": "rewind"}),
    "slot-lost": Healed({"pg-3": "reseed"}),
    "slot-name-prefix": Healed({"pg-2": "restart"}),
    "stale-backup-label": BLIND,
    "stale-replica-promoted": Refused("gate.leader_not_primary"),
    "stale-restore-highest-timeline": Healed({"pg-3": "rewind"}),
    "stopped-primary-ahead": Refused("gate.leader_not_primary"),
    "switchover-stuck": BLIND,
    "two-members-down": Healed({"pg-2": "restart", "pg-3": "restart"}),
    "unrelated-pod-with-label": Left(),
    "wal-recycled-yet-ready": Healed({"pg-3": "reseed"}),
}


def primary_of(lab: Lab) -> str:
    return str(lab.cluster_object()["status"]["currentPrimary"])


def pods(lab: Lab, but: dict[str, str]) -> dict[str, str]:
    return {
        row["metadata"]["name"]: row["metadata"]["uid"]
        for row in lab.get("pods")
        if row["metadata"]["name"] not in but
    }


def healed(lab: Lab, scenario: Scenario, end: Healed, folder: Path) -> None:
    before, others, primary = picture(lab), pods(lab, end.by), primary_of(lab)
    hasteward, writer = tool(lab, folder), Writer(lab, primary)
    treated: dict[str, str] = {}
    with contextlib.nullcontext() if end.full else writer.at_work():
        for flags in end.asked:
            command = ("repair", *CLUSTER, "--yes", "--heal-timeout", "120", *flags)
            with returning(lab):
                code, answer = asked(hasteward, command)
            if code == 1 and "hasteward repair" in answer["errors"][0]["hint"]:
                # on a busy machine the primary goes down now and then; the run has named what ends it
                lab.wait_ready(primary, timeout=120)
                code, answer = hasteward(*command)
            assert code == 0 or flags != end.asked[-1], answer["said"]
            treated |= {one["member"]: one["remediation"] for one in answer["data"]["treated"]}
    assert treated == end.by
    if end.full:
        assert "cnpg-disk-full" in {one["id"] for one in answer["data"]["after"]["diagnoses"]}
        lab.fill(primary, -1)
        lab.psql(primary, "CREATE TABLE acknowledged (n int)")
    everything_is_well(lab, writer.acknowledged, primary)
    assert (picture(lab), pods(lab, end.by)) == (before, others)
    listed = hasteward("get", "backups")[1]["data"]["backups"]
    for ordinal in end.captured:
        path = f"db/pg/{ordinal}-pgdata.tar"
        assert path in {one["path"] for one in listed if one["proven"]}
        lost = scenario.expect.members[f"pg-{ordinal}"].marks
        assert ledger(hasteward, ordinal, folder) == dict.fromkeys(lost, Write.model_fields["rows"].default)


def asked(hasteward: Tool, command: tuple[str, ...]) -> tuple[int, dict[str, Any]]:
    """Asked again where a server was just going down or coming up, and may have been about to follow."""
    begun = time.monotonic()
    while True:
        code, answer = hasteward(*command)
        if (
            not (ended(BLIND, code, answer) or waits(code, answer))
            or time.monotonic() - begun > SETTLES_WITHIN
        ):
            return code, answer
        time.sleep(5)


def waits(code: int, answer: dict[str, Any]) -> bool:
    """Whether a run has treated nobody since somebody may come back by himself."""
    data = answer["data"]
    return code == UNHEALTHY and bool(data["waiting"]) and not data["treated"] and not data["settled"]


def ledger(hasteward: Tool, ordinal: int, folder: Path) -> dict[str, int]:
    """Acknowledged rows by their mark, in a dump that a scratch server makes of a member's captured files."""
    path = folder / f"{ordinal}.sql"
    code, answer = hasteward("export", *CLUSTER, "-i", str(ordinal), "-o", str(path))
    assert code == 0, answer["said"]
    rows = re.findall(r"^([a-z0-9-]+)\t\d+\tx$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return dict(Counter(rows))


def ended(end: Refused | Left, code: int, answer: dict[str, Any]) -> bool:
    """Whether a run came to this end."""
    match end:
        case Refused(wanted):
            if code != REFUSED or [error["code"] for error in answer["errors"]] != [wanted]:
                return False
            (error,) = answer["errors"]
            # the evidence is in the message, the rule in the code, and the next command in the hint
            assert error["message"]
            assert any(word in error["hint"] for word in ("hasteward ", "kubectl ")), error
            return True
        case Left(why):
            if code != (UNHEALTHY if why else 0) or answer["data"]["treated"]:
                return False
            return any(why in line for line in (*answer["data"]["skipped"], *answer["data"]["waiting"]))


def untouched(lab: Lab, ends: tuple[Refused | Left, ...], folder: Path) -> None:
    before, hasteward, begun = picture(lab), tool(lab, folder), time.monotonic()
    with returning(lab) if Refused("heal.member_well") in ends else contextlib.nullcontext():
        while True:
            code, answer = hasteward("repair", *CLUSTER, "--yes")
            if any(ended(end, code, answer) for end in ends):
                break
            # what may come back by itself is given its time, which is over after half a minute
            assert waits(code, answer), answer
            assert time.monotonic() - begun < SETTLES_WITHIN, answer
            time.sleep(5)
    assert picture(lab) == before


def verify(scenario: Scenario, folder: Path) -> None:
    end = ENDS[scenario.name]
    with run.start(scenario, None, keep=False, say=lambda _message: None) as lab:
        run.reach(lab, scenario)
        if isinstance(end, Healed):
            healed(lab, scenario, end, folder)
        else:
            untouched(lab, end if isinstance(end, tuple) else (end,), folder)


def test_every_scenario_has_an_end() -> None:
    assert sorted(ENDS) == sorted(scenario.name for scenario in load.all_scenarios())


@pytest.mark.parametrize("scenario", load.all_scenarios(), ids=lambda each: each.name)
def test_a_scenario_ends_as_it_must(scenario: Scenario, tmp_path: Path) -> None:
    verify(scenario, tmp_path)
