"""A real MariaDB for the tests, and hasteward's pipelines on it without a cluster."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from local_servers import of_users

from hasteward.adapters.host.processes import HostProcesses
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.option import Value
from hasteward.hookspecs import ENGINE_GROUP
from hasteward.pipelines.backup import BackupOptions, BackupResult, backup
from hasteward.pipelines.repair import UndoResult
from hasteward.pipelines.restore import RestoreRequest, RestoreResult, restore
from hasteward.pipelines.undo import undo
from hasteward.plugins import Engine, load
from hasteward.ports.context import EngineContext, RestoreOptions, Run, Tuning
from hasteward.ports.host import Host, HostRef
from hasteward.testing.clock import VirtualClock
from hasteward.testing.reporter import Approval, RecordingReporter
from hasteward.testing.repository import FakeRepository
from hasteward_standalone import plugin

CLUSTER = ClusterRef("standalone", "here", "shop-db")
#: looked for in every process of the machine, so no other worker may use the same
PASSWORD = f'it\'s "the" \\ root % password {os.getpid()}'


@dataclass(frozen=True)
class Entry:
    name: str = "standalone"
    group: str = ENGINE_GROUP
    value: str = "hasteward_standalone.plugin"

    def load(self) -> Any:
        return plugin


def engine() -> Engine:
    """The engine as the loader makes it."""
    return load([Entry()]).engines["standalone"]


@dataclass
class MariaDB:
    """A real server of its own, with a socket and a password for root."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None
    log: str = ""
    #: what the server is started behind: a container, which sees the folder where it is
    box: tuple[str, ...] = ()

    @property
    def socket(self) -> Path:
        return self.folder / "s"

    @property
    def prefix(self) -> tuple[str, ...]:
        """What makes its clients find it."""
        return ("env", f"HOME={self.folder}")

    def start(self) -> None:
        """Make it and wait until it answers."""
        data = self.folder / "data"
        (self.folder / ".my.cnf").write_text(f"[client]\nsocket={self.socket}\n")
        if not data.exists():
            install = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db"]
            install += [f"--user={'root' if os.getuid() == 0 else os.environ['USER']}"]
            done = subprocess.run(
                [*install, "--auth-root-authentication-method=normal"],
                capture_output=True,
                text=True,
                check=False,
                timeout=100,
            )
            assert done.returncode == 0, done.stdout + done.stderr
        options = ["--skip-networking", "--innodb-buffer-pool-size=32M", "--innodb-log-file-size=8M"]
        options += ["--innodb-flush-log-at-trx-commit=0", "--performance-schema=OFF"]
        server = shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin")
        assert server is not None
        with (self.folder / "log").open("wb") as log:
            whose = f"--user={'root' if os.getuid() == 0 else os.environ['USER']}"
            words = [
                *self.box,
                server,
                "--no-defaults",
                f"--datadir={data}",
                f"--socket={self.socket}",
                whose,
                *options,
            ]
            self.process = subprocess.Popen(words, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while not self.socket.exists() and time.monotonic() < deadline:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        """End it at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def sql(self, text: str, schema: str = "", *, password: str = PASSWORD) -> str:
        """Run statements as root and return what they print."""
        options = [f"--database={schema}"] if schema else []
        environment = dict(os.environ) | {"MYSQL_PWD": password}
        done = subprocess.run(
            ["mariadb", "--no-defaults", "-uroot", f"--socket={self.socket}", "-NB", *options],
            input=text,
            capture_output=True,
            text=True,
            env=environment,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def session(self, text: str, schema: str) -> subprocess.Popen[bytes]:
        """A client that runs statements and stays."""
        words = ["mariadb", "--no-defaults", "-uroot", f"--socket={self.socket}", schema, "-e", text]
        client = subprocess.Popen(
            words, stdout=subprocess.DEVNULL, env=dict(os.environ) | {"MYSQL_PWD": PASSWORD}
        )
        deadline = time.monotonic() + 20
        while "SLEEP" not in self.sql("SHOW PROCESSLIST") and time.monotonic() < deadline:
            time.sleep(0.05)
        return client

    def settle(self) -> None:
        """Wait until no other session is left."""
        count = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE COMMAND <> 'Daemon'"
        sleeping = "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT SLEEP%'"
        for thread in self.sql(sleeping).split():
            self.sql(f"KILL {thread}")
        deadline = time.monotonic() + 20
        while self.sql(count).strip() != "1" and time.monotonic() < deadline:
            time.sleep(0.05)

    def content(self, *schemas: str) -> str:
        """Everything in some schemas, as the server's own program tells it."""
        options = ["--skip-dump-date", "--routines", "--events", "--triggers", "--databases", *schemas]
        done = subprocess.run(
            ["mariadb-dump", "--no-defaults", "-uroot", f"--socket={self.socket}", *options],
            capture_output=True,
            encoding="utf-8",
            errors="backslashreplace",
            env=dict(os.environ) | {"MYSQL_PWD": PASSWORD},
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def schemas(self) -> list[str]:
        """All but the server's own."""
        return of_users(self.sql("SHOW DATABASES"))


@dataclass
class Steward:
    """Runs the pipelines on a place, each run a minute after the one before."""

    host: Host
    via: HostRef
    options: dict[str, Value]
    repository: FakeRepository = field(default_factory=lambda: FakeRepository(chunk=65536))
    reporter: RecordingReporter = field(default_factory=RecordingReporter)
    approval: Approval = field(default_factory=Approval)
    on_lease: Callable[[], None] = lambda: None
    runs: int = 0

    def context(self, **options: Value) -> EngineContext:
        """A new run."""
        self.runs += 1
        started = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) + timedelta(minutes=self.runs)
        context = EngineContext(
            kubernetes=cast("Any", None),
            clock=VirtualClock(started),
            reporter=self.reporter,
            run=Run(f"{self.runs:016x}", started),
            approve=self.approval,
            tuning=Tuning(stall_seconds=60, lock_seconds=2),
            options={"secret_key": "password", "path": (), **self.options, **options},
            host=self.host,
            via=self.via,
        )
        return replace(context, check_lease=self.on_lease)

    def backup(self, **options: Value) -> BackupResult:
        """Back up."""
        return backup(engine(), self.context(**options), CLUSTER, self.repository, BackupOptions())

    def restore(self, *databases: str, snapshot: str = "latest", **options: Any) -> RestoreResult:
        """Restore."""
        known = {key: options.pop(key) for key in ("keep_old", "force", "as_superuser") if key in options}
        request = RestoreRequest(snapshot, RestoreOptions(databases=databases, **known))
        return restore(engine(), self.context(**options), CLUSTER, self.repository, request)

    def undo(self, run: str = "", **options: Value) -> UndoResult:
        """Take back."""
        return undo(engine(), self.context(**options), CLUSTER, run)

    @property
    def last(self) -> str:
        """The id of the last run."""
        return f"{self.runs:016x}"


def local(locks: Path) -> HostProcesses:
    """Processes of this machine."""
    return HostProcesses(os.environ, locks)


def told(pid: int, name: str) -> bytes:
    """What the kernel tells of a process; nothing when it is gone."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def running(mark: str) -> list[int]:
    """The processes with these words in their command line, in containers too."""
    pids = [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()]
    return [pid for pid in pids if mark.encode() in told(pid, "cmdline")]


class Death(BaseException):
    """The process ends here: nothing that would run afterwards runs."""


@dataclass
class DyingHost:
    """A host on which the process dies at its k-th command: before it, or when it is done."""

    inner: Host
    at: int
    done: bool
    calls: int = 0
    dead: bool = False

    @contextlib.contextmanager
    def run(self, host: HostRef, argv: Sequence[str], *, stall_seconds: float) -> Iterator[Any]:
        """Count, and die."""
        self.calls += 1
        if self.dead or (self.calls == self.at and not self.done):
            self.dead = True
            raise Death
        with self.inner.run(host, argv, stall_seconds=stall_seconds) as stream:
            yield stream
        if self.calls == self.at:
            self.dead = True
            raise Death

    def lock(self, host: HostRef) -> contextlib.AbstractContextManager[None]:
        """The kernel gives it back at our death."""
        return self.inner.lock(host)
