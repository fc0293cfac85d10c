"""A lab begins and ends without leaving anything, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hasteward_lab import cli
from hasteward_lab.lab import Lab
from hasteward_lab.state import home, state_dir

pytestmark = pytest.mark.servers


def traces(name: str) -> list[str]:
    """Whatever is left of a lab on this machine: processes, mounts, files."""
    root = str(state_dir(name).root)
    found = [root] if Path(root).exists() else []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().decode(errors="replace")
            stat = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if root in line and stat != "Z":
            found.append(line)
    return found + [line for line in Path("/proc/mounts").read_text().splitlines() if root in line]


def eventually(check: Callable[[], bool], limit: float = 20.0) -> None:
    deadline = time.monotonic() + limit
    while not check():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.05)


def descendants(pid: int) -> list[int]:
    """All processes below one."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    found = [int(text) for text in path.read_text().split()] if path.exists() else []
    return found + [below for child in found for below in descendants(child)]


def test_up_and_down_by_command(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HASTEWARD_LAB_HOME", str(tmp_path / "labs"))
    assert cli.main(["up", "--name", "one", "--members", "1"]) == 0
    out, err = capsys.readouterr()
    config = tmp_path / "labs/one/kubeconfig"
    assert out == f"export KUBECONFIG={config}\n"
    assert "lab 'one' is up: pg-1" in err
    assert config.stat().st_mode & 0o777 == 0o600
    assert config.parent.stat().st_mode & 0o777 == 0o700
    process = state_dir("one").load_process()
    below = descendants(process.pid)
    assert len(below) > 5

    assert cli.main(["up", "--name", "one"]) == 1
    assert "already there" in capsys.readouterr().err
    assert cli.main(["kubeconfig", "--name", "one"]) == 0
    assert capsys.readouterr().out == f"{config}\n"
    assert cli.main(["status", "--name", "one"]) == 0
    assert "Cluster in healthy state, 1/1 ready" in capsys.readouterr().out
    assert cli.main(["break", "--name", "one", "stop", "pg-1"]) == 0
    assert cli.main(["status", "--name", "one"]) == 0
    assert "waiting, CrashLoopBackOff, not ready" in capsys.readouterr().out
    assert cli.main(["break", "--name", "one", "start", "pg-1"]) == 0
    Lab.attach("one").wait_ready()

    assert cli.main(["down", "--all"]) == 0
    assert traces("one") == []
    assert not (tmp_path / "labs").exists()
    assert [pid for pid in below if Path(f"/proc/{pid}").exists()] == []
    assert cli.main(["status", "--name", "one"]) == 1
    assert "there is no lab 'one'" in capsys.readouterr().err


@pytest.mark.long
@pytest.mark.parametrize("victim", ["outer", "inner"])
def test_a_killed_supervisor_leaves_nothing_after_down(victim: str) -> None:
    lab = Lab.up(f"killed-{victim}-{os.getpid()}", members=1)
    process = lab.state.load_process()
    below = descendants(process.pid)
    os.kill(process.pid if victim == "outer" else below[0], signal.SIGKILL)
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in below))
    lab.down()
    assert traces(lab.name) == []


def test_a_lab_ends_with_the_process_that_started_it() -> None:
    name = f"orphan-{os.getpid()}"
    code = (
        f"import os; from hasteward_lab.lab import Lab; Lab.up({name!r}, members=1); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=30)
    assert done.returncode == -signal.SIGKILL
    eventually(lambda: traces(name) == [])


def test_labs_live_side_by_side(lab: Lab) -> None:
    with Lab.up(members=1, namespace="other", cluster="solo") as second:
        assert second.pods == ["solo-1"]
        assert lab.pods == ["pg-1", "pg-2", "pg-3"]
        assert second.psql("solo-1", "SELECT count(*) FROM pg_stat_replication") == "0"
        assert second.state.root.parent == home()
        assert second.cluster_object()["metadata"]["namespace"] == "other"
    assert traces(second.name) == []
    assert lab.psql("pg-1", "SELECT 1") == "1"


def test_a_failed_start_leaves_nothing_and_names_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    name = f"small-{os.getpid()}"
    assert cli.main(["up", "--name", name, "--volume-size", "2M", "--members", "1"]) == 1
    err = capsys.readouterr().err
    assert "the lab did not come up: pg-1-initdb failed with code 1: " in err
    assert "No space left on device" in err
    assert traces(name) == []


def test_a_missing_program_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("hasteward_lab.programs._SBIN", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cli.main(["up", "--name", "never"]) == 4
    assert capsys.readouterr().err == (
        "hasteward lab: the lab needs `bwrap`: install the package bubblewrap\n"
    )
    assert traces("never") == []


def test_help_needs_nothing_heavy() -> None:
    code = (
        "import sys, hasteward_lab.plugin as p; specs = p.plugin.commands(); "
        "heavy = {'aiohttp', 'cryptography', 'yaml', 'asyncio'} & set(sys.modules); "
        "print(specs[0].name, specs[0].target, sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "lab hasteward_lab.cli:main []\n"
