"""Kill -9 of the process that saves, at any moment before the word, never leaves a snapshot."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from hasteward.adapters.restic.program import Program
from hasteward.adapters.restic.repository import ResticRepository
from hasteward.domain.snapshot import SnapshotTags

pytestmark = pytest.mark.servers

CHILD = """
import os, sys, time
from datetime import datetime, UTC
from hasteward.adapters.restic.password import Password
from hasteward.adapters.restic.program import Program
from hasteward.adapters.restic.repository import ResticRepository
from hasteward.domain.snapshot import SnapshotTags

program, version, location, cache, size = sys.argv[1:]
repository = ResticRepository(
    location,
    Password(sys.stdin.readline),
    Program(program, version),
    {"XDG_CACHE_HOME": cache},
)
sys.stdin = None
tags = SnapshotTags(engine="cnpg", cluster="pg", namespace="shop", type="backup", proof="commit-1")
print("begin", flush=True)
with repository.save("shop/pg/dump.sql", tags, datetime.now(UTC), stall_seconds=60) as stream:
    for _ in range(int(size)):
        stream.write(os.urandom(65536))
    stream.end()
    print("ended", flush=True)
    time.sleep(60)
    stream.commit()
"""


class Killer:
    """Starts a saving process, kills it, and looks at what is left."""

    def __init__(self, program: Program, template: Path, cache: str, scratch: Path, processes: Any) -> None:
        self.program = program
        self.template = template
        self.cache = cache
        self.scratch = scratch
        self.processes = processes

    def run(self, number: int) -> tuple[int, list[int], int]:
        """Snapshots and locks found, processes left, and how many process groups there were to end."""
        chance = random.Random(number)  # noqa: S311 (moments, not secrets)
        location = Path(copytree(self.template, self.scratch / f"killed-{number}"))
        # half of them while writing without end, half between the last byte and the word
        after_end = number % 2 == 1
        blocks = chance.randint(1, 60) if after_end else 1_000_000
        child = subprocess.Popen(
            [
                *(sys.executable, "-c", CHILD),
                *(self.program.path, self.program.version, str(location), self.cache, str(blocks)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write("correct horse battery\n")
        child.stdin.close()
        assert child.stdout.readline() == "begin\n"
        if after_end:
            assert child.stdout.readline() == "ended\n"
        time.sleep(chance.uniform(0, 0.8))
        groups = self.processes.groups(location)
        child.kill()
        child.wait()
        child.stdout.close()
        # one that was only just started is looked for again
        groups |= self.processes.groups(location)
        left = self.processes.wait_until_gone(groups)
        found = [*(location / "snapshots").iterdir(), *(location / "locks").iterdir()]
        return len(found), left, len(groups)


def test_twenty_kills_of_the_saving_process_leave_no_snapshot_no_lock_and_no_process(
    program: Program, template: Path, environment: dict[str, str], tmp_path: Path, processes: Any
) -> None:
    killer = Killer(program, template, environment["XDG_CACHE_HOME"], tmp_path, processes)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(killer.run, range(20)))
    assert [found for found, _, _ in results] == [0] * 20
    assert [left for _, left, _ in results] == [[]] * 20
    assert sum(groups for _, _, groups in results) >= 15, "the kills came before restic was even started"


@pytest.fixture
def with_secrets_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a Pod may have in its environment."""
    monkeypatch.setenv("RESTIC_PASSWORD", "correct horse battery")
    monkeypatch.setenv("DATABASE_BACKUP_PASSPHRASE", "correct horse battery")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "for the backend alone")


def test_no_process_of_a_save_was_told_the_password_and_the_helper_no_other_secret(
    with_secrets_around: None,
    open_at: Callable[..., ResticRepository],
    location: Path,
    tags: SnapshotTags,
    processes: Any,
) -> None:
    with open_at(location).save("shop/pg/dump.sql", tags, datetime.now(UTC), stall_seconds=20) as stream:
        stream.write(b"x" * 3_000_000)  # more than the pipe holds: all of them run
        told = [processes.told(pid) for pid in processes.members(processes.groups(location))]
    assert len(told) == 2  # restic and the shell
    assert not [text for text in told if b"correct horse battery" in text]
    knowing = [text for text in told if b"for the backend alone" in text]
    assert len(knowing) == 1
    assert b"RESTIC_REPOSITORY" in knowing[0]
