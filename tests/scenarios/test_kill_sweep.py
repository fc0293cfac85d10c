"""kill -9 at any moment: never an unproven snapshot, nothing left running, and the next run just works."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]


def sweep(count: int, tool: Any, where: tuple[str, ...], nothing_left: Callable[[Any], None]) -> None:
    """Kill `count` backups at random moments: what came to exist is proven, and the next run just works."""
    begun = time.monotonic()
    done = tool("backup", *where)
    assert done.returncode == 0, done.stderr
    whole = time.monotonic() - begun
    dice = random.Random(20261121)  # noqa: S311 - moments, not secrets
    known = {entry["id"] for entry in tool.backups()}
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
        known |= {entry["id"] for entry in new}
    assert tool("backup", *where).returncode == 0, "a killed run blocks nobody"


def test_a_backup_killed_at_random_moments_leaves_no_lie(
    hasteward: Any, where: tuple[str, ...], nothing_left: Callable[[Any], None]
) -> None:
    sweep(3, hasteward, where, nothing_left)


def fingerprint(lab: Any) -> str:
    rows = "SELECT count(*), md5(string_agg(o::text, '' ORDER BY id)) FROM orders o"
    return str(lab.psql(lab.primary, rows, "app"))


def ours(lab: Any) -> list[str]:
    listed = lab.psql(lab.primary, "SELECT datname FROM pg_database WHERE datname LIKE 'hasteward%'")
    return list(filter(None, listed.splitlines()))


def restore_sweep(
    count: int, lab: Any, tool: Any, where: tuple[str, ...], nothing_left: Callable[[Any], None]
) -> None:
    """Kill `count` restores at random moments: the old data is live or the new, and the next run finishes."""
    command = ("restore", *where, "--database", "app", "--yes", "--no-keep-old")
    saved = fingerprint(lab)
    assert tool("backup", *where).returncode == 0
    lab.psql(lab.primary, "UPDATE orders SET body = 'damaged' WHERE id % 5 = 0", "app")
    damaged = fingerprint(lab)
    begun = time.monotonic()
    done = tool(*command)
    assert done.returncode == 0, done.stderr
    whole = time.monotonic() - begun
    dice = random.Random(20261121)  # noqa: S311 - moments, not secrets
    for _ in range(count):
        lab.psql(lab.primary, "UPDATE orders SET body = 'damaged' WHERE id % 5 = 0", "app")
        process = tool.start(*command)
        time.sleep(dice.uniform(0.3, 1) * whole)
        process.kill()
        process.communicate()
        nothing_left(tool)
        assert fingerprint(lab) in {saved, damaged}
        left = [name for name in ours(lab) if name.startswith("hasteward_new_")]
        named = tool("triage", *where).stdout
        assert all(name in named for name in left), named
    done = tool(*command)
    assert done.returncode == 0, done.stderr
    assert fingerprint(lab) == saved
    assert [name for name in ours(lab) if name.startswith("hasteward_new_")] == []


def drop_ours(lab: Any) -> None:
    for name in ours(lab):
        lab.psql(lab.primary, f'DROP DATABASE "{name}" WITH (FORCE)')


def test_a_restore_killed_at_random_moments_leaves_old_or_new(
    lab: Any, hasteward: Any, where: tuple[str, ...], nothing_left: Callable[[Any], None]
) -> None:
    restore_sweep(1, lab, hasteward, where, nothing_left)
    drop_ours(lab)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_restore_killed_at_thirty_random_moments_leaves_old_or_new(
    lab: Any, hasteward: Any, where: tuple[str, ...], nothing_left: Callable[[Any], None]
) -> None:
    restore_sweep(30, lab, hasteward, where, nothing_left)
    drop_ours(lab)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_backup_killed_at_fifty_random_moments_leaves_no_lie(
    hasteward: Any, where: tuple[str, ...], nothing_left: Callable[[Any], None]
) -> None:
    sweep(50, hasteward, where, nothing_left)
