"""A lab with data, a repository, and hasteward as a person runs it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hasteward_lab.lab import Lab

ENGINE = ("-e", "cnpg", "-c", "pg", "-n", "db")
PASSWORD = "correct horse battery"
TOOLS = Path(__file__).parents[2] / ".tools" / "bin"

SEED = """
CREATE ROLE clerk LOGIN PASSWORD 'not-a-secret';
CREATE TABLE orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text, at timestamptz
);
INSERT INTO orders (body, at)
  SELECT md5(n::text) || md5((-n)::text) || repeat(md5((n % 97)::text), 4),
    timestamptz '2026-01-01' + n * interval '1 minute'
  FROM generate_series(1, 60000) n;
GRANT SELECT ON orders TO clerk;
"""


@dataclass(slots=True)
class Hasteward:
    """Runs the command line in processes of its own."""

    environment: dict[str, str]
    folder: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *argv: str, **environment: str) -> subprocess.Popen[str]:
        """Begin a command."""
        process = subprocess.Popen(
            [sys.executable, "-m", "hasteward.cli.main", *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.environment | environment,
        )
        self.started.append(process)
        return process

    def __call__(
        self, *argv: str, timeout: float = 100, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        process = self.start(*argv, **environment)
        out, err = process.communicate(timeout=timeout)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def json(self, *argv: str, **environment: str) -> dict[str, Any]:
        """Run a command that must succeed and return the `data` of its envelope."""
        done = self(*argv, "--output", "json", **environment)
        assert done.returncode == 0, done.stderr
        envelope: dict[str, Any] = json.loads(done.stdout)
        data: dict[str, Any] = envelope["data"]
        return data

    def stored(self, folder: str = "") -> list[str]:
        """Every file of the repository (or of one of its folders), a lock that was left too."""
        root = Path(self.environment["HASTEWARD_BACKUPS_PATH"]) / folder
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())

    def backups(self) -> list[dict[str, Any]]:
        """Every data snapshot as `get backups` lists it."""
        listed: list[dict[str, Any]] = self.json("get", "backups")["backups"]
        return listed


@pytest.fixture(scope="package")
def lab() -> Iterator[Lab]:
    """One lab with data for all scenarios; tests leave it as they found it, and it ends with the folder."""
    with Lab.up(volume_size="768Mi", time_scale=0.1) as running:
        running.psql(running.primary, SEED, "app")
        running.psql(running.primary, "CREATE DATABASE ledger")
        running.psql(running.primary, "CREATE TABLE t AS SELECT generate_series(1, 1000) AS n", "ledger")
        yield running


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty repository whose key is cheap: restic measures scrypt, and slowed down it takes less of it.

    Nearly all of a restic call's time is key derivation otherwise, and every test starts from a copy.
    """
    location = tmp_path_factory.mktemp("template") / "repository"
    environment = dict(os.environ) | {
        "PATH": f"{TOOLS}:{os.environ['PATH']}",
        "RESTIC_PASSWORD": PASSWORD,
        "RESTIC_REPOSITORY": str(location),
    }
    child = subprocess.Popen(["restic", "init", "--quiet"], env=environment)
    while child.poll() is None:
        child.send_signal(signal.SIGSTOP)
        time.sleep(0.02)
        child.send_signal(signal.SIGCONT)
        time.sleep(0.004)
    assert child.returncode == 0
    return location


@pytest.fixture
def make_hasteward(lab: Lab, tmp_path: Path) -> Callable[[], Hasteward]:
    """A command line with a repository path of its own that does not exist yet."""

    def make() -> Hasteward:
        folder = tmp_path / secrets.token_hex(3)
        folder.mkdir()
        password = folder / "password"
        password.write_text(PASSWORD)
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith(("HASTEWARD", "RESTIC"))
        }
        environment |= {
            "PATH": f"{TOOLS}:{os.environ['PATH']}",
            "KUBECONFIG": str(lab.kubeconfig),
            "HASTEWARD_BACKUPS_PATH": str(folder / "repository"),
            "RESTIC_PASSWORD_FILE": str(password),
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        return Hasteward(environment, folder)

    return make


@pytest.fixture
def hasteward(make_hasteward: Callable[[], Hasteward], template: Path) -> Iterator[Hasteward]:
    """A command line with an empty repository of its own."""
    tool = make_hasteward()
    shutil.copytree(template, tool.environment["HASTEWARD_BACKUPS_PATH"])
    yield tool
    for process in tool.started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture
def where() -> tuple[str, ...]:
    """The flags that name the lab's cluster."""
    return ENGINE


@pytest.fixture
def left_running(lab: Lab) -> Callable[[Hasteward], list[str]]:
    """What still runs on behalf of hasteward: here (by the repository's path) and in the pods."""

    def look(tool: Hasteward) -> list[str]:
        found = []
        needle = str(tool.folder).encode()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                facts = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
                state = (process / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if needle in facts and state != "Z" and int(process.name) != os.getpid():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        for pod in lab.pods:
            found += [f"{pod}: {line}" for line in lab.processes(pod) if "hasteward" in line]
        return found

    return look


@pytest.fixture
def nothing_left(left_running: Callable[[Hasteward], list[str]]) -> Callable[[Hasteward], None]:
    """Assert that nothing of ours runs any more, within the ten seconds that are promised."""

    def check(tool: Hasteward) -> None:
        deadline = time.monotonic() + 10
        while (found := left_running(tool)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert found == []

    return check
