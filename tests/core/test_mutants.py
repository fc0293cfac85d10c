"""Would the tests notice? Each small change to domain and streams must fail one of them.

The few that no test can notice are listed in surviving_mutants.txt, each with the reason why it changes
nothing that anybody could see. A new survivor fails this test, and so does one that is listed and gone.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).with_name("surviving_mutants.txt")
#: the quick tests beside the code: what only a test far away notices is not looked after
TESTS = ("core/domain", "core/streams/test_argv.py", "core/streams/test_proof.py")
CONFIG = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = ["src/hasteward/domain/*", "src/hasteward/streams/*"]
also_copy = ["tests", "src"]
pytest_add_cli_args = ["-p", "no:cacheprovider"]
pytest_add_cli_args_test_selection = ["tests/core"]
use_git_change_detection = false

[tool.pytest.ini_options]
addopts = ["--import-mode=importlib"]
"""
#: the same examples for every mutant, however slow the machine is at the moment
CONFTEST = """
from hypothesis import HealthCheck, settings

settings.register_profile("mutants", derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile("mutants")
"""


def workshop(folder: Path) -> None:
    """The package and its quick tests, in the layout that mutmut understands."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "core/src/hasteward", folder / "src/hasteward", ignore=ignored)
    for name in TESTS:
        source, target = ROOT / "tests" / name, folder / "tests" / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=ignored)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    (folder / "tests" / "conftest.py").write_text(CONFTEST)
    (folder / "pyproject.toml").write_text(CONFIG)


def survivors(folder: Path) -> dict[str, str]:
    """Run every mutant; those that no test noticed, and how they ended. One that runs for ever is noticed."""
    mutmut = [sys.executable, "-m", "mutmut"]
    ran = subprocess.run(
        [*mutmut, "run", "--max-children", "2"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    told = subprocess.run([*mutmut, "results"], cwd=folder, capture_output=True, text=True, check=True)
    ended = re.findall(r"^\s*(hasteward\.\S+): (.+)$", told.stdout, re.MULTILINE)
    return {name: how for name, how in ended if how != "timeout"}


def listed() -> set[str]:
    lines = LIST.read_text(encoding="utf-8").splitlines()
    return {line.split()[0] for line in lines if line.strip() and not line.startswith("#")}


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_every_mutant_of_domain_and_streams_is_noticed_or_justified(tmp_path: Path) -> None:
    workshop(tmp_path)

    assert set(survivors(tmp_path)) == listed()
