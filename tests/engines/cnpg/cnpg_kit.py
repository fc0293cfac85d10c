"""Real PostgreSQL servers of this machine, and the Kubernetes port over them.

`exec` starts what it is given as a process of its own session, with the environment a CloudNativePG
container has, so every statement, dump, upload and swap of these tests runs on real programs.
"""

# ruff: noqa: ARG002 - doubles take what the port gives them

from __future__ import annotations

import copy
import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local_servers import free_port

from hasteward.adapters.system import SystemClock
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import Unproven
from hasteward.domain.manifest import Manifest, Section, covers
from hasteward.kit import orphans
from hasteward.ports.context import (
    DumpProof,
    EngineContext,
    RestoreOptions,
    RestoreOutcome,
    Run,
    SectionBytes,
)
from hasteward.ports.kubernetes import (
    PODS,
    ApiNotFound,
    Channel,
    ExitStatus,
    Json,
    Output,
    PodRef,
    Resource,
    StreamStalled,
)
from hasteward.streams.proof import Algorithm, new_digest
from hasteward.testing.reporter import Approval, RecordingReporter

BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
PATH = f"{BIN}:/usr/bin:/bin"
CLUSTER = ClusterRef("cnpg", "db", "pg")
#: as CloudNativePG has it: the socket is the superuser's, everybody else comes with a password
_HBA = "local all postgres trust\nlocal replication postgres trust\nhost all all all scram-sha-256\n"
_IDS = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []
_SETTINGS = (
    "fsync=off",
    "listen_addresses=127.0.0.1",
    "wal_level=logical",
    "max_prepared_transactions=5",
    "shared_buffers=16MB",
    "wal_receiver_status_interval=1s",
    "max_wal_size=64MB",
)


def run(*argv: str, stdin: bytes | None = None) -> str:
    """Run a program of the server's version as its user; its output, or an error that shows what it said."""
    done = subprocess.run(
        [*_IDS, str(BIN / argv[0]), *argv[1:]],
        env={"PATH": PATH, "LC_ALL": "C", "HOME": "/tmp", "PGOPTIONS": "-c statement_timeout=0 -c role=none"},
        input=stdin,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, (argv, done.stderr.decode())
    return done.stdout.decode()


class Server:
    """One PostgreSQL in a folder of its own: the superuser comes by its socket, others by 127.0.0.1."""

    def __init__(self, name: str, source: Path | None = None) -> None:
        self.name = name
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="hw", dir="/tmp"))
        self.data = self.folder / "data"
        if source is not None:
            shutil.copytree(source, self.data, symlinks=True)
        self._own()

    def _own(self) -> None:
        self.folder.chmod(0o755)
        if _IDS:
            subprocess.run(["chown", "-R", "65534:65534", str(self.folder)], check=True)

    def init(self) -> Server:
        run(
            *("initdb", "-D", str(self.data), "-U", "postgres", "-E", "UTF8"),
            *("--locale=C.UTF-8", "--auth=trust", "--no-sync"),
        )
        (self.data / "pg_hba.conf").write_text(_HBA)
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write("autovacuum = off\n")  # here, so that a test can have it on
        return self

    def follow(self, primary: Server) -> Server:
        source = ("-h", str(primary.folder), "-p", str(primary.port), "-U", "postgres")
        run("pg_basebackup", "-D", str(self.data), *source, "-c", "fast")
        (self.data / "standby.signal").touch()
        with (self.data / "postgresql.auto.conf").open("a") as conf:
            conninfo = f"host={primary.folder} port={primary.port} user=postgres application_name={self.name}"
            conf.write(f"primary_conninfo = '{conninfo}'\n")
        self._own()
        return self

    def start(self) -> Server:
        own = (f"unix_socket_directories={self.folder}", f"port={self.port}")
        options = " ".join(f"-c {s}" for s in (*_SETTINGS, *own))
        run(
            *("pg_ctl", "-D", str(self.data), "-o", options, "-l", str(self.folder / "log"), "-w", "start"),
        )
        return self

    def stop(self) -> None:
        if (self.data / "postmaster.pid").exists():
            run("pg_ctl", "-D", str(self.data), "-m", "immediate", "-w", "stop")

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def psql(self, sql: str, database: str = "postgres") -> str:
        return self.tool(
            "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", conninfo(database), "-f", "-", sql=sql
        )

    def tool(self, program: str, *argv: str, sql: str = "") -> str:
        text = run(
            program, "-h", str(self.folder), "-p", str(self.port), "-U", "postgres", *argv, stdin=sql.encode()
        )
        return text.strip()

    def dump_of(self, database: str) -> str:
        return self.tool("pg_dump", "--create", "--restrict-key=x", "-d", conninfo(database))

    def dumpall(self) -> str:
        return self.tool("pg_dumpall", "--restrict-key=x")

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": PATH,
            "PGHOST": str(self.folder),
            "PGPORT": str(self.port),
            "PGDATA": str(self.data),
            "HOME": "/nonexistent",
        }


def conninfo(database: str) -> str:
    return "dbname='" + database.replace("\\", "\\\\").replace("'", "\\'") + "'"


class LocalExec:
    """`ports.kubernetes.ExecStream` over the pipes of a local process."""

    def __init__(self, process: subprocess.Popen[bytes], stall_seconds: float) -> None:
        self._process = process
        self._stall = stall_seconds
        self._selector = selectors.DefaultSelector()
        for channel, pipe in ((Channel.STDOUT, process.stdout), (Channel.STDERR, process.stderr)):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ, channel)
        self._ready: list[Output] = []
        self._done = False

    def _pump(self, seconds: float) -> bool:
        events = self._selector.select(seconds)
        for key, _ in events:
            data = os.read(key.fd, 65536)
            if data:
                self._ready.append(Output(key.data, memoryview(data)))
            else:
                self._selector.unregister(key.fileobj)
        return bool(events)

    def receive(self) -> Output | ExitStatus | None:
        while not self._ready and self._selector.get_map():
            if not self._pump(self._stall):
                raise StreamStalled(f"nothing moved for {self._stall} s")
        if self._ready:
            return self._ready.pop(0)
        if self._done:
            return None
        self._done = True
        code = self._process.wait(self._stall)
        return ExitStatus(code == 0, code, "" if code == 0 else f"exit code {code}")

    def send(self, data: bytes | memoryview) -> bool:
        stdin = self._process.stdin
        assert stdin is not None
        rest = memoryview(data)
        os.set_blocking(stdin.fileno(), False)
        while rest:
            self._pump(0)
            if (
                any(frame.channel is Channel.STDOUT for frame in self._ready)
                or self._process.poll() is not None
            ):
                return False
            try:
                rest = rest[os.write(stdin.fileno(), rest[:65536]) :]
            except BlockingIOError:
                time.sleep(0.001)
            except BrokenPipeError:
                return False
        return True

    def finish_input(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()

    def close(self) -> None:
        """What the kubelet does when the connection goes: the pipes close, the process is not killed."""
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        self._selector.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            raise


Fault = Callable[[PodRef, Sequence[str]], None]
Rewrite = Callable[[PodRef, Sequence[str]], Sequence[str] | None]


@dataclass
class LocalKubernetes:
    """`ports.kubernetes.Kubernetes`: objects are dictionaries, exec is a local process.

    `faults` see every exec and every read first and may raise; `rewrites` may replace an exec's argv.
    """

    servers: dict[str, Server]
    objects: dict[tuple[str, str], Json] = field(default_factory=dict)
    faults: list[Callable[[str, str, Sequence[str]], None]] = field(default_factory=list)
    rewrites: list[Rewrite] = field(default_factory=list)
    execs: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)

    def _fault(self, verb: str, what: str, argv: Sequence[str] = ()) -> None:
        for fault in self.faults:
            fault(verb, what, argv)

    def get(self, resource: Resource, namespace: str, name: str) -> Json:
        self._fault("get", f"{resource.plural}/{name}")
        try:
            return copy.deepcopy(self.objects[resource.plural, name])
        except KeyError:
            raise ApiNotFound(f"{resource.title} {namespace}/{name} does not exist") from None

    def list(self, resource: Resource, namespace: str, *, labels: str = "") -> list[Json]:
        self._fault("list", resource.plural)
        wanted = dict(pair.split("=", 1) for pair in labels.split(",") if pair)
        return [
            copy.deepcopy(body)
            for (plural, _), body in self.objects.items()
            if plural == resource.plural
            and wanted.items() <= dict(body["metadata"].get("labels", {})).items()
        ]

    def create(self, resource: Resource, namespace: str, body: Mapping[str, Any]) -> Json:
        raise AssertionError("the engine creates nothing")

    def replace(self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any]) -> Json:
        raise AssertionError("the engine replaces nothing")

    def patch(self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any]) -> Json:
        raise AssertionError("the engine patches nothing")

    def delete(self, resource: Resource, namespace: str, name: str, *, grace: int | None = None) -> None:
        raise AssertionError("the engine deletes nothing")

    def watch(
        self, resource: Resource, namespace: str, *, since: str, seconds: int, labels: str = ""
    ) -> Iterator[Json]:
        raise AssertionError("the engine watches nothing")

    def log(self, pod: PodRef, *, previous: bool = False, lines: int = 500) -> str:
        self._fault("log", pod.name)
        self.get(PODS, pod.namespace, pod.name)
        return self.logs.get(pod.name, "")

    def may(
        self, verb: str, resource: Resource, namespace: str, subresource: str = "", *, name: str = ""
    ) -> bool:
        return True

    @contextmanager
    def exec(
        self, pod: PodRef, argv: Sequence[str], *, stdin: bool, stall_seconds: float
    ) -> Iterator[LocalExec]:
        assert (pod.namespace, pod.container) == ("db", "postgres")
        # ending orphans looks at every process it can see: here, those of other tests too
        argv = ["exit 0" if word == orphans._END else word for word in argv]
        for rewrite in self.rewrites:
            argv = rewrite(pod, argv) or argv
        self.execs.append((pod.name, tuple(argv)))
        self._fault("exec", pod.name, argv)
        if pod.name not in self.servers:
            raise ApiNotFound(f"pod {pod} does not exist")
        process = subprocess.Popen(
            list(argv),
            env=self.servers[pod.name].environment,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        stream = LocalExec(process, stall_seconds)
        try:
            yield stream
        finally:
            stream.close()

    # --- objects ---------------------------------------------------------------------------------------

    @property
    def cluster(self) -> Json:
        return self.objects["clusters", "pg"]

    def pod(self, name: str) -> Json:
        return self.objects["pods", name]

    def annotate(self, key: str, value: str) -> None:
        self.cluster["metadata"].setdefault("annotations", {})[key] = value


def objects_for(names: Sequence[str], primary: str) -> dict[tuple[str, str], Json]:
    """A Cluster with its pods and volume claims, and two pods that only look like members."""
    found: dict[tuple[str, str], Json] = {
        ("clusters", "pg"): {
            "metadata": {"name": "pg", "namespace": "db"},
            "spec": {"instances": len(names)},
            "status": {
                "instanceNames": list(names),
                "currentPrimary": primary,
                "targetPrimary": primary,
                "phase": "Cluster in healthy state",
            },
        }
    }
    for name in names:
        found["pods", name] = pod_body(name)
        labels = {"cnpg.io/cluster": "pg", "cnpg.io/instanceName": name, "cnpg.io/pvcRole": "PG_DATA"}
        found["persistentvolumeclaims", name] = {
            "metadata": {"name": name, "labels": labels},
            "status": {"phase": "Bound"},
        }
    stranger = pod_body("pg-9-join")
    stranger["metadata"]["labels"]["cnpg.io/podRole"] = "pooler"
    found["pods", "pg-9-join"] = stranger
    return found


def pod_body(name: str) -> Json:
    labels = {"cnpg.io/cluster": "pg", "cnpg.io/podRole": "instance", "cnpg.io/instanceName": name}
    return {
        "metadata": {"name": name, "labels": labels},
        "status": {
            "phase": "Running",
            "containerStatuses": [
                {"name": "sidecar", "ready": False, "restartCount": 9, "state": {"waiting": {"reason": "X"}}},
                {"name": "postgres", "ready": True, "restartCount": 0, "state": {"running": {}}},
            ],
        },
    }


# --- what an engine is given ------------------------------------------------------------------------------


_STARTED = datetime(2026, 8, 21, 9, 0, 21, tzinfo=UTC)


def context_for(
    kubernetes: LocalKubernetes, *, run: str = "run1", approve: bool = True, minute: int = 0
) -> EngineContext:
    return EngineContext(
        kubernetes=kubernetes,
        clock=SystemClock(),
        reporter=RecordingReporter(),
        run=Run(run, _STARTED.replace(minute=minute)),
        approve=Approval(approve),
    )


def restore(api: LocalKubernetes, source: Stored, run: str = "run2", **options: Any) -> RestoreOutcome:
    """A run of its own, as many minutes later as its number says."""
    from hasteward_cnpg.plugin import plugin

    context = context_for(api, run=run, minute=int(run[3:]))
    return plugin.restore(context, CLUSTER, source, RestoreOptions(**options))


def reporter_of(context: EngineContext) -> RecordingReporter:
    assert isinstance(context.reporter, RecordingReporter)
    return context.reporter


def plan_of(context: EngineContext) -> Any:
    assert isinstance(context.approve, Approval)
    return context.approve.plans[-1]


class MemorySink:
    """A `DumpSink` that keeps the bytes."""

    def __init__(self) -> None:
        self.data = bytearray()

    @property
    def position(self) -> int:
        return len(self.data)

    def write(self, data: bytes | memoryview) -> None:
        self.data += data


class StoredBytes:
    """A section of `home`, compared or as it is."""

    def __init__(self, home: Stored, section: Section) -> None:
        self._home = home
        self._section = section

    def _chunks(self, length: int) -> Iterator[memoryview]:
        start, step = self._section.offset, self._home.chunk
        for at in range(start, start + length, step):
            yield memoryview(self._home.data)[at : min(start + length, at + step)]

    def __iter__(self) -> Iterator[memoryview]:
        digest = new_digest(Algorithm(self._section.algorithm))
        for piece in self._chunks(self._section.length):
            digest.update(piece)
            yield piece
        if digest.hexdigest() != self._section.digest:
            raise Unproven(f"section {self._section.key} in the repository is not the one that was proven")

    def fed(self) -> Iterator[memoryview]:
        return self._chunks(self._section.length - self._section.closing)


@dataclass
class Stored:
    """A dump as the pipeline would store it; also the `RestoreSource` of it."""

    data: bytes
    manifest: Manifest
    snapshot_id: str = "abcd1234"
    chunk: int = 16384

    def read(self, keys: Collection[str]) -> Iterator[tuple[Section, SectionBytes]]:
        for section in self.manifest.sections:
            if section.key in keys:
                yield section, StoredBytes(self, section)

    def section_text(self, key: str) -> str:
        section = self.manifest.section(key)
        assert section is not None
        return self.data[section.offset : section.offset + section.length].decode()

    def digests(self) -> dict[str, str]:
        return {section.key: section.digest for section in self.manifest.sections}

    def changed(self, **values: Any) -> Stored:
        return replace(self, manifest=replace(self.manifest, **values))


def stored(sink: MemorySink, proof: DumpProof, run_id: str = "run1") -> Stored:
    assert covers(proof.sections, len(sink.data))
    manifest = Manifest(
        run=run_id,
        job="20260821T090021Z",
        engine="cnpg",
        namespace="db",
        cluster="pg",
        type="backup",
        path="db/pg/pgdumpall.sql",
        format="postgresql-sections-2",
        size=len(sink.data),
        sections=proof.sections,
        member=proof.member,
        server_version=proof.server_version,
        started="2026-08-21T09:00:21Z",
        finished="2026-08-21T09:00:29Z",
        tool_version="0.1.0",
        catalog=proof.catalog,
    )
    return Stored(bytes(sink.data), manifest)


def caught_up(servers: dict[str, Server]) -> None:
    """Wait until the replica has replayed everything."""
    for _ in range(200):
        primary = servers["pg-1"].psql("SELECT pg_current_wal_lsn()")
        rows = servers["pg-1"].psql(f"SELECT bool_and(replay_lsn >= '{primary}') FROM pg_stat_replication")  # noqa: S608  a position
        if rows == "t":
            return
        time.sleep(0.05)
    raise AssertionError("the replica does not follow")
