"""Ratios against the raw tools, in one run on one machine: `make bench`.

Both ways go through the same API server of one lab, in turn, each into a repository of its own; what counts
is the ratio of the medians, because the absolute times are those of this machine.

usage: run.py [--megabytes N] [--rounds N] [--write]       --write keeps docs/reference/performance.md
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from measure import Taken, hasteward, machine, median_of, page_of, pipe, run, versions

from hasteward_lab.lab import Lab

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "performance.md"
VERBS = ("", "init", "backup", "get", "restore", "export", "triage", "engines", "doctor", "config", "version")
#: a row of some 420 bytes that compresses to a half, as business data does
FILL = """CREATE TABLE big AS SELECT i, md5(i::text) a, md5((-i)::text) || repeat(md5((i % 997)::text), 10) b
FROM generate_series(1, {rows}) i"""
ROW_BYTES = 420
RAW_DUMP = "kubectl exec -n {namespace} {member} -c postgres -- pg_dumpall -U postgres"
RAW_LOAD = "kubectl exec -i -n {namespace} {member} -c postgres -- psql -X -q -U postgres -d postgres"
Row = tuple[str, ...]


@dataclass
class Bench:
    """One lab with data, and a repository for each way."""

    lab: Lab
    folder: Path
    rounds: int
    environment: dict[str, str]
    ours: list[Taken] = field(default_factory=list)

    @property
    def where(self) -> tuple[str, ...]:
        """The flags that name the cluster."""
        return ("-e", "cnpg", "-n", self.lab.namespace, "-c", self.lab.cluster)

    def fresh(self, name: str) -> dict[str, str]:
        """The environment for a new repository."""
        at = str(self.folder / name)
        environment = self.environment | {"HASTEWARD_BACKUPS_PATH": at, "RESTIC_REPOSITORY": at}
        run(["restic", "init", "-q"], **environment)
        return environment


def row(what: str, raw: float, ours: float, unit: str = "s") -> Row:
    """Raw against ours; the ratio is of speeds, so that 1 or more means not slower."""
    return what, f"{raw:.2f} {unit}", f"{ours:.2f} {unit}", f"{raw / ours:.2f}"


def settled(lab: Lab) -> Lab:
    """What the last run left the servers to do is done before the next one is measured."""
    lab.psql(lab.primary, "CHECKPOINT")
    ask = "SELECT bool_and(replay_lsn >= pg_current_wal_flush_lsn()) FROM pg_stat_replication"
    lab.wait(lambda: lab.psql(lab.primary, ask) == "t", timeout=120)
    return lab


def backups(bench: Bench) -> Iterator[Row]:
    """Into fresh repositories, in turn, and first one way then the other: what comes first finds the servers
    cold. Then once more with nothing changed, and restic by itself.
    """
    planned = hasteward("backup", *bench.where, "--dry-run", **bench.fresh("planned"))
    dump = RAW_DUMP.format(namespace=bench.lab.namespace, member=planned.data["member"])
    save = "restic backup -q --stdin --stdin-filename raw.sql"
    pipe(f"{dump} >{bench.folder}/raw.sql", **bench.environment)
    raw, alone = [], []

    def ours(turn: int) -> None:
        bench.ours.append(hasteward("backup", *bench.where, **bench.fresh(f"ours{turn}")))

    def by_hand(turn: int) -> None:
        raw.append(pipe(f"{dump} | {save}", **bench.fresh(f"raw{turn}")))

    for turn in range(bench.rounds):
        for way in (ours, by_hand) if turn % 2 else (by_hand, ours):
            settled(bench.lab)
            way(turn)
        alone.append(pipe(f"cat {bench.folder}/raw.sql | {save}", **bench.fresh(f"alone{turn}")))
    wall = statistics.median(taken.wall for taken in bench.ours)
    size = bench.ours[0].data["size"]
    what = f"backup of {size / 1e6:.0f} MB, raw: kubectl exec pg_dumpall \\| restic"
    yield row(what, statistics.median(raw), wall)
    yield row("the same, raw: cat FILE \\| restic, no cluster at all", statistics.median(alone), wall)
    again = [
        hasteward("backup", *bench.where, **store(bench, "ours0")).wall,
        pipe(f"{dump} | {save}", **store(bench, "raw0")),
    ]
    yield row("second backup, nothing changed", again[1], again[0])


def store(bench: Bench, name: str) -> dict[str, str]:
    """The environment for a repository that is there."""
    at = str(bench.folder / name)
    return bench.environment | {"HASTEWARD_BACKUPS_PATH": at, "RESTIC_REPOSITORY": at}


def restores(bench: Bench) -> Iterator[Row]:
    """One database from the same snapshot, in turn, and first one way then the other. Both load beside the
    live database: ours swaps it out and keeps it, the raw way needs it out of the way by another name first.
    Whoever had it to himself would write to memory that was in use a moment ago, the other to new one.
    """
    lab, saved, environment = bench.lab, bench.ours[0].data, store(bench, "ours0")
    load = RAW_LOAD.format(namespace=lab.namespace, member=lab.primary)

    def ours() -> float:
        flags = ("--snapshot", saved["snapshot"], "--database", "app", "--yes")
        return hasteward("restore", *bench.where, *flags, **environment).wall

    def raw() -> float:
        lab.psql(lab.primary, "ALTER DATABASE app RENAME TO hasteward_old")
        return pipe(f"restic dump {saved['snapshot']} /{saved['path']} | {load}", **environment)

    taken: dict[Callable[[], float], list[float]] = {ours: [], raw: []}
    for turn in range(bench.rounds):
        for way in (ours, raw) if turn % 2 else (raw, ours):
            taken[way].append(way())
            assert lab.psql(lab.primary, "SELECT count(*) > 0 FROM big", "app") == "t"
            rested(lab)
    yield row(
        "restore, raw: restic dump \\| kubectl exec -i psql",
        statistics.median(taken[raw]),
        statistics.median(taken[ours]),
    )


def rested(lab: Lab) -> Lab:
    """The replaced database is dropped, and nothing is left for autovacuum to do in the next run."""
    old = "SELECT datname FROM pg_database WHERE datname LIKE 'hasteward_old%'"
    for name in lab.psql(lab.primary, old).split():
        lab.psql(lab.primary, f'DROP DATABASE "{name}" WITH (FORCE)')
    lab.psql(lab.primary, "VACUUM (FREEZE, ANALYZE) big", "app")
    return settled(lab)


def ourselves(bench: Bench) -> Iterator[Row]:
    """What hasteward's own process takes; restic and the servers are not in it."""
    size = bench.ours[0].data["size"]
    triage = [hasteward("triage", *bench.where, **bench.environment) for _ in range(bench.rounds * 3)]
    idle = statistics.median(taken.cpu for taken in triage)
    cpu = (statistics.median(taken.cpu for taken in bench.ours) - idle) / size * 1e9
    yield "own processor time of a backup", f"{cpu:.2f} s/GB", "2.50 s/GB"
    yield "memory of a backup, at most", f"{max(taken.mib for taken in bench.ours):.0f} MiB", "100 MB"
    yield (
        "triage of three members, wall",
        f"{statistics.median(taken.wall for taken in triage):.2f} s",
        "1.50 s",
    )
    yield "triage, own processor time", f"{idle:.2f} s", ""


def startup() -> Iterator[Row]:
    """`--help` of the root and of every command, against a bare Python."""
    bare = median_of(9, lambda: run([sys.executable, "-c", "pass"]))
    yield "python -c pass", f"{bare * 1000:.0f} ms", "1.0"
    for verb in VERBS:
        argv = ["hasteward", *([verb] if verb else []), "--help"]
        wall = median_of(7, lambda argv=argv: run(argv))
        yield " ".join(argv), f"{wall * 1000:.0f} ms", f"{wall / bare:.1f}"


def table(heads: Row, rows: Iterator[Row]) -> Iterator[str]:
    """A table in Markdown; each row is shown as soon as it is known."""
    yield ""
    for cells in chain((heads, tuple("---" for _ in heads)), rows):
        line = f"| {' | '.join(cells)} |"
        print(line, flush=True)
        yield line


def measured(megabytes: int, rounds: int) -> Iterator[str]:
    """Every line of the page."""
    volume = f"{max(1024, megabytes * 6)}Mi"
    with Lab.up(volume_size=volume) as lab, tempfile.TemporaryDirectory(prefix="hasteward-bench-") as scratch:
        lab.psql(lab.primary, FILL.format(rows=megabytes * 1_000_000 // ROW_BYTES), "app")
        rested(lab)
        environment = {
            "KUBECONFIG": str(lab.kubeconfig),
            "RESTIC_PASSWORD": "correct horse",
            "XDG_STATE_HOME": scratch,
            "RESTIC_CACHE_DIR": f"{scratch}/cache",
        }
        bench = Bench(lab, Path(scratch), rounds, environment)
        when = datetime.now(UTC).date()
        yield "# Performance"
        yield ""
        yield "<!-- Made by `make bench`; do not edit. -->"
        yield ""
        yield f"Measured {when} on {machine()}; {versions(lab)}; hasteward against the tools it stands on."
        yield (
            f"Medians of {rounds} runs in turn with {megabytes} MB of rows; three members in the lab, one"
            " API server for both."
        )
        yield (
            "What a run takes whatever its size (to start, to open the store, to ask and to check) is in the"
            " times: of a small database it is most of them."
        )
        yield from table(("", "raw", "hasteward", "ratio"), chain(backups(bench), restores(bench)))
        settled(lab)
        yield from table(("hasteward itself", "", "promised at most"), ourselves(bench))
        yield from table(("start-up", "", "times bare Python"), startup())


if __name__ == "__main__":
    page_of("hasteward against the raw tools", PAGE, measured, megabytes=2500, rounds=5)
