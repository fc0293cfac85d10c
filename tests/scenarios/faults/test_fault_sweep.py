"""The fault table on real servers: 40 points of it, by seed, each time; all of them in `make test-long`."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fault_sweep import lab as sweep_lab
from fault_sweep import points as table
from fault_sweep.rest_server import Backend

from hasteward.domain.errors import ExitCode
from hasteward_lab.lab import Lab

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

SEED = 20261125
SAMPLE = {point.id for point in random.Random(SEED).sample(table.POINTS, 40)}  # noqa: S311 - a choice, no secret


def _init(url: str, environment: dict[str, str]) -> None:
    """Create a repository with a cheap key: restic measures scrypt, and slowed down it takes less of it."""
    child = subprocess.Popen(["restic", "-r", url, "init", "--quiet"], env=environment)
    while child.poll() is None:
        child.send_signal(signal.SIGSTOP)
        time.sleep(0.02)
        child.send_signal(signal.SIGCONT)
        time.sleep(0.004)
    assert child.returncode == 0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("sweep")
    pristine = folder / "pristine"
    password = folder / "password"
    password.write_text(sweep_lab.PASSWORD)
    password.chmod(0o600)
    (folder / "missing").mkdir()
    (folder / "replaced").mkdir()
    (folder / "replaced" / "restic").write_text("#!/bin/sh\necho something else\n")
    (folder / "replaced" / "restic").chmod(0o755)
    backend, forks = Backend(folder / "repository"), sweep_lab.Forks()
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("HASTEWARD", "RESTIC"))
    }
    environment |= {
        "PATH": f"{sweep_lab.TOOLS}:{os.environ['PATH']}",
        "HASTEWARD_BACKUPS_PATH": backend.url,
        "RESTIC_PASSWORD_FILE": str(password),
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    try:
        _init(str(folder / "repository"), environment)
        with Lab.up(members=1, volume_size="512Mi") as lab:
            environment["KUBECONFIG"] = str(lab.kubeconfig)
            made = sweep_lab.LabWorld(lab, backend, forks, folder, pristine, environment)
            made.prepare()
            yield made
    finally:
        forks.stop()
        backend.stop()


def assert_all_is_well(world: Any, point: table.Point, done: Any) -> None:
    """What holds after any fault, whatever it was."""
    errors = [line for line in done.err.splitlines() if line.startswith("error:")]
    assert done.code == table.KILLED or done.code in set(ExitCode)
    assert len(errors) == (done.code not in {0, table.KILLED}), done.err
    assert "Traceback" not in done.err, done.err
    assert sweep_lab.PASSWORD not in done.err
    match point.verb:
        case "restore":
            assert world.live() in {world.content, world.damaged}
            if done.code == 0:
                assert world.live() == world.content
        case "export":
            assert world.exported() == (world.whole if done.code == 0 else None)
        case _ if world.snapshots > 2:
            listed = world.backup_data()
            assert all(entry["proven"] for entry in listed)
            for entry in listed:
                assert world.run("export", "--snapshot", entry["id"]).code == 0
            assert len(listed) == 1 + (world.snapshots > 3)


def assert_the_next_run_just_works(world: Any, verb: str) -> None:
    before = world.snapshots
    done = world.run(verb)
    assert done.code == 0, done.err
    match verb:
        case "restore":
            assert (world.live(), world.sql(sweep_lab.OURS)) == (world.content, "0")
        case "export":
            assert world.exported() == world.whole
        case _:
            assert world.snapshots == before + 2


@pytest.mark.parametrize(
    "point",
    [pytest.param(p, id=p.id, marks=[] if p.id in SAMPLE else [pytest.mark.long]) for p in table.POINTS],
)
def test_a_fault_leaves_no_lie_no_lock_and_no_half(world: Any, point: table.Point) -> None:
    world.reset()
    if point.verb == "restore":
        world.sql(sweep_lab.DAMAGE, "app")
        world.damaged = world.live()
    try:
        extra = world.arm(point)
        done = world.run(point.verb, *extra)
    finally:
        world.disarm()
    sweep_lab.settle(world)
    assert world.missed == []
    assert done.code in point.exits, (done.code, done.err)
    assert_all_is_well(world, point, done)
    assert_the_next_run_just_works(world, point.verb)
