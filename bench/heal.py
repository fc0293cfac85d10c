"""Time to healthy: `hasteward repair` of one member by restart, rewind and reseed, and where the time goes.

Each way has a lab of its own with a scenario in which it is the least that helps. Every act of the repair is
timed from the moment it is announced to the moment it is done, and counts as one of three: data movement
(pg_rewind, pg_basebackup, a capture), waiting (for the operator, the kubelet, the server: a repair by hand
would wait as long), and the rest, which is ours: starting up, triage, gates, journal, and the acts between.

usage: heal.py [--megabytes N] [--rounds N] [--write]      --write keeps docs/reference/time-to-healthy.md
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from measure import machine, page_of, versions
from run import FILL, ROW_BYTES, table

from hasteward_lab.lab import Lab
from hasteward_lab.scenarios import load
from hasteward_lab.scenarios.run import reach, start

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "time-to-healthy.md"
#: what is promised of our own share: so many seconds, and this part of the data movement
SECONDS, PART = 3.0, 0.05
#: at most so much at a time, for some scenarios allow a slot little log
STEP_MEGABYTES = 8
#: how an act begins, in its own words, and what its time counts as
ACTS = {
    "rewind ": "data",
    "clone ": "data",
    "capture ": "data",
    "fence ": "waits",
    "delete pod ": "waits",
    "start a helper pod ": "waits",
    "wait until ": "waits",
    "delete the helper pod ": "waits",
    "let the operator work again": "waits",
    "take our fence ": "waits",
    "tell the operator to look away": "ours",
    "read the position ": "ours",
    "give the ": "ours",
    "swap the data ": "ours",
    "delete the data ": "ours",
    "delete what was put aside ": "ours",
}


@dataclass(frozen=True)
class Way:
    """A remedy, the scenario that needs it, and when the operator comes back: at once, or when it may."""

    remedy: str
    scenario: str
    late: bool = True


WAYS = (
    Way("restart", "receiver-certificate-rejected", late=False),
    Way("rewind", "stale-restore-highest-timeline"),
    Way("reseed", "slot-lost"),
)


@dataclass
class Split:
    """Seconds of one repair."""

    total: float = 0.0
    data: float = 0.0
    waits: float = 0.0
    acts: list[tuple[str, float]] = field(default_factory=list)

    @property
    def ours(self) -> float:
        """What neither moves data nor waits."""
        return self.total - self.data - self.waits

    @property
    def promised(self) -> float:
        """The most that ours may be."""
        return SECONDS + PART * self.data


def counts_as(text: str) -> str:
    """Which of the three an act is; one that is not known here ends the measurement."""
    found = [kind for words, kind in ACTS.items() if text.startswith(words)]
    return found[0] if found else sys.exit(f"heal.py does not know what {text!r} counts as")


def repaired(lab: Lab, way: Way) -> Split:
    """One repair, as a person runs it."""
    argv = ["repair", "-e", "cnpg", "-c", lab.cluster, "-n", lab.namespace, "-i", "3", "--yes", "--no-escrow"]
    back = threading.Thread(target=operator_returns, args=(lab,), kwargs={"late": way.late})
    split, begun = Split(), time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "hasteward.cli.main", *argv, "--output", "jsonl"],
        env={"PATH": "/usr/bin:/bin", "KUBECONFIG": str(lab.kubeconfig), "HOME": "/nonexistent"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    back.start()
    assert process.stdout is not None
    assert process.stderr is not None
    since = begun
    for line in process.stdout:
        now, event = time.perf_counter(), json.loads(line)
        if event.get("phase") == "heal" and event["type"] == "phase":
            since = now
        elif event.get("phase") == "heal" and event["type"] == "step":
            kind = counts_as(event["message"])
            split.acts.append((event["message"], now - since))
            if kind != "ours":
                setattr(split, kind, getattr(split, kind) + now - since)
    status = process.wait()
    split.total = time.perf_counter() - begun
    back.join()
    if status:
        sys.exit(f"repair by {way.remedy}: exit status {status}\n{process.stderr.read()}")
    return split


def operator_returns(lab: Lab, *, late: bool) -> None:
    """The network heals and the operator comes back; one that may not help by itself, once it is paused."""
    deadline = time.monotonic() + 300
    while late and time.monotonic() < deadline:
        annotations: dict[str, Any] = lab.cluster_object()["metadata"].get("annotations") or {}
        if annotations.get("cnpg.io/reconciliationLoop"):
            break
        time.sleep(0.05)
    lab.chaos.heal()
    lab.operator_up()


def fill(lab: Lab, megabytes: int) -> None:
    """Write so much, and let both replicas have it before there is more."""
    lab.psql("pg-1", FILL.format(rows=1), "app")
    lag = "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn()"
    insert = FILL.replace("CREATE TABLE big AS", "INSERT INTO big")
    for _ in range(max(1, megabytes // STEP_MEGABYTES)):
        lab.psql("pg-1", insert.format(rows=STEP_MEGABYTES * 1_000_000 // ROW_BYTES), "app")
        lab.wait(lambda: lab.psql("pg-1", lag) == "2", 120)
    lab.psql("pg-1", "CHECKPOINT")


def measured(way: Way, megabytes: int) -> tuple[Split, str]:
    """One lab, filled, broken and repaired; and what took part."""
    found = next(one for one in load.all_scenarios() if one.name == way.scenario)
    # the new data beside the old, and log
    room = {"volume_size": f"{megabytes * 3 + 1024}Mi"}
    with start(found.model_copy(update=room), None, keep=False, say=lambda _message: None) as lab:
        fill(lab, megabytes)
        reach(lab, found)
        return repaired(lab, way), versions(lab)


def rows(megabytes: int, rounds: int, seen: list[str]) -> Iterator[tuple[str, ...]]:
    """One per way; medians."""
    for way in WAYS:
        splits = []
        for _ in range(rounds):
            split, programs = measured(way, megabytes)
            splits.append(split)
            seen[:] = [programs]
        middle = sorted(splits, key=lambda one: one.ours)[len(splits) // 2]
        for text, seconds in middle.acts:
            print(f"    {seconds:6.2f} s  {text}", file=sys.stderr)
        total = statistics.median(one.total for one in splits)
        numbers = (total, middle.ours, middle.promised, middle.data, middle.waits)
        yield (way.remedy, *(f"{number:.2f} s" for number in numbers))


def page(megabytes: int, rounds: int) -> Iterator[str]:
    """Every line of the page."""
    seen: list[str] = []
    heads = ("repair by", "until healthy", "ours", "promised at most", "data movement", "waits")
    lines = list(table(heads, rows(megabytes, rounds, seen)))
    yield "# Time to healthy"
    yield ""
    yield "<!-- Made by `make bench`; do not edit. -->"
    yield ""
    yield f"Measured {datetime.now(UTC).date()} on {machine()}; {''.join(seen)}."
    yield f"One member of three in the lab, with {megabytes} MB of rows, {rounds} runs of each way."
    yield "Waits are for the operator, the kubelet and the server; the lab's operator waits a tenth as long."
    yield from lines


if __name__ == "__main__":
    page_of("how long a repair takes, and what for", PAGE, page, megabytes=2000, rounds=1)
