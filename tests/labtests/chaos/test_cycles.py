"""Labs come and go without a trace, many times, killed or not, side by side, and for an ordinary user."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hasteward_lab.lab import Lab
from hasteward_lab.state import state_dir

pytestmark = pytest.mark.servers

NOBODY = 65534


def traces(root: Path) -> list[str]:
    """Whatever is left of a lab on this machine: processes, mounts, files."""
    found = [str(root)] if root.exists() else []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().decode(errors="replace")
            stat = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if str(root) in line and stat != "Z":
            found.append(line)
    return found + [line for line in Path("/proc/mounts").read_text().splitlines() if str(root) in line]


def gone(root: Path, limit: float = 20.0) -> None:
    deadline = time.monotonic() + limit
    while traces(root):
        assert time.monotonic() < deadline, traces(root)
        time.sleep(0.1)


def cycle(number: int, members: int = 1) -> tuple[float, float]:
    """Up and down again; the seconds each of them took."""
    began = time.monotonic()
    lab = Lab.up(f"cycle-{os.getpid()}-{number}", members=members, volume_size="256Mi", time_scale=0.1)
    with lab:
        up = time.monotonic() - began
        assert lab.psql("pg-1", "SELECT 1") == "1"
        began = time.monotonic()
    down = time.monotonic() - began
    assert traces(lab.state.root) == []
    return up, down


def kill(number: int) -> None:
    lab = Lab.up(f"kill-{os.getpid()}-{number}", members=1, volume_size="256Mi", time_scale=0.1)
    os.kill(lab.state.load_process().pid, signal.SIGKILL)
    lab.down()
    gone(lab.state.root)


@pytest.mark.long
def test_three_cycles_leave_nothing() -> None:
    for number in range(3):
        cycle(number)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_twenty_cycles_leave_nothing_and_are_quick() -> None:
    times = []
    for number in range(20):
        quiet = os.getloadavg()[0] <= 2 * (os.cpu_count() or 1)
        took = cycle(number, members=3)
        if quiet:
            times.append(took)
    # A machine that others keep busy tells nothing about time; on a quiet one the quickest counts.
    assert min((up for up, _ in times), default=0.0) < 8.0
    assert min((down for _, down in times), default=0.0) < 2.0


@pytest.mark.long
@pytest.mark.timeout(600)
def test_ten_killed_labs_leave_nothing() -> None:
    for number in range(10):
        kill(number)


@pytest.mark.long
def test_chaos_in_one_lab_is_not_felt_in_another(lab: Lab) -> None:
    """All labs have the same addresses inside; none sees another's."""
    names = [f"side-{os.getpid()}-{number}" for number in range(2)]
    with ThreadPoolExecutor() as pool:
        up = lambda name: Lab.up(name, members=1, volume_size="256Mi", time_scale=0.1)  # noqa: E731 - a name for one call
        first, second = pool.map(up, names)
    with first, second:
        first.chaos.isolate("pg-1")
        first.chaos.freeze("pg-1")
        for other in (second, lab):
            assert other.chaos.network() == []
            assert other.psql("pg-1", "SELECT 1") == "1"
        assert not first.chaos.server("pg-1")["answers"]
    assert traces(state_dir(names[0]).root) + traces(state_dir(names[1]).root) == []


SCRIPT = """
import os, sys
from hasteward_lab.lab import Lab
with Lab.up("plain", members=2, volume_size="256Mi", time_scale=0.1) as lab:
    address = lab.pod("pg-1")["status"]["podIP"]
    reach = lambda: lab.exec("pg-2", ["pg_isready", "-h", address, "-t", "1"]).returncode
    said = [os.getuid(), reach()]
    for begin in (
        lambda: lab.chaos.partition("pg-2", "pg-1", one_way=True),
        lambda: lab.chaos.isolate("pg-1"),
        lambda: lab.chaos.degrade("pg-1", loss=1.0),
    ):
        begin()
        said.append(reach())
        lab.chaos.heal()
        said.append(reach())
    lab.chaos.freeze("pg-1"); said.append(reach()); lab.chaos.thaw("pg-1")
    lab.stop("pg-2")
    said.append(lab.chaos.corrupt("pg-2", "global/pg_control", length=8))
    said.append(lab.chaos.mend("pg-2"))
    said.append(lab.chaos.replay("pg-2", "SELECT 'x'::text"))
    print(*said)
"""


def interpreter() -> str:
    """A Python that anybody may run: this one's home may be closed to others, then Debian's own."""
    real = Path(sys.executable).resolve()
    open_to_all = all(each.stat().st_mode & 0o001 for each in (real, *real.parents))
    return str(real) if open_to_all else "/usr/bin/python3"


@pytest.mark.long
def test_an_ordinary_user_has_the_whole_lab(tmp_path: Path) -> None:
    home = Path(f"/tmp/hl-{os.getpid()}")
    home.mkdir(mode=0o700)
    argv = [interpreter(), "-c", SCRIPT]
    if os.getuid() == 0:
        os.chown(home, NOBODY, NOBODY)
        argv = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", *argv]
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    env["HASTEWARD_LAB_HOME"] = str(home / "labs")
    try:
        done = subprocess.run(argv, env=env, cwd="/", capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == 0, done.stderr
        words = done.stdout.split()
        assert words[0] == str(NOBODY if os.getuid() == 0 else os.getuid())
        assert words[1:] == ["0", "2", "0", "2", "0", "2", "0", "2", "8", "1", "['x']"]
        assert traces(home / "labs") == []
    finally:
        for left in sorted(home.rglob("*"), reverse=True):
            left.rmdir() if left.is_dir() else left.unlink()
        home.rmdir()
