"""Real restic on small repositories. Nearly all of a call's time would be key derivation, so one repository
is made with the cheapest key restic can be brought to make, and every test works on its own copy of it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hasteward.adapters.restic.password import Password
from hasteward.adapters.restic.program import Program, find_program
from hasteward.adapters.restic.repository import ResticRepository
from hasteward.domain.snapshot import SnapshotTags

PASSWORD = "correct horse battery"
TOOLS = Path(__file__).parents[4] / ".tools" / "bin" / "restic"
TAGS = SnapshotTags(
    engine="cnpg", cluster="pg", namespace="shop", type="backup", job="j1", run="r1", proof="commit-1"
)


def _init_with_a_cheap_key(program: Program, location: Path, environment: dict[str, str]) -> None:
    """Restic measures how fast scrypt is here and takes half a second's worth; slowed down, it takes less."""
    child = subprocess.Popen([program.path, "init", "--quiet"], env=environment)
    while child.poll() is None:
        child.send_signal(signal.SIGSTOP)
        time.sleep(0.02)
        child.send_signal(signal.SIGCONT)
        time.sleep(0.004)
    assert child.returncode == 0
    assert (location / "config").exists()


@pytest.fixture(scope="session")
def program() -> Program:
    return find_program(shutil.which("restic") or str(TOOLS))


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("restic")


@pytest.fixture(scope="session")
def environment(scratch: Path) -> dict[str, str]:
    """What our repositories get beyond the tests' own environment."""
    return {"XDG_CACHE_HOME": str(scratch / "cache")}


@pytest.fixture(scope="session")
def template(program: Program, scratch: Path, environment: dict[str, str]) -> Path:
    location = scratch / "template"
    by_hand = {"RESTIC_PASSWORD": PASSWORD, "RESTIC_REPOSITORY": str(location)}
    _init_with_a_cheap_key(program, location, {**os.environ, **environment, **by_hand})
    return location


@pytest.fixture
def location(template: Path, tmp_path: Path) -> Path:
    """A fresh, empty repository."""
    return Path(shutil.copytree(template, tmp_path / "repository"))


@pytest.fixture(scope="session")
def open_at(program: Program, environment: dict[str, str]) -> Callable[..., ResticRepository]:
    def make(
        location: object, *, password: str = PASSWORD, patience: float = 20, program: Program = program
    ) -> ResticRepository:
        secret = Password(lambda: password, "the tests")
        return ResticRepository(str(location), secret, program, environment, patience=patience)

    return make


@pytest.fixture
def repository(open_at: Callable[..., ResticRepository], location: Path) -> ResticRepository:
    return open_at(location)


@pytest.fixture
def by_hand(program: Program, location: Path, environment: dict[str, str]) -> Callable[..., str]:
    """Run restic as somebody else would."""

    def run(*arguments: str) -> str:
        env = {"RESTIC_PASSWORD": PASSWORD, "RESTIC_REPOSITORY": str(location)}
        return subprocess.run(
            [program.path, *arguments],
            env={**os.environ, **environment, **env},
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    return run


def _locks(location: Path) -> list[Path]:
    return [path for path in (location / "locks").iterdir() if "-tmp-" not in path.name]


@pytest.fixture
def pruning(program: Program, location: Path, environment: dict[str, str]) -> Iterator[int]:
    """The process id of a prune that is stopped while it holds its exclusive lock."""
    env = {"RESTIC_PASSWORD": PASSWORD, "RESTIC_REPOSITORY": str(location)}
    child = subprocess.Popen(
        [program.path, "prune"], env={**os.environ, **environment, **env}, stdout=subprocess.DEVNULL
    )
    try:
        # restic looks at its lock a second time 200 ms after making it, which is our moment
        while not _locks(location):
            assert child.poll() is None
            time.sleep(0.001)
        child.send_signal(signal.SIGSTOP)
        assert _locks(location)
        yield child.pid
    finally:
        child.kill()
        child.wait()


@pytest.fixture(scope="session")
def tags() -> SnapshotTags:
    return TAGS


@pytest.fixture
def saved_files() -> Callable[[Path], int]:
    """How many snapshots a repository's own directory holds: no program is asked."""
    return lambda location: sum(1 for _ in (location / "snapshots").iterdir())


class Processes:
    """What /proc knows of the restics of one repository and their helpers."""

    def groups(self, location: object) -> set[int]:
        wanted = f"RESTIC_REPOSITORY={location}\0".encode()
        return {self._group(pid) for pid in self._pids() if wanted in self._read(pid, "environ")} - {0}

    def members(self, groups: set[int]) -> list[int]:
        return [pid for pid in self._pids() if self._group(pid) in groups]

    def wait_until_gone(self, groups: set[int], seconds: float = 10) -> list[int]:
        end = time.monotonic() + seconds
        while (left := self.members(groups)) and time.monotonic() < end:
            time.sleep(0.02)
        return left

    def told(self, pid: int) -> bytes:
        """Everything that others can read of its start."""
        return self._read(pid, "cmdline") + self._read(pid, "environ")

    def _pids(self) -> list[int]:
        return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]

    def _read(self, pid: int, name: str) -> bytes:
        try:
            return Path(f"/proc/{pid}/{name}").read_bytes()
        except OSError:
            return b""

    def _group(self, pid: int) -> int:
        """Its process group; 0 for one that is gone or only waits to be reaped."""
        fields = self._read(pid, "stat").rpartition(b") ")[2].split()
        return 0 if not fields or fields[0] == b"Z" else int(fields[2])


@pytest.fixture(scope="session")
def processes() -> Processes:
    return Processes()


@contextmanager
def _small_file_system(size: str) -> Iterator[Path]:
    """A tmpfs that only one sleeping process has mounted; others reach it through /proc."""
    own = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    script = f"mount -t tmpfs -o size={size} none /mnt && echo mounted && exec sleep 60"
    holder = subprocess.Popen([*own, "sh", "-c", script], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "mounted\n"
        yield Path(f"/proc/{holder.pid}/root/mnt")
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


@pytest.fixture
def small_repository(template: Path) -> Iterator[Path]:
    """A repository on a file system of 6 MiB."""
    with _small_file_system("6m") as directory:
        yield Path(shutil.copytree(template, directory / "repository"))
