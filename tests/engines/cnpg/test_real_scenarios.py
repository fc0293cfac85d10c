"""Every broken cluster of the lab through `repair`, on real PostgreSQL, with clients writing meanwhile.

What is healed is well to the last row; what is refused, or left alone for a reason, is as it was.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from real_kit import CLUSTER, Writer, everything_is_well, picture, tool

from hasteward_lab.lab import Lab
from hasteward_lab.scenarios import load, run
from hasteward_lab.scenarios.model import Scenario

pytestmark = [pytest.mark.servers, pytest.mark.long, pytest.mark.timeout(600)]

PAUSE = "cnpg.io/reconciliationLoop"


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
    """With this error, or with the other one where the look came at another moment."""

    code: str
    other: str = ""


@dataclass(frozen=True)
class Left:
    """Nothing to treat, and why not; "" where nothing is wrong."""

    why: str = ""


FENCED = Left("it is fenced by somebody; lift the fence when its reason is gone")
FULL = Left("its volume is full, and only room helps: enlarge spec.storage.size of the Cluster")
BLIND = Refused("gate.undeterminable")
DEAD = Refused("plan.no_primary")
ENDS: dict[str, Healed | Refused | Left] = {
    "all-members-down": DEAD,
    "claim-lost-operator-down": Refused("plan.no_claim"),
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
    "fenced-all": BLIND,
    "fenced-primary-freezes-the-operator": DEAD,
    "fenced-replica": FENCED,
    "frozen-primary": Left(),
    "full-replica-freezes-the-operator": FULL,
    "hibernated": Left("the cluster is hibernated"),
    "idle-divergence": Healed({"pg-3": "rewind"}),
    # the files of pg-3 can be read, and are none; or no node has room for the helper that would read them
    "join-job-pending": Refused("heal.volumes_in_use", "gate.undeterminable"),
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
    "replica-unschedulable": Left(),
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


def _returns(lab: Lab, over: threading.Event) -> None:
    """The network heals and the operator comes back: when the treatment has begun, and it may do so."""
    while not over.is_set():
        journal = [row for row in lab.get("configmaps") if row["metadata"]["name"] == "hasteward-cnpg-pg"]
        annotations = lab.cluster_object()["metadata"].get("annotations") or {}
        if journal and ('"kind": "pause"' not in journal[0]["data"]["journal"] or annotations.get(PAUSE)):
            break
        time.sleep(0.1)
    lab.chaos.heal()
    lab.operator_up()


@contextlib.contextmanager
def returning(lab: Lab) -> Iterator[None]:
    over = threading.Event()
    back = threading.Thread(target=_returns, args=(lab, over))
    back.start()
    try:
        yield
    finally:
        over.set()
        back.join()


def primary_of(lab: Lab) -> str:
    return str(lab.cluster_object()["status"]["currentPrimary"])


def pods(lab: Lab, but: dict[str, str]) -> dict[str, str]:
    return {
        row["metadata"]["name"]: row["metadata"]["uid"]
        for row in lab.get("pods")
        if row["metadata"]["name"] not in but
    }


def healed(lab: Lab, end: Healed, folder: Path) -> None:
    before, others, primary = picture(lab), pods(lab, end.by), primary_of(lab)
    hasteward, writer = tool(lab, folder), Writer(lab, primary)
    treated: dict[str, str] = {}
    with contextlib.nullcontext() if end.full else writer.at_work():
        for flags in end.asked:
            command = ("repair", *CLUSTER, "--yes", "--heal-timeout", "120", *flags)
            with returning(lab):
                code, answer = hasteward(*command)
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


def untouched(lab: Lab, end: Refused | Left, folder: Path) -> None:
    before = picture(lab)
    with returning(lab) if end == Refused("heal.member_well") else contextlib.nullcontext():
        code, answer = tool(lab, folder)("repair", *CLUSTER, "--yes")
    match end:
        case Refused(wanted, other):
            (error,) = answer["errors"]
            # the evidence is in the message, the rule in the code, and the next command in the hint
            assert (code, error["code"] in {wanted, other}) == (21, True), answer["said"]
            assert error["message"]
            assert any(word in error["hint"] for word in ("hasteward ", "kubectl ")), error
        case Left(why):
            assert (code, answer["data"]["treated"]) == (20 if why else 0, []), answer["said"]
            said = [*answer["data"]["skipped"], *answer["data"]["waiting"]]
            assert any(why in line for line in said), said
    assert picture(lab) == before


def verify(scenario: Scenario, folder: Path) -> None:
    end = ENDS[scenario.name]
    with run.start(scenario, None, keep=False, say=lambda _message: None) as lab:
        run.reach(lab, scenario)
        if isinstance(end, Healed):
            healed(lab, end, folder)
        else:
            untouched(lab, end, folder)


def test_every_scenario_has_an_end() -> None:
    assert sorted(ENDS) == sorted(scenario.name for scenario in load.all_scenarios())


@pytest.mark.parametrize("scenario", load.all_scenarios(), ids=lambda each: each.name)
def test_a_scenario_ends_as_it_must(scenario: Scenario, tmp_path: Path) -> None:
    verify(scenario, tmp_path)
