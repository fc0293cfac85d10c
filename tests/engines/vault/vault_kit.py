"""A Raft cluster in memory that answers the engine's scripts, with its truth in plain sight."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from vault_files import log, store

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.repair import RepairRequest
from hasteward.pipelines.repair import RepairResult, repair
from hasteward.plugins import Engine
from hasteward.ports.context import EngineContext, Run, Tuning
from hasteward.ports.kubernetes import PERSISTENT_VOLUME_CLAIMS, PODS, SECRETS, PodRef, Resource
from hasteward.testing.clock import VirtualClock
from hasteward.testing.kubernetes import FakeKubernetes, Result
from hasteward.testing.reporter import Approval, RecordingReporter
from hasteward.testing.repository import FakeRepository
from hasteward_vault.facts import shell
from hasteward_vault.facts.archive import Archive, ArchiveError
from hasteward_vault.facts.bolt import BLOCK
from hasteward_vault.plugin import plugin
from hasteward_vault.resources import STATEFUL_SETS

CLUSTER = ClusterRef("vault", "vault", "bao")
TOKEN = "s.canary0123456789"
START = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
ENGINE = Engine(plugin.info(), plugin, frozenset({"triage", "plan", "heal", "dump", "restore"}))
_LABELS = {
    "app.kubernetes.io/name": "openbao",
    "app.kubernetes.io/instance": "bao",
    "component": "server",
}


def archive(index: int = 50, term: int = 3, state: bytes = b"\x07" * 4000, **changed: bytes) -> bytes:
    """A Raft snapshot as it is stored; `changed` replaces members (`meta_json`, `SHA256SUMS` ...)."""
    meta = json.dumps(
        {
            "Version": 1,
            "ID": "bolt-snapshot",
            "Index": index,
            "Term": term,
            "Configuration": {"Servers": [{"Suffrage": 0, "ID": "bao-0", "Address": "bao-0.x:8201"}]},
            "Size": len(state),
        }
    ).encode()
    sums = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        for name, content in (("meta.json", meta), ("state.bin", state))
    ).encode()
    members = {"meta.json": meta, "state.bin": state, "SHA256SUMS": sums, "SHA256SUMS.sealed": b"sealed" * 30}
    for name, content in changed.items():
        members[name.replace("_", ".")] = content
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o600
            tar.addfile(info, io.BytesIO(content))
    raw = target.getvalue()
    return raw[: len(raw.rstrip(b"\0")) + -len(raw.rstrip(b"\0")) % 512 + 1024]


@dataclass
class Server:
    """One server; `follows` is the name of the one it takes for its leader."""

    name: str
    follows: str = "bao-0"
    active: bool = False
    sealed: bool = False
    initialized: bool = True
    version: str = "2.7.2"
    cluster_id: str = "c-1"
    committed: int = 50
    applied: int = 50
    active_since: str = "2026-11-25T01:00:00Z"
    storage: str = "raft"
    free: int = 900
    address: str = "https://127.0.0.1:8200"
    #: whom its Raft configuration marks as the leader; empty for nobody
    marks: str = "bao-0"
    running: bool = True
    #: where its log ends
    term: int = 3
    index: int = 50


@dataclass
class World:
    """Three servers, a token, and what they answer."""

    servers: dict[str, Server] = field(
        default_factory=lambda: {
            f"bao-{number}": Server(f"bao-{number}", active=number == 0) for number in range(3)
        }
    )
    voters: list[str] = field(default_factory=lambda: ["bao-0", "bao-1", "bao-2"])
    others: list[str] = field(default_factory=list)
    contact: dict[str, str] = field(default_factory=dict)
    key_term: int = 1
    snapshot: bytes = field(default_factory=archive)
    save_status: int = 0
    allowed: set[str] = field(
        default_factory=lambda: {"configuration", "autopilot", "keys", "save", "restore", "remove"}
    )
    replicas: int = 3
    installed: list[tuple[bytes, bool]] = field(default_factory=list)
    refuses: str = ""
    kept: dict[str, bytes] = field(default_factory=dict)
    temporary: int = 1000
    calls: list[str] = field(default_factory=list)
    after_save: Any = None
    comes_back_sealed: bool = False
    #: raft/peers.json of a server, which it reads when it starts
    told: dict[str, str] = field(default_factory=dict)

    def __call__(self, pod: PodRef, argv: Sequence[str], stdin: bytes) -> Result:
        """What a container answers to one exec."""
        server = self.servers[pod.name]
        if argv[0] != "env":  # the search for orphans
            return Result()
        text, words = argv[4], list(argv[6:])
        names = {
            shell.STATUS: self._status,
            shell.RAFT: self._raft,
            shell.SAVE: self._save,
            shell.KEEP: self._keep,
            shell.FORGET: self._forget,
            shell.REMOVE_PEER: self._remove_peer,
            shell.CAPTURE: self._capture,
            shell.RESTORE: self._restore,
            shell.TEMPORARY: self._temporary,
            shell.BLOCKS: self._blocks,
            shell.ALONE: self._alone,
            shell.NOT_ALONE: self._not_alone,
        }
        self.calls.append(next(method.__name__ for script, method in names.items() if script == text))
        return names[text](server, words, stdin)

    def _status(self, server: Server, words: list[str], _stdin: bytes) -> Result:
        body: dict[str, Any] = {
            "type": "shamir",
            "initialized": server.initialized,
            "sealed": server.sealed,
            "t": 3,
            "n": 5,
            "version": server.version,
            "storage_type": server.storage,
        }
        if not server.sealed and server.initialized:
            body |= {
                "cluster_id": server.cluster_id,
                "is_self": server.active,
                "active_time": server.active_since if server.active else "0001-01-01T00:00:00Z",
                "leader_address": f"https://{server.follows}:8200",
                "leader_cluster_address": f"https://{server.follows}.bao-internal:8201"
                if server.follows
                else "",
                "raft_committed_index": server.committed,
                "raft_applied_index": server.applied,
            }
        code = 2 if server.sealed else 0
        size, free = 1000 * 1024, server.free * 1024
        used = size - free
        text = (
            f"@@ address 0\n{server.address}\n@@ status {code}\n{json.dumps(body)}\n"
            f"@@ disk 0\nFilesystem 1024-blocks Used Available Capacity Mounted on\n"
            f"/dev/x {size} {used} {free} {100 * used // size}% {words[0]}\n@@ kept 0\n"
        )
        text += "".join(f"-rw------- 1 bao bao 8192 Nov 25 03:00 {path}\n" for path in self.kept)
        return Result(text.encode())

    def _answer(self, name: str, right: str, body: dict[str, Any]) -> str:
        if right in self.allowed:
            return f"@@ {name} 0\n{json.dumps({'data': body})}\n"
        said = "Error reading: Error making API request.\n\nCode: 403. Errors:\n\n* permission denied"
        return f"@@ {name} 2\n{said}\n"

    def _raft(self, server: Server, _words: list[str], _stdin: bytes) -> Result:
        rows = [
            {
                "node_id": name,
                "address": f"{name}.bao-internal:8201",
                "leader": name == server.marks,
                "voter": name in self.voters,
            }
            for name in (*self.voters, *self.others)
        ]
        watched = {
            name: {
                "id": name,
                "healthy": name not in self.contact,
                "node_status": "alive",
                "last_contact": self.contact.get(name, "20ms"),
                "last_term": 3,
                "last_index": 50,
                "version": "2.7.2",
            }
            for name in (*self.voters, *self.others)
        }
        text = self._answer("peers", "configuration", {"config": {"servers": rows}})
        text += self._answer("autopilot", "autopilot", {"servers": watched})
        return Result((text + self._answer("keys", "keys", {"term": self.key_term})).encode())

    def _save(self, _server: Server, _words: list[str], _stdin: bytes) -> Result:
        if "save" not in self.allowed:
            return Result(b"", b"Error taking the snapshot: * permission denied", 2)
        if self.after_save is not None:
            self.after_save()
        return Result(self.snapshot, exit_status=self.save_status)

    def _keep(self, server: Server, words: list[str], _stdin: bytes) -> Result:
        self.kept[words[-1]] = self.snapshot
        del server
        return Result(b"-rw------- 1 openbao\n")

    def _forget(self, _server: Server, words: list[str], _stdin: bytes) -> Result:
        self.kept.pop(words[-1], None)
        return Result()

    def _restore(self, _server: Server, words: list[str], stdin: bytes) -> Result:
        if "restore" not in self.allowed:
            return Result(b"", b"Error installing the snapshot: * permission denied", 2)
        # As the server does it: what does not unpack to a whole archive is refused and changes nothing.
        found = Archive()
        try:
            unpacked = zlib.decompressobj(wbits=31).decompress(stdin)
            found.feed(unpacked)
            found.conclude()
        except (zlib.error, ArchiveError) as error:
            return Result(b"", f"* {error}".encode(), 2)
        if self.refuses:
            return Result(b"", f"* {self.refuses}".encode(), 2)
        self.installed.append((unpacked, words[-1] == "-force"))
        self.snapshot = unpacked
        return Result()

    def _remove_peer(self, _server: Server, words: list[str], _stdin: bytes) -> Result:
        if "remove" not in self.allowed:
            return Result(b"", b"Error removing the peer: * permission denied", 2)
        self.voters = [name for name in self.voters if name != words[-1]]
        self.others = [name for name in self.others if name != words[-1]]
        return Result(b"Peer removed successfully!\n")

    def _capture(self, server: Server, _words: list[str], _stdin: bytes) -> Result:
        return Result(f"vault.db of {server.name}".encode() + bytes(1024))

    def _blocks(self, server: Server, words: list[str], _stdin: bytes) -> Result:
        path, first, count = words[0], int(words[1]), int(words[2])
        if not server.initialized:
            return Result(b"", b"dd: no such file", 1)
        peers = dict.fromkeys(self.voters, True) | dict.fromkeys(self.others, False)
        content = (
            store(peers, server.term, 1) if path.endswith("vault.db") else log(server.term, server.index)
        )
        return Result(content[first * BLOCK : (first + count) * BLOCK])

    def _alone(self, server: Server, words: list[str], _stdin: bytes) -> Result:
        if self.told.setdefault(server.name, words[1]) != words[1]:
            return Result(b"", b"there is a raft/peers.json already", 73)
        return Result()

    def _not_alone(self, server: Server, words: list[str], _stdin: bytes) -> Result:
        if server.name not in self.told:
            return Result(b"gone\n")
        if self.told[server.name] != words[1]:
            return Result(b"", b"raft/peers.json is not the one of this repair", 73)
        del self.told[server.name]
        return Result(b"removed\n")

    def lose(self, *names: str) -> None:
        """These come back empty, and nobody leads any more."""
        for name in names:
            self.servers[name].initialized, self.servers[name].sealed = False, True
        for server in self.servers.values():
            server.active, server.follows, server.marks = False, "", ""

    def _starts_alone(self, name: str) -> None:
        """It finds itself the only peer; who is empty joins it."""
        self.voters, self.others = [row["id"] for row in json.loads(self.told.pop(name))], []
        self.servers[name].active = True
        for server in self.servers.values():
            if server.name == name or not server.initialized:
                server.initialized, server.sealed, server.marks, server.follows = True, False, name, name
                self.voters = list(dict.fromkeys([*self.voters, server.name]))
                server.committed = server.applied = self.servers[name].index

    def deleted(self, api: FakeKubernetes, what: str, name: str) -> None:
        """What the StatefulSet does: a pod comes back, on the claim that is left or on a new one."""
        if what != "pods":
            return
        server = self.servers[name]
        claim = (PERSISTENT_VOLUME_CLAIMS.title, "vault", f"data-{name}")
        if claim not in api.objects:
            api.add(PERSISTENT_VOLUME_CLAIMS, _claim(name, f"claim-{name}-new"))
            self.voters.append(name)  # it joins, and gets its vote
            server.cluster_id, server.committed, server.applied = "c-1", 50, 50
        server.sealed, server.active, server.initialized = self.comes_back_sealed, False, True
        if name in self.told:
            self._starts_alone(name)
        server.follows = next((s.name for s in self.servers.values() if s.active), "")
        api.add(PODS, self._pod(server, f"pod-{name}-new"))

    def _temporary(self, _server: Server, _words: list[str], _stdin: bytes) -> Result:
        text = f"@@ disk 0\nFilesystem 1024-blocks Used Available Capacity\nx 9 0 {self.temporary} 1% /tmp\n"
        return Result(text.encode())

    def kubernetes(self) -> FakeKubernetes:
        """An API server that holds this world's objects."""
        api = _Cluster(program=self)
        api.world = self
        api.add(STATEFUL_SETS, self._stateful_set())
        for server in self.servers.values():
            api.add(PODS, self._pod(server, f"pod-{server.name}"))
            api.add(PERSISTENT_VOLUME_CLAIMS, _claim(server.name, f"claim-{server.name}"))
        data = {"token": base64.b64encode(TOKEN.encode() + b"\n").decode()}
        api.add(SECRETS, {"metadata": {"name": "hasteward-vault", "namespace": "vault"}, "data": data})
        return api

    @staticmethod
    def _pod(server: Server, uid: str) -> dict[str, Any]:
        state: dict[str, Any] = {"running": {}} if server.running else {"waiting": {"reason": "Crash"}}
        rows = [{"name": "openbao", "state": state, "restartCount": 0}]
        body = _named(server.name, uid)
        body["metadata"]["labels"] = dict(_LABELS)
        return body | {"status": {"phase": "Running", "podIP": "10.0.0.1", "containerStatuses": rows}}

    def _stateful_set(self) -> dict[str, Any]:
        mounts = [{"name": "data", "mountPath": "/openbao/data"}]
        containers = [{"name": "mesh"}, {"name": "openbao", "volumeMounts": mounts}]
        spec = {
            "replicas": self.replicas,
            "selector": {"matchLabels": dict(_LABELS)},
            "template": {"spec": {"containers": containers}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}}],
        }
        return {"metadata": {"name": "bao", "namespace": "vault", "labels": dict(_LABELS)}, "spec": spec}


def _named(name: str, uid: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "vault", "uid": uid}}


def _claim(member: str, uid: str) -> dict[str, Any]:
    return _named(f"data-{member}", uid) | {"spec": {"volumeName": f"pv-{uid}"}}


@dataclass(slots=True)
class _Cluster(FakeKubernetes):
    """An API server with a StatefulSet controller behind it."""

    world: Any = None

    def delete(self, resource: Resource, namespace: str, name: str, *, grace: int | None = None) -> None:
        FakeKubernetes.delete(self, resource, namespace, name, grace=grace)
        self.world.deleted(self, resource.plural, name)


@dataclass
class Stage:
    """A world with everything a hook is given."""

    world: World = field(default_factory=World)
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.api = self.world.kubernetes()
        self.reporter = RecordingReporter()
        self.approval = Approval()
        self.context = EngineContext(
            kubernetes=self.api,
            clock=VirtualClock(START),
            reporter=self.reporter,
            run=Run("r1", START),
            approve=self.approval,
            options=self.options,
            tuning=Tuning(heal_seconds=20),
        )

    def again(self) -> Stage:
        """A later run on the very same API server."""
        later = self.fresh()
        later.api = self.api
        later.context = replace(later.context, kubernetes=self.api)
        return later

    def fresh(self) -> Stage:
        """The same world, a later run."""
        later = Stage(self.world, self.options)
        later.context = replace(later.context, run=Run("r2", START))
        return later


def run(stage: Stage, store: FakeRepository | None = None, **request: Any) -> RepairResult:
    """A repair; what must be captured is, if there is a store."""
    wanted = RepairRequest(escrow=store is not None, **request)
    return repair(ENGINE, stage.context, CLUSTER, store, wanted)
