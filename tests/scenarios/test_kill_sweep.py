"""kill -9 at any moment: never an unproven snapshot, nothing left running, and the next run just works."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.servers


def sweep(count: int, tool: Any, where: tuple[str, ...], nothing_left: Callable[[Any], None]) -> int:
    """Kill `count` backups at random moments; return how many of them had come to exist."""
    begun = time.monotonic()
    done = tool("backup", *where)
    assert done.returncode == 0, done.stderr
    whole = time.monotonic() - begun
    dice = random.Random(20261121)  # noqa: S311 - moments, not secrets
    known = {entry["id"] for entry in tool.backups()}
    survived = 0
    for _ in range(count):
        process = tool.start("backup", *where)
        time.sleep(dice.uniform(0, whole * 1.05))
        process.kill()
        process.communicate()
        nothing_left(tool)
        listed = tool.backups()
        new = [entry for entry in listed if entry["id"] not in known]
        assert all(entry["proven"] for entry in listed), listed
        assert len(new) <= 1
        for entry in new:
            exported = tool("export", *where, "--snapshot", entry["id"], "-o", "/dev/null", "--force")
            assert exported.returncode == 0, exported.stderr
        survived += len(new)
        known |= {entry["id"] for entry in new}
    assert tool("backup", *where).returncode == 0, "a killed run blocks nobody"
    return survived


def test_a_backup_killed_at_random_moments_leaves_no_lie(
    hasteward: Any, where: tuple[str, ...], nothing_left: Callable[[Any], None]
) -> None:
    assert sweep(6, hasteward, where, nothing_left) <= 6


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_backup_killed_at_fifty_random_moments_leaves_no_lie(
    hasteward: Any, where: tuple[str, ...], nothing_left: Callable[[Any], None]
) -> None:
    assert sweep(50, hasteward, where, nothing_left) <= 50
