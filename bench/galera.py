"""Galera against its own client programs over the same API server of one lab, in turn: `make bench`.

usage: galera.py [--megabytes N] [--rounds N] [--write]       --write keeps performance-galera.md
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from measure import hasteward, machine, page_of, pipe
from run import Bench, Row, ourselves, row, store, table

from hasteward_lab.mariadb import hand

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "performance-galera.md"
SCHEMA = "CREATE DATABASE app; CREATE TABLE app.big (i BIGINT PRIMARY KEY, a CHAR(32), b VARCHAR(400))"
#: a row of some 420 bytes that compresses to a half; in parts, because a transaction is one write-set
FILL = """USE app; INSERT INTO big SELECT seq, MD5(seq), CONCAT(MD5(-seq), REPEAT(MD5(seq MOD 997), 10))
FROM seq_{first}_to_{last}"""
ROW_BYTES = 420
PART = 40_000
CLIENT = 'exec "$0" -uroot -p"$MARIADB_ROOT_PASSWORD" "$@"'
DUMP = (
    f"kubectl exec -n {{namespace}} {{member}} -c mariadb -- sh -c '{CLIENT}' mariadb-dump"
    " --single-transaction --quick --routines --events --triggers --databases app"
)
LOAD = f"kubectl exec -i -n {{namespace}} {{member}} -c mariadb -- sh -c '{CLIENT}' mariadb"


@dataclass
class GaleraBench(Bench):
    """A lab with three members, and a repository for each way."""

    @property
    def where(self) -> tuple[str, ...]:
        """The flags that name the cluster."""
        return ("-e", "galera", "-n", self.lab.namespace, "-c", self.lab.cluster)


def fill(bench: Bench, megabytes: int) -> None:
    """Through one member; the others apply it."""
    lab, rows = bench.lab, megabytes * 1_000_000 // ROW_BYTES
    lab.mariadb("db-0", SCHEMA)
    for first in range(1, rows + 1, PART):
        lab.mariadb("db-0", FILL.format(first=first, last=min(rows, first + PART - 1)))
    settled(bench)


def settled(bench: Bench) -> None:
    """Nobody has anything left to apply: what comes next is not measured with what came before."""
    names = [f"{bench.lab.cluster}-{number}" for number in range(3)]
    bench.lab.wait(lambda: all(hand.wsrep(bench.lab, name)["local_recv_queue"] == "0" for name in names), 600)


def backups(bench: Bench) -> Iterator[Row]:
    """Into fresh repositories, in turn, from the same member."""
    raw: list[float] = []
    for turn in range(bench.rounds):
        bench.ours.append(hasteward("backup", *bench.where, **bench.fresh(f"ours{turn}")))
        member = bench.ours[0].data["member"]
        dump = DUMP.format(namespace=bench.lab.namespace, member=member)
        save = "restic backup -q --stdin --stdin-filename raw.sql"
        raw.append(pipe(f"{dump} | {save}", **bench.fresh(f"raw{turn}")))
    size = bench.ours[0].data["size"]
    yield row(
        f"backup of {size / 1e6:.0f} MB, raw: kubectl exec mariadb-dump \\| restic",
        statistics.median(raw),
        statistics.median(taken.wall for taken in bench.ours),
    )


def restores(bench: Bench) -> Iterator[Row]:
    """The schema from the same snapshot, in turn. The raw way has an empty place, and compares nothing."""
    lab, saved, environment = bench.lab, bench.ours[0].data, store(bench, "ours0")
    load = LOAD.format(namespace=lab.namespace, member="db-0")
    raw, ours = [], []
    for _ in range(bench.rounds):
        flags = ("--snapshot", saved["snapshot"], "--database", "app", "--yes", "--no-keep-old")
        ours.append(hasteward("restore", *bench.where, *flags, **environment).wall)
        settled(bench)
        lab.mariadb("db-0", "DROP DATABASE app")
        raw.append(pipe(f"restic dump {saved['snapshot']} /{saved['path']} | {load}", **environment))
        settled(bench)
        assert int(lab.mariadb("db-2", "SELECT COUNT(*) > 0 FROM app.big"))
    yield row(
        "restore, raw: restic dump \\| kubectl exec -i mariadb",
        statistics.median(raw),
        statistics.median(ours),
    )


def versions(bench: Bench) -> str:
    """The programs that took part."""
    done = subprocess.run(["restic", "version"], capture_output=True, text=True, check=True)
    python = ".".join(map(str, sys.version_info[:3]))
    server = bench.lab.mariadb("db-0", "SELECT VERSION()").strip()
    return f"Python {python}, restic {done.stdout.split()[1]}, MariaDB {server}"


def measured(megabytes: int, rounds: int) -> Iterator[str]:
    """Every line of the page."""
    load, volume = os.getloadavg()[0], f"{max(1024, megabytes * 6)}Mi"
    with (
        hand.well(volume_size=volume) as lab,
        tempfile.TemporaryDirectory(prefix="hasteward-bench-") as scratch,
    ):
        environment = {
            "KUBECONFIG": str(lab.kubeconfig),
            "RESTIC_PASSWORD": "correct horse",
            "XDG_STATE_HOME": scratch,
            "RESTIC_CACHE_DIR": f"{scratch}/cache",
        }
        bench = GaleraBench(lab, Path(scratch), rounds, environment)
        fill(bench, megabytes)
        yield "# Performance with Galera"
        yield ""
        yield "<!-- Made by `make bench`; do not edit. -->"
        yield ""
        yield f"Measured {datetime.now(UTC).date()} on {machine()}; {versions(bench)}."
        yield f"Medians of {rounds} runs in turn; three members share the cores; one API server for both."
        yield f"Load of the machine before it began: {load:.1f}."
        yield from table(("", "raw", "hasteward", "ratio"), chain(backups(bench), restores(bench)))
        yield from table(("hasteward itself", "", "promised at most"), ourselves(bench))


if __name__ == "__main__":
    page_of("Galera against its own client programs", PAGE, measured, megabytes=1000, rounds=3)
