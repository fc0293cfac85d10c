"""Repairs of the lab's broken clusters on real PostgreSQL, as a person runs them, with clients writing on.

Afterwards every member streams on one timeline, a write arrives everywhere, every commit that was
acknowledged is there, and nothing of ours is left: no annotation, pod, journal or file.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from real_kit import CLUSTER, Writer, everything_is_well, picture, tool

from hasteward_lab.lab import Lab
from hasteward_lab.scenarios import load, run

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]

PAUSE = "cnpg.io/reconciliationLoop"


@dataclass(frozen=True)
class Case:
    """A scenario and how it is repaired. `late`: the operator comes back when told to look away."""

    scenario: str
    remediations: dict[str, str]
    flags: tuple[str, ...] = ()
    late: bool = True
    captured: str = ""


QUICK = Case("diverged-replica-ready", {"pg-3": "rewind"}, ("-i", "3", "--force"), captured="pg-3")
CASES = (
    Case("two-members-down", {"pg-2": "restart", "pg-3": "restart"}, late=False),
    Case("slot-name-prefix", {"pg-2": "restart"}, late=False),
    Case("receiver-certificate-rejected", {"pg-3": "restart"}, late=False),
    Case("wal-recycled-yet-ready", {"pg-3": "reseed"}),
    Case("slot-lost", {"pg-3": "reseed"}),
    Case("promoted-partitioned-replica", {"pg-2": "rewind"}, ("-i", "2", "--force"), captured="pg-2"),
    Case("stale-restore-highest-timeline", {"pg-3": "rewind"}),
)
#: what no repair may touch, by the gate or the plan that says so
REFUSED = {
    "reconciliation-disabled": "plan.reconciliation_off",
    "stale-replica-promoted": "gate.leader_not_primary",
    "stopped-primary-ahead": "gate.leader_not_primary",
    "committed-past-last-checkpoint": "gate.diverged",
    "corrupt-pg-control": "gate.undeterminable",
    "switchover-stuck": "gate.undeterminable",
}


def _operator_returns(lab: Lab, over: threading.Event, *, late: bool) -> None:
    """The network heals and the operator comes back: at once, or once it is told to look away."""
    while late and not over.is_set():
        annotations = lab.cluster_object()["metadata"].get("annotations") or {}
        if annotations.get(PAUSE):
            break
        time.sleep(0.1)
    lab.chaos.heal()
    lab.operator_up()


def verify(case: Case, folder: Path) -> None:
    scenario = next(each for each in load.all_scenarios() if each.name == case.scenario)
    with run.start(scenario, None, keep=False, say=lambda _message: None) as lab:
        run.reach(lab, scenario)
        before = picture(lab)
        hasteward = tool(lab, folder)
        writer = Writer(lab)
        with writer.at_work():
            over = threading.Event()
            back = threading.Thread(target=_operator_returns, args=(lab, over), kwargs={"late": case.late})
            back.start()
            code, answer = hasteward("repair", *CLUSTER, "--yes", "--heal-timeout", "90", *case.flags)
            over.set()
            back.join()
        assert code == 0, answer["said"]
        data = answer["data"]
        assert {one["member"]: one["remediation"] for one in data["treated"]} == case.remediations
        everything_is_well(lab, writer.acknowledged)
        assert len(writer.acknowledged) > 10
        assert picture(lab) == before
        if case.captured:
            ordinal = case.captured.rpartition("-")[2]
            listed = hasteward("get", "backups")[1]["data"]["backups"]
            assert f"db/pg/{ordinal}-pgdata.tar" in {one["path"] for one in listed if one["proven"]}


def test_a_diverged_replica_is_captured_and_rewound(tmp_path: Path) -> None:
    verify(QUICK, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("case", CASES, ids=lambda each: each.scenario)
def test_a_broken_cluster_is_repaired(case: Case, tmp_path: Path) -> None:
    verify(case, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_must_not_be_touched_is_refused_and_nothing_is_changed(name: str, tmp_path: Path) -> None:
    scenario = next(each for each in load.all_scenarios() if each.name == name)
    with run.start(scenario, None, keep=False, say=lambda _message: None) as lab:
        run.reach(lab, scenario)
        before = picture(lab)
        code, answer = tool(lab, tmp_path)("repair", *CLUSTER, "--yes")
        assert code == 21, answer
        (error,) = answer["errors"]
        assert (error["code"], bool(error["hint"])) == (REFUSED[name], True), error
        assert picture(lab) == before


@pytest.mark.long
@pytest.mark.parametrize("spaces", [("fast",), ()], ids=["tablespace", "room"])
def test_log_volumes_and_tablespaces_are_cloned_with_the_member(
    spaces: tuple[str, ...], tmp_path: Path
) -> None:
    """W25. Without tablespaces there is room to keep the old data and its log for a while."""
    declared = [{"name": name, "storage": {"size": "128Mi"}, "owner": {"name": "app"}} for name in spaces]
    spec = {"walStorage": {"size": "384Mi"}, "tablespaces": declared}
    with Lab.up(volume_size="512Mi", time_scale=0.2, spec=spec) as lab:
        where = "TABLESPACE fast" if spaces else ""
        lab.psql("pg-1", f"CREATE TABLE spread {where} AS SELECT generate_series(1, 1000) AS n")
        before = picture(lab)
        hasteward, writer = tool(lab, tmp_path), Writer(lab)
        with writer.at_work():
            code, answer = hasteward("repair", *CLUSTER, "--yes", "--no-escrow", "-i", "3", "--force")
        assert code == 0, answer["said"]
        assert ("the old stays until it streams" in answer["said"]) is not bool(spaces)
        everything_is_well(lab, writer.acknowledged)
        assert picture(lab) == before
        log = lab.exec("pg-3", ["readlink", "/var/lib/postgresql/data/pgdata/pg_wal"]).stdout.decode()
        assert log.strip() == "/var/lib/postgresql/wal/pg_wal"
        assert lab.psql("pg-3", "SELECT count(*) FROM spread") == "1000"


@pytest.mark.long
def test_what_a_restart_has_not_helped_is_not_restarted_again_and_made_anew_when_it_is_named(
    tmp_path: Path,
) -> None:
    """Its server dies at every start, for a reason that nothing knows."""
    with Lab.up(volume_size="512Mi", time_scale=0.2) as lab:
        lab.exec("pg-3", ["truncate", "-s", "0", "/var/lib/postgresql/data/pgdata/global/pg_filenode.map"])
        lab.kill("pg-3")
        lab.wait(lambda: not lab.pod("pg-3")["status"]["containerStatuses"][0]["ready"], 30)
        before, hasteward, writer = picture(lab), tool(lab, tmp_path), Writer(lab)
        repair = ("repair", *CLUSTER, "--yes", "--no-escrow", "--heal-timeout")
        with writer.at_work():
            done: list[str] = []
            while len(set(done) - {"wait"}) < 2:
                code, answer = hasteward(*repair, "15")
                assert code == 20, answer["said"]
                done.append(_what_was_done(answer))
                assert len(done) < 20, done
                time.sleep(2)
            assert [one for one in done if one != "wait"] == ["restart", "nothing"]
            (skipped,) = (line for line in answer["data"]["skipped"] if line.startswith("pg-3"))
            assert skipped.endswith("one more restart would not help, and repair -i 3 makes it anew")
            code, answer = hasteward(*repair, "120", "-i", "3")
        assert code == 0, answer["said"]
        assert [one["remediation"] for one in answer["data"]["treated"]] == ["reseed"]
        everything_is_well(lab, writer.acknowledged)
        assert picture(lab) == before


def _what_was_done(answer: dict[str, Any]) -> str:
    treated = [str(one["remediation"]) for one in answer["data"]["treated"]]
    return treated[0] if treated else "wait" if answer["data"]["waiting"] else "nothing"
