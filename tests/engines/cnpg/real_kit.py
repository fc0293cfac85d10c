"""What tests of repairs on real servers share: the tool as a person runs it, clients, a last look."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hasteward_lab.conformance import Hasteward
from hasteward_lab.lab import Lab
from hasteward_lab.state import LabError

CLUSTER = ("-e", "cnpg", "-c", "pg", "-n", "db")
PAUSE = "cnpg.io/reconciliationLoop"


@dataclass
class Writer:
    """Clients that commit all the time, and a ledger of what was acknowledged to them."""

    lab: Lab
    primary: str = "pg-1"
    acknowledged: list[int] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def write(self) -> None:
        for number in range(1, 100_000):
            if self._stop.wait(0.1):
                return
            try:
                self.lab.psql(self.primary, f"INSERT INTO acknowledged VALUES ({number})")  # noqa: S608  a number
            except LabError:
                continue
            self.acknowledged.append(number)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        self.lab.psql(self.primary, "DROP TABLE IF EXISTS acknowledged; CREATE TABLE acknowledged (n int)")
        thread = threading.Thread(target=self.write)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()


@dataclass
class Tool:
    """hasteward, however it ends."""

    hasteward: Hasteward

    @property
    def environment(self) -> dict[str, str]:
        return self.hasteward.environment

    def __call__(self, *argv: str) -> tuple[int, dict[str, Any]]:
        done = self.hasteward(*argv, "--output", "json")
        envelope: dict[str, Any] = json.loads(done.stdout or "{}")
        return done.returncode, envelope | {"said": done.stderr}


def tool(lab: Lab, folder: Path) -> Tool:
    made = Tool(Hasteward.on(lab, folder))
    assert made("init")[0] == 0
    return made


def kill_at(
    hasteward: Tool, argv: tuple[str, ...], strikes: Callable[[str], bool], delay: float = 0.0
) -> tuple[int, list[str]]:
    """SIGKILL, so long after a line that `strikes`; how it ended, and what it had said by then."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hasteward.cli.main", *argv],
        env=hasteward.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if strikes(line):
            time.sleep(delay)
            process.kill()
            break
    process.stderr.close()
    return process.wait(), said


def of(act: str) -> Callable[[str], bool]:
    """The line by which an act begins."""
    return lambda line: line.startswith(f"heal: {act}")


def picture(lab: Lab) -> dict[str, Any]:
    """What is others' and must stay: annotations, what is declared, and the objects beside it."""
    body = lab.cluster_object()
    kinds = ("configmaps", "secrets", "services", "persistentvolumeclaims")
    held = {plural: sorted(row["metadata"]["name"] for row in lab.get(plural)) for plural in kinds}
    # the API server fills the level in when anybody writes to the object
    spec = {key: value for key, value in body["spec"].items() if key != "logLevel"}
    return held | {"annotations": body["metadata"].get("annotations") or {}, "spec": spec}


def files(lab: Lab, member: str) -> str:
    script = "ls -d /var/lib/postgresql/*/*hasteward* /var/lib/postgresql/*/*/*hasteward* 2>/dev/null; true"
    return lab.exec(member, ["sh", "-c", script]).stdout.decode().strip()


def everything_is_well(lab: Lab, ledger: list[int], primary: str = "pg-1") -> None:
    members = sorted(str(name) for name in lab.cluster_object()["status"]["instanceNames"])
    replicas = [member for member in members if member != primary]
    assert sorted(lab.pods) == members
    assert len(members) == lab.cluster_object()["spec"]["instances"]
    lab.psql(primary, "DROP TABLE IF EXISTS arrives; CREATE TABLE arrives AS SELECT 1 AS n")
    streams = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
    lab.wait(lambda: lab.psql(primary, streams) == str(len(replicas)), 30)
    position = lab.psql(primary, "SELECT pg_current_wal_lsn()")
    for member in replicas:
        caught = f"SELECT pg_last_wal_replay_lsn() >= '{position}'"
        lab.wait(lambda name=member, sql=caught: lab.psql(name, sql) == "t", 30)  # type: ignore[misc]
    received = "SELECT received_tli FROM pg_stat_wal_receiver"
    timeline = lab.psql(primary, "SELECT timeline_id FROM pg_control_checkpoint()")
    assert {lab.psql(member, received) for member in replicas} == {timeline}
    for member in members:
        assert lab.psql(member, "SELECT n FROM arrives") == "1"
        held = lab.psql(member, "SELECT coalesce(json_agg(n), '[]') FROM acknowledged")
        assert sorted(set(ledger) - set(json.loads(held))) == [], member
        assert files(lab, member) == ""


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


@contextmanager
def returning(lab: Lab) -> Iterator[None]:
    over = threading.Event()
    back = threading.Thread(target=_returns, args=(lab, over))
    back.start()
    try:
        yield
    finally:
        over.set()
        back.join()
