"""Ratios against the raw tools, in one run on one machine: `make bench`.

Start-up: every `--help` against a bare Python. Backup: `hasteward backup` against
`kubectl exec ... pg_dumpall | restic backup --stdin` through the same API server. Absolute times of a shared
machine mean little; the ratio of medians, measured in turn, does.
"""

from __future__ import annotations

import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from hasteward_lab.lab import Lab

VERBS = ("", "init", "backup", "get", "restore", "export", "triage", "engines", "doctor", "config", "version")
FILL = """CREATE TABLE big AS SELECT i, md5(i::text) a, repeat(md5((i % 997)::text), 8) b
FROM generate_series(1, {rows}) i"""


def timed(command: Callable[[], object]) -> tuple[float, float]:
    """Wall seconds and CPU seconds of the processes that a command started."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    command()
    wall = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run(*argv: str, **environment: str) -> None:
    """Run quietly; a failure is a traceback."""
    subprocess.run(
        argv, check=True, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def startup() -> None:
    """`--help` of the root and of every command."""
    bare = statistics.median(timed(lambda: run(sys.executable, "-c", "pass"))[0] for _ in range(9))
    print(f"{'start-up':<28}{'ms':>8}{'x bare python':>16}")
    print(f"{'python -c pass':<28}{bare * 1000:>8.0f}{1.0:>16.1f}")
    for verb in VERBS:
        argv = ["hasteward", *([verb] if verb else []), "--help"]
        wall = statistics.median(timed(lambda argv=argv: run(*argv))[0] for _ in range(7))
        print(f"{' '.join(argv):<28}{wall * 1000:>8.0f}{wall / bare:>16.1f}")


def backup(rows: int, rounds: int) -> None:
    """Both ways to back up, in turn, into fresh repositories."""
    with Lab.up(volume_size="2Gi") as lab, tempfile.TemporaryDirectory() as folder:
        lab.psql(lab.primary, FILL.format(rows=rows), "app")
        size = int(lab.psql(lab.primary, "SELECT pg_table_size('big')", "app"))
        environment = {
            "KUBECONFIG": str(lab.kubeconfig),
            "RESTIC_PASSWORD": "bench",
            "XDG_STATE_HOME": folder,
            "RESTIC_CACHE_DIR": f"{folder}/cache",
        }
        pipe = (
            f"kubectl exec -n {lab.namespace} pg-2 -c postgres -- pg_dumpall -U postgres"
            " | restic backup -q --stdin --stdin-filename raw.sql"
        )
        where = ("-e", "cnpg", "-n", lab.namespace, "-c", lab.cluster)
        ours, raw = [], []
        for turn in range(rounds):
            for name, results in (("ours", ours), ("raw", raw)):
                repository = f"{folder}/{name}{turn}"
                extra = environment | {"HASTEWARD_BACKUPS_PATH": repository, "RESTIC_REPOSITORY": repository}
                run("restic", "init", "-q", **extra)
                argv = ("hasteward", "backup", *where) if name == "ours" else ("sh", "-c", pipe)
                results.append(timed(lambda argv=argv, extra=extra: run(*argv, **extra)))
        table(size, ours, raw)


def table(size: int, ours: list[tuple[float, float]], raw: list[tuple[float, float]]) -> None:
    """Medians and the ratio of speeds (above 1: faster than the raw pipe)."""
    print(f"\n{f'backup of {size / 1e6:.0f} MB':<28}{'wall s':>8}{'CPU s':>8}{'speed against raw':>20}")
    walls = [statistics.median(wall for wall, _ in results) for results in (raw, ours)]
    cpus = [statistics.median(cpu for _, cpu in results) for results in (raw, ours)]
    print(f"{'kubectl exec | restic':<28}{walls[0]:>8.1f}{cpus[0]:>8.1f}{1.0:>20.2f}")
    print(f"{'hasteward backup':<28}{walls[1]:>8.1f}{cpus[1]:>8.1f}{walls[0] / walls[1]:>20.2f}")


def main() -> None:
    """Print every table."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    startup()
    backup(rows=int(os.environ.get("BENCH_ROWS", "1000000")), rounds=3)


if __name__ == "__main__":
    main()
