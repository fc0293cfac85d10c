"""Every branch of domain, streams and pipelines is taken by a test: what cannot be reached is not there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("domain", "streams", "pipelines")
#: gates and the undo of repairs live in pipelines; the tests of a room lie in a folder of its name
TESTS = (
    *(f"tests/core/{room}" for room in ROOMS),
    "tests/core/repair",
    "tests/core/cli/test_engine_options.py",
)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_every_branch_of_domain_streams_and_pipelines_is_taken(tmp_path: Path) -> None:
    measured = [f"--cov=hasteward.{room}" for room in ROOMS]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not long", *TESTS),
            *("--deselect", "tests/core/pipelines/test_fault_sweep.py"),
            *("--cov-branch", "--cov-report=term-missing:skip-covered", "--cov-fail-under=100", *measured),
        ],
        cwd=ROOT,
        env={
            "PATH": str(Path(sys.executable).parent) + ":/usr/bin:/bin",
            "COVERAGE_FILE": str(tmp_path / "cov"),
        },
        capture_output=True,
        text=True,
        check=False,
    )

    missing = re.findall(r"^core/src.*$", done.stdout, re.MULTILINE)
    assert (done.returncode, missing) == (0, []), done.stdout[-3000:] + done.stderr[-1000:]
