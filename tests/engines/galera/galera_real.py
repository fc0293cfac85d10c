"""One real MariaDB with Galera on, behind an API server in memory: its container is this machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from galera_kit import CLUSTER, ENGINE, Stage, World, three
from local_servers import free_port, of_users

from hasteward.pipelines.backup import BackupOptions, BackupResult, backup
from hasteward.pipelines.restore import RestoreRequest, RestoreResult, restore
from hasteward.ports.context import EngineContext, RestoreOptions, Run, Tuning
from hasteward.ports.kubernetes import PodRef
from hasteward.testing.clock import VirtualClock
from hasteward.testing.kubernetes import FakeKubernetes, Result
from hasteward.testing.reporter import Approval, RecordingReporter
from hasteward.testing.repository import FakeRepository
from hasteward_galera.resources import DATA

PROVIDER = "/usr/lib/galera/libgalera_smm.so"


@dataclass
class Node:
    """A server of its own cluster, with a socket; root has no password by the socket."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def socket(self) -> Path:
        return self.folder / "s"

    def make(self) -> None:
        (self.folder / ".my.cnf").write_text(f"[client]\nsocket={self.socket}\n")
        install = ["mariadb-install-db", "--no-defaults", f"--datadir={self.data}", "--skip-test-db"]
        whose = "root" if os.getuid() == 0 else os.environ["USER"]
        install += [f"--user={whose}", "--auth-root-authentication-method=normal"]
        done = subprocess.run(
            [*install, "--innodb-log-file-size=8M"], capture_output=True, text=True, check=False, timeout=100
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        """A cluster of one."""
        port = free_port()
        whose = "root" if os.getuid() == 0 else os.environ["USER"]
        server = shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin")
        assert server is not None
        words = [server, "--no-defaults", f"--datadir={self.data}", f"--socket={self.socket}"]
        words += [f"--user={whose}", "--skip-networking", f"--pid-file={self.folder / 'pid'}"]
        words += ["--innodb-buffer-pool-size=24M", "--innodb-log-file-size=8M", "--performance-schema=OFF"]
        words += ["--innodb-flush-log-at-trx-commit=2", "--binlog-format=ROW", "--wsrep-on=ON"]
        words += ["--innodb-autoinc-lock-mode=2", "--wsrep-cluster-address=gcomm://", "--wsrep-new-cluster"]
        words += [f"--wsrep-provider={PROVIDER}", "--wsrep-node-name=db-0"]
        words += ["--wsrep-node-address=127.0.0.1"]
        # a server that starts removes every temporary table it finds there, also those of others
        words += [f"--tmpdir={self.folder}"]
        options = (
            f"gmcast.listen_addr=tcp://127.0.0.1:{port};gcache.size=4M;ist.recv_addr=127.0.0.1:{port + 1}"
        )
        with (self.folder / "log").open("ab") as log:
            words += [f"--wsrep-provider-options={options}"]
            self.process = subprocess.Popen(words, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self.process.poll() is None, (self.folder / "log").read_text()[-3000:]
            with contextlib.suppress(AssertionError):
                if "Synced" in self.sql("SHOW STATUS LIKE 'wsrep_local_state_comment'"):
                    return
            time.sleep(0.1)
        raise AssertionError((self.folder / "log").read_text()[-3000:])

    def kill(self) -> None:
        if self.process is not None:
            alive = self.process.poll() is None
            self.process.kill()
            self.process.wait()
            self.process = None
            assert alive, (self.folder / "log").read_text()[-6000:]

    def stop(self) -> None:
        """In order: it writes down where it is."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=60)
            self.process = None

    def sql(self, text: str) -> str:
        done = subprocess.run(
            ["mariadb", "--no-defaults", "-uroot", f"--socket={self.socket}", "-NB"],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def committed(self) -> tuple[str, int]:
        rows = dict(
            line.split("\t")
            for line in self.sql(
                "SHOW STATUS WHERE Variable_name IN ('wsrep_cluster_state_uuid', 'wsrep_last_committed')"
            ).splitlines()
        )
        return rows["wsrep_cluster_state_uuid"], int(rows["wsrep_last_committed"])

    def content(self, *schemas: str) -> str:
        """Everything in some schemas, as the server's own program tells it."""
        words = ["mariadb-dump", "--no-defaults", "-uroot", f"--socket={self.socket}", "--skip-dump-date"]
        words += ["--single-transaction", "--routines", "--events", "--triggers", "--databases", *schemas]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def schemas(self) -> list[str]:
        return of_users(self.sql("SHOW DATABASES"))

    def program(self, _pod: PodRef, argv: Sequence[str], stdin: bytes) -> Result:
        """What runs in the container runs here, with its data directory and its socket."""
        words = [str(self.data) + word.removeprefix(DATA) if word.startswith(DATA) else word for word in argv]
        done = subprocess.run(
            words,
            input=stdin,
            capture_output=True,
            check=False,
            timeout=60,
            env=dict(os.environ) | {"HOME": str(self.folder)},
        )
        return Result(done.stdout, done.stderr, done.returncode)


@dataclass
class Steward:
    """hasteward in front of a cluster of one."""

    node: Node
    repository: FakeRepository = field(default_factory=lambda: FakeRepository(chunk=65536))
    reporter: RecordingReporter = field(default_factory=RecordingReporter)
    approval: Approval = field(default_factory=Approval)
    on_call: Callable[[str], None] | None = None
    runs: int = 0

    def kubernetes(self) -> FakeKubernetes:
        world = World(servers={"db-0": three()["db-0"]}, replicas=1, spec={"rootEmptyPassword": True})
        api = world.kubernetes()
        api.program = self.node.program
        if self.on_call is not None:
            api.on_call = self.on_call
        return api

    def context(self) -> EngineContext:
        self.runs += 1
        started = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) + timedelta(minutes=self.runs)
        clock = VirtualClock(started)
        api = self.kubernetes()
        api.clock = clock
        run = Run(f"{self.runs:016x}", started)
        return EngineContext(
            api, clock, self.reporter, run, self.approval, tuning=Tuning(stall_seconds=60, lock_seconds=5)
        )

    def backup(self) -> BackupResult:
        return backup(ENGINE, self.context(), CLUSTER, self.repository, BackupOptions())

    def restore(self, *databases: str, **options: Any) -> RestoreResult:
        request = RestoreRequest("latest", RestoreOptions(databases=databases, **options))
        return restore(ENGINE, self.context(), CLUSTER, self.repository, request)


def as_this_user(folder: Path) -> str:
    """A PATH on which the server also runs as root, which a pod's never is."""
    shim = folder / "mariadbd"
    shim.write_text('#!/bin/sh\nexec /usr/sbin/mariadbd "$@" --user="$(id -un)"\n')
    shim.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


__all__ = ["Node", "Stage", "Steward", "as_this_user"]
