"""Repairs of the lab's broken clusters on real PostgreSQL, as a person runs them, with clients writing on.

Afterwards every member streams on one timeline, a write arrives everywhere, every commit that was
acknowledged is there, and nothing of ours is left: no annotation, pod, journal or file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hasteward_lab.lab import Lab
from hasteward_lab.scenarios import load, run
from hasteward_lab.state import LabError

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]

TOOLS = Path(__file__).parents[3] / ".tools" / "bin"
CLUSTER = ("-e", "cnpg", "-c", "pg", "-n", "db")
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
    Case("crash-looping-not-a-child", {"pg-3": "rewind"}, ("-i", "3", "--force"), captured="pg-3"),
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


@dataclass
class Writer:
    """Clients that commit all the time, and a ledger of what was acknowledged to them."""

    lab: Lab
    acknowledged: list[int] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def write(self) -> None:
        for number in range(1, 100_000):
            if self._stop.wait(0.1):
                return
            try:
                self.lab.psql("pg-1", f"INSERT INTO acknowledged VALUES ({number})")  # noqa: S608  a number
            except LabError:
                continue
            self.acknowledged.append(number)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        self.lab.psql("pg-1", "CREATE TABLE acknowledged (n int)")
        thread = threading.Thread(target=self.write)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()


@dataclass
class Tool:
    """hasteward, in processes of its own."""

    environment: dict[str, str]

    def __call__(self, *argv: str) -> tuple[int, dict[str, Any]]:
        done = subprocess.run(
            [sys.executable, "-m", "hasteward.cli.main", *argv, "--output", "json"],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        envelope: dict[str, Any] = json.loads(done.stdout or "{}")
        return done.returncode, envelope | {"said": done.stderr}


def tool(lab: Lab, folder: Path) -> Tool:
    (folder / "password").write_text("a password for the test")
    (folder / "password").chmod(0o600)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HASTEWARD", "RESTIC"))}
    own = {
        "PATH": f"{TOOLS}:{os.environ['PATH']}",
        "KUBECONFIG": str(lab.kubeconfig),
        "HASTEWARD_BACKUPS_PATH": str(folder / "repository"),
        "RESTIC_PASSWORD_FILE": str(folder / "password"),
        "XDG_STATE_HOME": str(folder),
        "XDG_CACHE_HOME": str(folder),
    }
    made = Tool(kept | own)
    assert made("init")[0] == 0
    return made


def _operator_returns(lab: Lab, over: threading.Event, *, late: bool) -> None:
    """The network heals and the operator comes back: at once, or once it is told to look away."""
    while late and not over.is_set():
        annotations = lab.cluster_object()["metadata"].get("annotations") or {}
        if annotations.get(PAUSE):
            break
        time.sleep(0.1)
    lab.chaos.heal()
    lab.operator_up()


def _picture(lab: Lab) -> Any:
    """What is others' and must stay."""
    annotations = lab.cluster_object()["metadata"].get("annotations") or {}
    return annotations, sorted(row["metadata"]["name"] for row in lab.get("configmaps"))


def _files(lab: Lab, member: str) -> str:
    script = "ls -d /var/lib/postgresql/*/*hasteward* /var/lib/postgresql/*/*/*hasteward* 2>/dev/null; true"
    return lab.exec(member, ["sh", "-c", script]).stdout.decode().strip()


def everything_is_well(lab: Lab, ledger: list[int]) -> None:
    members = [f"pg-{number}" for number in (1, 2, 3)]
    assert sorted(lab.pods) == members
    lab.psql("pg-1", "CREATE TABLE arrives AS SELECT 1 AS n")
    streams = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
    lab.wait(lambda: lab.psql("pg-1", streams) == "2", 30)
    position = lab.psql("pg-1", "SELECT pg_current_wal_lsn()")
    for member in members[1:]:
        caught = f"SELECT pg_last_wal_replay_lsn() >= '{position}'"
        lab.wait(lambda name=member, sql=caught: lab.psql(name, sql) == "t", 30)  # type: ignore[misc]
    received = "SELECT received_tli FROM pg_stat_wal_receiver"
    timeline = lab.psql("pg-1", "SELECT timeline_id FROM pg_control_checkpoint()")
    assert {lab.psql(member, received) for member in members[1:]} == {timeline}
    for member in members:
        assert lab.psql(member, "SELECT n FROM arrives") == "1"
        held = lab.psql(member, "SELECT coalesce(json_agg(n), '[]') FROM acknowledged")
        assert sorted(set(ledger) - set(json.loads(held))) == [], member
        assert _files(lab, member) == ""


def verify(case: Case, folder: Path) -> None:
    scenario = next(each for each in load.all_scenarios() if each.name == case.scenario)
    with run.start(scenario, None, keep=False, say=lambda _message: None) as lab:
        run.reach(lab, scenario)
        before = _picture(lab)
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
        assert _picture(lab) == before
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
        before = _picture(lab)
        code, answer = tool(lab, tmp_path)("repair", *CLUSTER, "--yes")
        assert code == 21, answer
        (error,) = answer["errors"]
        assert (error["code"], bool(error["hint"])) == (REFUSED[name], True), error
        assert _picture(lab) == before
