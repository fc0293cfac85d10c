"""Running a command and knowing what it took: wall time, and for hasteward its own CPU time and memory."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: the command line with a note, at its end, of what its process took; restic's share is not in it
NOTED = """
import json, os, resource, sys
from hasteward.cli.main import main
try:
    status = main()
finally:
    used = resource.getrusage(resource.RUSAGE_SELF)
    peak = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
    with open(os.environ["BENCH_NOTE"], "w") as note:
        json.dump({"cpu": used.ru_utime + used.ru_stime, "kib": peak}, note)
sys.exit(status)
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """What one run of hasteward took, and the `data` it answered with."""

    wall: float
    cpu: float
    mib: float
    data: Mapping[str, Any]


def run(argv: Sequence[str], **environment: str) -> float:
    """Run quietly and return the wall seconds; a failure ends the measurement with what was said."""
    begun = time.perf_counter()
    done = subprocess.run(
        argv, check=False, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    wall = time.perf_counter() - begun
    if done.returncode:
        sys.exit(f"{' '.join(argv)}: exit status {done.returncode}\n{done.stderr.decode(errors='replace')}")
    return wall


def pipe(line: str, **environment: str) -> float:
    """Run a pipe of which every part must succeed."""
    return run(["bash", "-c", f"set -o pipefail; {line}"], **environment)


def hasteward(*argv: str, **environment: str) -> Taken:
    """Run a command of ours."""
    with tempfile.NamedTemporaryFile("r", suffix=".json") as note:
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", NOTED, *argv, "--output", "json"],
            check=False,
            env=os.environ | environment | {"BENCH_NOTE": note.name},
            capture_output=True,
            text=True,
        )
        wall = time.perf_counter() - begun
        # replicas may still be replaying what was restored: then triage ends with 20
        if done.returncode and (argv[0], done.returncode) != ("triage", 20):
            sys.exit(f"hasteward {' '.join(argv)}: exit status {done.returncode}\n{done.stderr}")
        noted = json.load(note)
    return Taken(wall, noted["cpu"], noted["kib"] / 1024, json.loads(done.stdout)["data"])


def median_of(rounds: int, once: Callable[[], float]) -> float:
    """The median of several runs."""
    return statistics.median(once() for _ in range(rounds))


def machine() -> str:
    """What was measured on, in one line."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        os.uname().machine,
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = os.uname()
    return (
        f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB; {system.sysname} {system.release.split('-')[0]}"
    )


def versions(lab: Any) -> str:
    """The programs that took part."""
    restic = subprocess.run(["restic", "version"], capture_output=True, text=True, check=True).stdout.split()[
        1
    ]
    postgres = lab.psql(lab.primary, "SHOW server_version").split()[0]
    python = ".".join(map(str, sys.version_info[:3]))
    return f"Python {python}, restic {restic}, PostgreSQL {postgres}"


def page_of(
    what: str, page: Path, measured: Callable[[int, int], Iterable[str]], *, megabytes: int, rounds: int
) -> None:
    """Measure as the command line asks, and with ``--write`` keep the lines as `page`."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument(
        "--megabytes", type=int, default=megabytes, help=f"size of the database (default: {megabytes})"
    )
    parser.add_argument("--rounds", type=int, default=rounds, help=f"runs of each way (default: {rounds})")
    parser.add_argument("--write", action="store_true", help=f"keep the tables as {page.name}")
    chosen = parser.parse_args()
    lines = list(measured(chosen.megabytes, chosen.rounds))
    if chosen.write:
        page.write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"wrote {page}", file=sys.stderr)
