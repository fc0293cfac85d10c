"""What crashes leaves no memory on disk: not hasteward, and nothing that it has started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

#: a restic that tells what it was given, and then crashes as a program does
RESTIC = """#!/bin/sh
grep -i 'core file size' /proc/self/limits >> "${0%/*}/seen"
kill -SEGV $$
"""

#: the person's own shell allows core dumps, as far as the machine lets it
ALLOWED = ("sh", "-c", 'ulimit -c "$(ulimit -Hc)"; exec "$@"', "sh")


@pytest.fixture
def seen(tmp_path: Path) -> str:
    restic = tmp_path / "restic"
    restic.write_text(RESTIC)
    restic.chmod(0o755)
    done = subprocess.run(
        [*ALLOWED, sys.executable, "-m", "hasteward.cli.main", "get", "backups", "--backups-path", "store"],
        env={
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "RESTIC_PASSWORD": "open sesame",
        },
        cwd=tmp_path,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 4, done.stderr
    left = sorted(path.name for path in tmp_path.rglob("*core*"))
    assert left == []
    return (tmp_path / "seen").read_text()


def test_a_child_that_crashes_leaves_no_core_dump(seen: str) -> None:
    limits = [line.split()[4:6] for line in seen.splitlines() if "core" in line]

    assert limits
    assert all(line == ["0", "0"] for line in limits), seen


OURSELVES = """
import ctypes, os, signal, sys
from hasteward.adapters.system import leave_no_core_dump
leave_no_core_dump()
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), flush=True)  # PR_GET_DUMPABLE
os.kill(os.getpid(), signal.SIGSEGV)
"""


def test_we_leave_no_core_dump(tmp_path: Path) -> None:
    done = subprocess.run(
        [*ALLOWED, sys.executable, "-c", OURSELVES], cwd=tmp_path, capture_output=True, check=False, text=True
    )

    assert (done.stdout, done.returncode) == ("0\n", -11)
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_asks_for_it_before_it_knows_a_password() -> None:
    script = (
        "import sys\n"
        "from hasteward.adapters import system\n"
        "from hasteward.cli import run\n"
        "system.leave_no_core_dump = lambda: print('no core dump')\n"
        "run.run = lambda *_: print('run') or 0\n"
        "from hasteward.cli.main import main\n"
        "sys.argv = ['hasteward', 'version']\n"
        "sys.exit(main())\n"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, text=True)

    assert (done.stdout, done.stderr, done.returncode) == ("no core dump\nrun\n", "", 0)
