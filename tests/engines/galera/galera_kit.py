"""A Galera cluster in memory that answers the engine's scripts, with its truth in plain sight."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.report import Diagnosis, TriageReport
from hasteward.plugins import Engine
from hasteward.ports.context import Depth, EngineContext, Run
from hasteward.ports.kubernetes import PERSISTENT_VOLUME_CLAIMS, PODS, SECRETS, Json, PodRef
from hasteward.testing.clock import VirtualClock
from hasteward.testing.kubernetes import FakeKubernetes, Result
from hasteward.testing.reporter import Approval, RecordingReporter
from hasteward_galera.facts import shell
from hasteward_galera.plugin import plugin
from hasteward_galera.resources import MARIADBS, STATEFUL_SETS, ZERO

CLUSTER = ClusterRef("galera", "db", "db")
PASSWORD = "root's \"pass\\word"
U = "67a44ea9-63a8-11ef-98a2-2b0c0aa0a627"
OTHER = "99999999-63a8-11ef-98a2-2b0c0aa0a627"
ENGINE = Engine(plugin.info(), plugin, frozenset({"triage", "plan", "dump", "restore", "put_back"}))


def node(number: int, start: int = 1) -> str:
    """The name that Galera gives to one start of a member's server."""
    return f"0000000{number}-0000-0000-0000-00000000000{start}"


def gvwstate(*nodes: str, kind: int = 3) -> str:
    """``gvwstate.dat`` as a server leaves it that did not stop in order."""
    members = "".join(f"member: {one} 0\n" for one in nodes)
    return f"my_uuid: {nodes[0]}\n#vwbeg\nview_id: {kind} {nodes[0]} 5\nbootstrap: 0\n{members}#vwend\n"


def grastate(uuid: str = U, seqno: int = -1, safe: int = 0) -> str:
    return (
        f"# GALERA saved state\nversion: 2.1\nuuid:    {uuid}\nseqno:   {seqno}\nsafe_to_bootstrap: {safe}\n"
    )


@dataclass
class Server:
    """One member. `runs` is its container; a stopped one shows its files alone."""

    number: int
    runs: bool = True
    uuid: str = U
    seqno: int = 100
    primary: bool = True
    state: str = "Synced"
    ready: bool = True
    #: the processes of its component, and what the members of it are called
    view: tuple[str, ...] = ()
    view_names: tuple[str, ...] = ()
    size: int | None = None
    start: int = 1
    version: str = "11.8.2-MariaDB-log"
    desync: int = 0
    queue: int = 0
    paused: float = 0.0
    upper: bool = True
    answers: bool = True
    said: str = "ERROR 2002 (HY000): Can't connect to local server"
    grastate: str = field(default_factory=grastate)
    gvwstate: str = ""
    transfer: bool = False
    schemas: tuple[str, ...] = ("shop",)
    empty: bool = False
    #: None when the recovery fails
    recovered: tuple[str, int] | None = (U, 100)
    recovered_view: bool = True
    free: int = 900
    stale: bool = False
    restarts: int = 0
    reason: str = "CrashLoopBackOff"
    pod: bool = True
    claim: bool = True
    scheduled: bool = True
    log: str = ""

    @property
    def name(self) -> str:
        return f"db-{self.number}"

    @property
    def node(self) -> str:
        return node(self.number, self.start)


def three() -> dict[str, Server]:
    """Three servers that are well, all in one component."""
    nodes, names = tuple(node(n) for n in range(3)), tuple(f"db-{n}" for n in range(3))
    return {f"db-{n}": Server(n, view=nodes, view_names=names) for n in range(3)}


@dataclass
class World:
    """Three servers, what the operator thinks of them, and what they answer."""

    servers: dict[str, Server] = field(default_factory=three)
    replicas: int = 3
    spec: dict[str, Any] = field(default_factory=dict)
    galera: dict[str, Any] = field(default_factory=dict)
    latch: str = "True"
    recovery: dict[str, Any] = field(default_factory=dict)
    ready_message: str = "Running"
    retention: str = "Retain"
    primary: str = "db-0"
    argvs: list[list[str]] = field(default_factory=list)
    fed: list[bytes] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    extra: list[Json] = field(default_factory=list)
    on_ask: Any = None
    #: answers the programs of the database, where there is one
    database: Any = None

    def stop(self, name: str, **changed: Any) -> Server:
        """A member whose container does not run; `changed` is how it left its files."""
        server = self.servers[name]
        server.runs, server.gvwstate = False, gvwstate(*server.view) if server.view else ""
        for what, value in changed.items():
            setattr(server, what, value)
        return server

    def among(self, *names: str) -> None:
        """From now on these are in one component, and the others are not in it."""
        nodes = tuple(self.servers[name].node for name in names)
        for name in names:
            self.servers[name].view, self.servers[name].view_names = nodes, names

    def __call__(self, pod: PodRef, argv: Sequence[str], stdin: bytes) -> Result:
        """What a container answers to one exec."""
        self.argvs.append(list(argv))
        self.fed.append(stdin)
        if argv[0] != "env":  # the database's own programs, and the search for orphans
            answer = self.database(pod, argv, stdin) if self.database is not None else None
            return answer if answer is not None else Result()
        text, words = argv[4], list(argv[6:])
        if text == shell.STATUS:
            server = self.servers[pod.name]
            if self.on_ask is not None:
                self.on_ask(server)
            return Result(self._status(server).encode())
        name = next(one for one in self.servers if f"-{one}-" in pod.name)
        self.folders.append(words[1] if text == shell.FILES else words[0])
        answer = self._files(self.servers[name]) if text == shell.FILES else self._recover(self.servers[name])
        return Result(answer.encode())

    def _status(self, server: Server) -> str:
        if not server.answers:
            return f"@@ status 1\n{server.said}\n{self._disk(server)}@@ bootstrap 0\n"
        size = server.size if server.size is not None else len(server.view)
        rows = {
            "wsrep_cluster_state_uuid": server.uuid,
            "wsrep_last_committed": server.seqno,
            "wsrep_cluster_status": "Primary" if server.primary else "non-Primary",
            "wsrep_local_state_comment": server.state,
            "wsrep_ready": "ON" if server.ready else "OFF",
            "wsrep_connected": "ON",
            "wsrep_cluster_size": size,
            "wsrep_gcomm_uuid": server.node,
            "wsrep_local_recv_queue": server.queue,
            "wsrep_flow_control_paused": server.paused,
        }
        lines = [f"hasteward_version\t{server.version}", f"hasteward_desync\t{server.desync}"]
        lines += ["wsrep_on_now\tON"]
        lines += [f"{name.upper() if server.upper else name}\t{value}" for name, value in rows.items()]
        lines += ["hasteward_end\tok"]
        lines += self._view(server)
        there = "there\n" if server.stale else ""
        text = "\n".join(lines)
        return f"@@ status 0\n{text}\n{self._disk(server)}@@ bootstrap 0\n{there}"

    def _view(self, server: Server) -> list[str]:
        if not server.view:
            return []
        names = server.view_names or tuple(f"db-{one[7]}" for one in server.view)
        members = [f"member\t{one}\t{name}" for one, name in zip(server.view, names, strict=True)]
        return [f"view\t{server.uuid}", *members]

    @staticmethod
    def _disk(server: Server) -> str:
        used = 1000 - server.free
        return f"@@ disk 0\n/dev/x 1000 {used} {server.free} {used // 10}% /var/lib/mysql\n"

    def _files(self, server: Server) -> str:
        presence = "empty" if server.empty else "there"
        parts = [f"@@ presence 0\n{presence}\n"]
        for name, text in (("grastate", server.grastate), ("gvwstate", server.gvwstate)):
            parts.append(f"@@ {name} {0 if text and not server.empty else 3}\n{text}\n")
        parts.append(f"@@ schemas 0\n{''.join(f'{name}/' for name in server.schemas)}\n")
        transfer = "unfinished\n" if server.transfer else ""
        return "".join(parts) + f"@@ transfer 0\n{transfer}" + self._disk(server)

    def _recover(self, server: Server) -> str:
        if server.recovered is None:
            return "@@ recover 1\n[ERROR] InnoDB: corrupted\n@@ view 1\n\n"
        uuid, seqno = server.recovered
        view = "\n".join(self._view(server)) if server.recovered_view else ""
        return (
            f"@@ recover 0\nWSREP: Recovered position: {uuid}:{seqno}\n@@ view {0 if view else 1}\n{view}\n"
        )

    # -- the API -----------------------------------------------------------------------------------------

    def kubernetes(self) -> FakeKubernetes:
        """An API server that holds this world's objects."""
        api = _Cluster(program=self)
        api.add(MARIADBS, self._mariadb())
        api.add(STATEFUL_SETS, self._stateful_set())
        for server in self.servers.values():
            if server.pod:
                api.add(PODS, self._pod(server))
            if server.claim:
                body = _named(f"storage-{server.name}", f"claim-{server.name}")
                api.add(PERSISTENT_VOLUME_CLAIMS, body | {"status": {"phase": "Bound"}})
            api.logs[server.name, "mariadb", True] = server.log
        for body in self.extra:
            api.add(PODS, body)
        data = {"password": base64.b64encode(PASSWORD.encode()).decode()}
        api.add(SECRETS, _named("db-root", "secret") | {"data": data})
        return api

    def _mariadb(self) -> Json:
        # in the order in which the operator came to write them, which is no order at all
        rows = [
            ("Ready", "True" if self.latch == "True" else "False", "StatefulSetReady", self.ready_message),
            ("Updated", "True", "Updated", "Updated"),
            ("GaleraReady", self.latch, "GaleraReady", "Galera ready"),
            ("GaleraConfigured", "True", "GaleraConfigured", "Galera configured"),
        ]
        conditions = [dict(zip(("type", "status", "reason", "message"), row, strict=True)) for row in rows]
        status: Json = {"conditions": conditions, "currentPrimary": self.primary, "replicas": 3}
        if self.recovery:
            status["galeraRecovery"] = self.recovery
        spec: Json = {
            "replicas": self.replicas,
            "image": "mariadb:11.8",
            "rootPasswordSecretKeyRef": {"name": "db-root", "key": "password"},
            "galera": {"enabled": True, **self.galera},
            **self.spec,
        }
        return _named("db", "mariadb") | {"spec": spec, "status": status}

    def _stateful_set(self) -> Json:
        policy = {"whenScaled": self.retention, "whenDeleted": "Retain"}
        spec = {"replicas": self.replicas, "persistentVolumeClaimRetentionPolicy": policy}
        return _named("db", "sts") | {"spec": spec, "status": {"readyReplicas": 3}}

    @staticmethod
    def _pod(server: Server) -> Json:
        state: Json = {"running": {}} if server.runs else {"waiting": {"reason": server.reason}}
        # the statuses are sorted by name, so the agent comes first (L56)
        rows = [
            {"name": "agent", "state": {"running": {}}, "ready": True, "restartCount": 0},
            {"name": "mariadb", "state": state, "ready": server.runs, "restartCount": server.restarts},
        ]
        scheduled = {"type": "PodScheduled", "status": "True" if server.scheduled else "False"}
        claim = {"persistentVolumeClaim": {"claimName": f"storage-{server.name}"}}
        body = _named(server.name, f"pod-{server.name}")
        spec: Json = {
            "containers": [{"name": "mariadb"}, {"name": "agent"}],
            "volumes": [{"name": "storage", **claim}],
        }
        if server.scheduled:
            spec["nodeName"] = f"node-{server.number}"
        phase = "Running" if server.scheduled else "Pending"
        status = {"phase": phase, "containerStatuses": rows, "conditions": [scheduled]}
        return body | {"spec": spec, "status": status}


class _Cluster(FakeKubernetes):
    """An API server with a kubelet behind it: helper pods run at once."""

    def create(self, resource: Any, namespace: str, body: Any) -> Json:
        made = super().create(resource, namespace, body)
        if resource == PODS:
            self.add(PODS, made | {"status": {"phase": "Running"}})
        return made


def _named(name: str, uid: str) -> Json:
    return {"metadata": {"name": name, "namespace": "db", "uid": uid}}


@dataclass
class Stage:
    """A world and hasteward in front of it."""

    world: World = field(default_factory=World)
    reporter: RecordingReporter = field(default_factory=RecordingReporter)
    approval: Approval = field(default_factory=Approval)

    def context(self, depth: Depth = Depth.PLAIN) -> EngineContext:
        clock = VirtualClock()
        self.api = self.world.kubernetes()
        self.api.clock = clock
        return EngineContext(
            self.api, clock, self.reporter, Run("a" * 16, clock.now()), self.approval, depth=depth
        )

    def triage(self, *, deep: bool = False) -> TriageReport:
        return plugin.triage(self.context(Depth.DEEP if deep else Depth.PLAIN), CLUSTER)


def ids(report: TriageReport) -> list[str]:
    """The findings, by name."""
    return [found.id for found in report.diagnoses]


def found(report: TriageReport, name: str) -> Diagnosis:
    """One of them."""
    return next(one for one in report.diagnoses if one.id == name)


__all__ = [
    "CLUSTER",
    "ENGINE",
    "OTHER",
    "PASSWORD",
    "ZERO",
    "Server",
    "Stage",
    "U",
    "World",
    "found",
    "grastate",
    "gvwstate",
    "ids",
    "node",
    "three",
]


def granted(*files: str) -> set[tuple[str, str]]:
    """What roles that we ship allow: verb and plural."""
    deploy = Path(__file__).parents[3] / "deploy"
    rules = [rule for name in files for rule in yaml.safe_load((deploy / name).read_text())["rules"]]
    return {(verb, resource) for rule in rules for verb in rule["verbs"] for resource in rule["resources"]}
