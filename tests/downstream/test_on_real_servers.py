"""The toy on the lab, as its author proves it: in a fresh environment, by the second tier of the kit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.servers, pytest.mark.long, pytest.mark.timeout(900)]


def test_the_toy_keeps_on_the_lab_what_every_engine_must(
    run_on_the_lab: Callable[..., Any], toy: Path, tmp_path: Path
) -> None:
    for name in ("conftest.py", "test_on_real_servers.py"):
        shutil.copy(toy / "tests" / name, tmp_path)

    done = run_on_the_lab("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "-rs")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "keyval does not plan: a member copies the primary by itself" in done.stdout
    assert "keyval does not take restores back" in done.stdout
