"""A PostgreSQL cluster in memory, with its operator and kubelet, that answers the engine's scripts.

The truth is in `Truth.volumes`: what lies under which name on each member's volume. Time is virtual; whenever
it passes, the operator makes the pods that are missing (unless it was told to look away) and pods come up.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from hasteward import testing
from hasteward.domain.cluster import ClusterRef
from hasteward.ports.kubernetes import PERSISTENT_VOLUME_CLAIMS, PODS, Json, PodRef
from hasteward.testing.clock import VirtualClock
from hasteward.testing.kubernetes import FakeKubernetes, Result
from hasteward_cnpg import capture as capturing
from hasteward_cnpg.collect import files as reading
from hasteward_cnpg.collect import server as asking
from hasteward_cnpg.evidence import Lsn
from hasteward_cnpg.facts import shell
from hasteward_cnpg.facts.files import segment_name
from hasteward_cnpg.facts.names import slot_name
from hasteward_cnpg.facts.objects import parse_fences
from hasteward_cnpg.resources import CLUSTERS, FENCED_INSTANCES, RECONCILIATION, UNRECOVERABLE
from hasteward_sql.postgresql.collect import room

CLUSTER = ClusterRef("cnpg", "db", "pg")
SYSTEM = "7541220011223344556"
SEGMENT = 16 * 1024 * 1024
Point = tuple[int, int]


@dataclass(frozen=True)
class Data:
    """A data directory: the way its log came, the commits in it, and what kind of server it makes."""

    timeline: int = 2
    end: int = 0x5000000
    ancestors: tuple[Point, ...] = ((1, 0x3000000),)
    commits: frozenset[Point] = frozenset({(1, 0x2000000), (2, 0x4000000), (2, 0x4F00000)})
    standby: bool = True
    #: whether the log it needs next can still be had
    whole: bool = True

    def timeline_at(self, position: int) -> int:
        """The timeline that the byte at a position was written on."""
        return next((line for line, left in self.ancestors if position < left), self.timeline)

    @property
    def redo(self) -> int:
        """Its last checkpoint."""
        return max(self.ancestors[-1][1] if self.ancestors else 0, self.end - 0x1000)

    def until(self, position: int) -> frozenset[Point]:
        """The commits up to a position."""
        return frozenset(point for point in self.commits if point[1] <= position)


PRIMARY = Data(standby=False)
REPLICA = Data()
#: promoted by accident at 0/4800000, and alone since
STRAY = replace(
    PRIMARY,
    timeline=3,
    ancestors=((1, 0x3000000), (2, 0x4800000)),
    end=0x4900000,
    commits=PRIMARY.until(0x4800000),
)
DIVERGED = replace(STRAY, commits=STRAY.commits | {(3, 0x4880000)})
STUCK = replace(REPLICA, end=0x4100000, commits=REPLICA.until(0x4100000), whole=False)
BEHIND = replace(STUCK, whole=True)


@dataclass
class Truth:
    """What is so, whatever the objects say. `free` is what df tells of every volume, in KiB."""

    volumes: dict[str, dict[str, Data]] = field(
        default_factory=lambda: {
            "pg-1": {"pgdata": PRIMARY},
            "pg-2": {"pgdata": REPLICA},
            "pg-3": {"pgdata": REPLICA},
        }
    )
    crashing: set[str] = field(default_factory=set)
    #: servers that run and answer nobody: no fence stops them, a new pod does
    hanging: set[str] = field(default_factory=set)
    free: int = 4 * 1024 * 1024
    rewinds: bool = True
    operator: bool = True
    version: str = "1.30.0"
    #: what becomes of a member while its server stops
    on_stop: Callable[[Truth], None] = lambda _truth: None
    ran: list[str] = field(default_factory=list)

    # -- the objects --------------------------------------------------------------------------------------

    def kubernetes(self) -> FakeKubernetes:
        """An API server with the objects of this cluster."""
        api = FakeKubernetes(program=lambda pod, argv, _stdin: self.run(api, pod, list(argv)))
        names = sorted(self.volumes)
        status = {
            "instanceNames": names,
            "currentPrimary": "pg-1",
            "targetPrimary": "pg-1",
            "phase": "Cluster in healthy state",
            "image": "postgresql:17",
        }
        body = {"metadata": {"name": "pg", "namespace": "db"}, "spec": {"instances": 3}, "status": status}
        body["metadata"]["annotations"] = {FENCED_INSTANCES: '["pg-9"]'}  # type: ignore[index]
        api.add(CLUSTERS, body)
        for name in names:
            self._claim(api, name)
            self._pod(api, name)
        self.tick(api)
        return api

    def _claim(self, api: FakeKubernetes, name: str) -> None:
        labels = {"cnpg.io/cluster": "pg", "cnpg.io/instanceName": name, "cnpg.io/pvcRole": "PG_DATA"}
        metadata = {"name": name, "namespace": "db", "labels": labels}
        api.add(PERSISTENT_VOLUME_CLAIMS, {"metadata": metadata, "status": {"phase": "Bound"}})

    def _pod(self, api: FakeKubernetes, name: str) -> None:
        labels = {"cnpg.io/cluster": "pg", "cnpg.io/podRole": "instance", "cnpg.io/instanceName": name}
        metadata = {"name": name, "namespace": "db", "labels": labels}
        spec = {
            "nodeName": "node-1",
            "serviceAccountName": "pg",
            "containers": [{"name": "postgres", "image": "postgresql:17"}],
            "volumes": [{"name": "pgdata", "persistentVolumeClaim": {"claimName": name}}],
        }
        annotations = {"cnpg.io/operatorVersion": self.version}
        body: Json = {"metadata": metadata | {"annotations": annotations}, "spec": spec, "status": {}}
        api.add(PODS, body)

    def annotations(self, api: FakeKubernetes) -> dict[str, str]:
        """Those of the Cluster."""
        found: dict[str, str] = api.objects[CLUSTERS.title, "db", "pg"]["metadata"].get("annotations", {})
        return found

    # -- who makes things happen --------------------------------------------------------------------------

    def tick(self, api: FakeKubernetes) -> None:
        """A moment passes."""
        if self.operator and self.annotations(api).get(RECONCILIATION) != "disabled":
            self._operate(api)
        for (title, _, name), body in list(api.objects.items()):
            if title != PODS.title or name not in {*self.volumes, *_helpers(api)}:
                continue
            status = self._status(api, name)
            if body.get("status") != status:
                api.add(PODS, body | {"status": status})

    def _operate(self, api: FakeKubernetes) -> None:
        pods = {name: body for (title, _, name), body in api.objects.items() if title == PODS.title}
        for name, body in pods.items():
            if (body["metadata"].get("annotations") or {}).get(UNRECOVERABLE) == "true":
                api.remove(PODS, "db", name)
                self.volumes[name] = {"pgdata": self.cloned()}
                self.crashing.discard(name)
        members = [name for name in self.volumes if (PODS.title, "db", name) in api.objects]
        if all(self.serves(api, name) for name in members):
            for name in self.volumes:
                if (PODS.title, "db", name) not in api.objects:
                    self.crashing.discard(name)
                    self.hanging.discard(name)
                    self._pod(api, name)

    def _status(self, api: FakeKubernetes, name: str) -> Json:
        if name.startswith("hasteward-"):
            return {"phase": "Running", "podIP": "10.0.0.99"}
        looping = name in self.crashing or "pgdata" not in self.volumes[name]
        state: Json = {"waiting": {"reason": "CrashLoopBackOff"}} if looping else {"running": {}}
        ready = self.serves(api, name)
        row = {"name": "postgres", "ready": ready, "restartCount": 4 if looping else 0, "state": state}
        return {"phase": "Running", "podIP": f"10.0.0.{name[-1]}", "containerStatuses": [row]}

    def serves(self, api: FakeKubernetes, name: str) -> bool:
        """Whether its server runs."""
        fenced, _ = parse_fences(self.annotations(api).get(FENCED_INSTANCES, ""))
        there = (PODS.title, "db", name) in api.objects and "pgdata" in self.volumes[name]
        return there and name not in self.crashing | self.hanging and name not in fenced

    def _runs(self, api: FakeKubernetes, name: str) -> bool:
        """Whether a server uses the files, be it that it answers or not."""
        return self.serves(api, name) or (name in self.hanging and (PODS.title, "db", name) in api.objects)

    def streams(self, api: FakeKubernetes, name: str) -> bool:
        """Whether it follows the primary."""
        data = self.volumes[name].get("pgdata")
        if data is None or not self.serves(api, name) or not self.serves(api, "pg-1"):
            return False
        return data.standby and data.whole and data.timeline == PRIMARY.timeline

    def cloned(self) -> Data:
        """What a copy of the primary is."""
        return replace(self.volumes["pg-1"]["pgdata"], standby=True, whole=True)

    def content(self) -> Any:
        """What a client reads, and what only others hold."""
        return sorted(self.volumes["pg-1"]["pgdata"].commits)

    def residue(self) -> Any:
        """What lies on the volumes beside the data directories."""
        return {
            name: sorted(set(held) - {"pgdata"})
            for name, held in self.volumes.items()
            if set(held) - {"pgdata"}
        }

    # -- what runs in pods --------------------------------------------------------------------------------

    def run(self, api: FakeKubernetes, pod: PodRef, argv: list[str]) -> Result:
        """One exec."""
        if argv[:2] == ["sh", "-c"] and argv[2].startswith('"$@"'):
            inner = self.run(api, pod, argv[4:])
            return Result(inner.stdout + inner.stderr + f"@@exit {inner.exit_status}\n".encode())
        if asking._SQL.strip() in argv:
            return self._server(api, pod.name)
        scripts: dict[str, Callable[[FakeKubernetes, PodRef, list[str]], Result]] = {
            reading._LOOK: self._look,
            reading._WALK: self._walk,
            reading._COUNT: self._count,
            reading._BYTES: self._bytes,
            room._DISK: self._disk,
            capturing._STATE: self._state,
            capturing._TAR: self._tar,
            shell.SERVES: self._serves,
            shell.IDENTIFY: self._identify,
            shell.CLONE: self._clone,
            shell.UNCLONE: self._unclone,
            shell.REWIND: self._rewind,
            shell.EMPTY: self._empty,
            shell.ADOPT: self._adopt,
            shell.DISCARD: self._discard,
        }
        at = argv.index("-c") + 1
        if argv[at] not in scripts:
            return Result(exit_status=1)
        method = scripts[argv[at]]
        self.ran.append(method.__name__.removeprefix("_"))
        return method(api, pod, argv[at + 2 :])

    def _member(self, api: FakeKubernetes, pod: PodRef) -> str:
        """Whose volume the pod is on."""
        volumes = api.objects[PODS.title, "db", pod.name]["spec"]["volumes"]
        return str(
            next(v["persistentVolumeClaim"]["claimName"] for v in volumes if v.get("persistentVolumeClaim"))
        )

    def _data(self, api: FakeKubernetes, pod: PodRef, directory: str) -> Data | None:
        return self.volumes[self._member(api, pod)].get(directory.rpartition("/")[2] or "pgdata")

    def _server(self, api: FakeKubernetes, name: str) -> Result:
        if not self.serves(api, name):
            return Result(b"", b"psql: error: connection to server failed: Connection refused", 2)
        data = self.volumes[name]["pgdata"]
        streams = self.streams(api, name)
        if streams:
            data = self.volumes[name]["pgdata"] = self.cloned()
        others = [other for other in self.volumes if other != name]
        end = str(Lsn(data.end))
        body = {
            "version": "17.4",
            "version_number": 170004,
            "system_id": SYSTEM,
            "in_recovery": data.standby,
            "checkpoint_timeline": data.timeline,
            "segment_bytes": SEGMENT,
            "shadowed": False,
            "replay_paused": False,
            "recovery_timeline": 0,
            "histories": {str(data.timeline): self._history(data)},
            "timeline": None if data.standby else data.timeline,
            "current": None if data.standby else end,
            "received": end if data.standby else None,
            "replayed": end if data.standby else None,
            "last_replay": None,
            "receiver": {"status": "streaming", "timeline": data.timeline, "sender": "pg-rw:5432"}
            if streams
            else None,
            "standbys": [],
            "slots": [] if data.standby else [self._slot(api, other) for other in others],
            "databases": [{"name": "app", "size": 30_000_000, "connectable": True}],
        }
        return Result(json.dumps(body).encode())

    def _slot(self, api: FakeKubernetes, name: str) -> Json:
        data = self.volumes[name].get("pgdata")
        return {
            "name": slot_name(name),
            "kind": "physical",
            "active": self.streams(api, name),
            "restart": str(Lsn(data.end)) if data is not None and data.whole and data.standby else None,
            "database": None,
            "wal_status": "lost" if data is not None and not data.whole else "reserved",
        }

    @staticmethod
    def _history(data: Data) -> str:
        return "".join(f"{line}\t{Lsn(left)}\tno recovery target\n" for line, left in data.ancestors)

    def _look(self, api: FakeKubernetes, pod: PodRef, words: list[str]) -> Result:
        data = self._data(api, pod, words[0] if words else "")
        running = not pod.name.startswith("hasteward-") and self._runs(api, pod.name)
        text = f"@@presence\n{'empty' if data is None else 'there'}\n"
        text += f"@@server\n{'running' if running else 'gone'}\n"
        if data is not None:
            state = "shut down in recovery" if data.standby else "shut down"
            text += (
                f"@@control\nDatabase system identifier: {SYSTEM}\nDatabase cluster state: {state}\n"
                f"Latest checkpoint location: {Lsn(data.redo)}\n"
                f"Latest checkpoint's REDO location: {Lsn(data.redo)}\n"
                f"Latest checkpoint's TimeLineID: {data.timeline}\nBytes per WAL segment: {SEGMENT}\n"
                f"@@segments\n{segment_name(data.timeline, Lsn(data.redo), SEGMENT)}\n"
                f"@@history {data.timeline:08X}.history\n{self._history(data)}\n"
                f"@@room\n{self._df()}"
            )
        return Result(f"{text}@@end\n".encode())

    def _df(self) -> str:
        row = f"/dev/x 9999999 1 {self.free} 1% /var/lib/postgresql/data\n"
        return f"Filesystem 1024-blocks Used Available Capacity Mounted on\n{row}{row}"

    def _disk(self, _api: FakeKubernetes, _pod: PodRef, _words: list[str]) -> Result:
        return Result(self._df().encode())

    def _walk(self, api: FakeKubernetes, pod: PodRef, words: list[str]) -> Result:
        data = self._data(api, pod, words[0])
        assert data is not None
        return Result(f"invalid record length at {Lsn(data.end)}: wanted 24, got 0\n".encode())

    def _count(self, api: FakeKubernetes, pod: PodRef, words: list[str]) -> Result:
        data = self._data(api, pod, words[0])
        assert data is not None
        line, start, end = int(words[1]), Lsn.parse(words[2]).position, Lsn.parse(words[3]).position
        return Result(f"{sum(1 for tl, at in data.commits if tl == line and start < at <= end)}\n\n".encode())

    def _bytes(self, api: FakeKubernetes, pod: PodRef, words: list[str]) -> Result:
        data = self._data(api, pod, words[0])
        assert data is not None
        file = words[3]
        position = int(file[16:24], 16) * SEGMENT + int(words[1]) + int(words[2]) - 1
        return Result(f"{data.timeline_at(position)}-{position} 1\n".encode())

    def _serves(self, api: FakeKubernetes, pod: PodRef, _words: list[str]) -> Result:
        self.on_stop(self)
        return Result(b"running\n" if self._runs(api, pod.name) else b"gone\n")

    def _identify(self, api: FakeKubernetes, _pod: PodRef, words: list[str]) -> Result:
        if "host=10.0.0.1 " not in words[0] or not self.serves(api, "pg-1"):
            return Result(b"", b"connection refused", 2)
        data = self.volumes["pg-1"]["pgdata"]
        return Result(f"{SYSTEM}|{data.timeline}|{Lsn(data.end)}|\n".encode())

    def _state(self, api: FakeKubernetes, pod: PodRef, words: list[str]) -> Result:
        data = self._data(api, pod, words[0])
        if data is None:
            return Result(b"", b"there is no PG_VERSION", 1)
        text = "@@server\ngone\n@@major\n17\n@@version\npostgres (PostgreSQL) 17.4\n@@kib\n64\n"
        return Result(f"{text}@@mark\n{data.end} 1\n@@end\n".encode())

    def _tar(self, api: FakeKubernetes, pod: PodRef, words: list[str]) -> Result:
        data = self._data(api, pod, words[0])
        assert data is not None
        return Result(repr(sorted(data.commits)).encode() + bytes(1024))

    # -- scripts that change volumes: member, data directory, run, log, and their own words ---------------

    def _names(self, words: list[str]) -> tuple[dict[str, Data], str, str, str]:
        held = self.volumes[words[0]]
        return held, *(f"pgdata.hasteward-{kind}-{words[2]}" for kind in ("new", "old", "rewind"))

    def _clone(self, _api: FakeKubernetes, _pod: PodRef, words: list[str]) -> Result:
        held, new, _, _ = self._names(words)
        held[new] = self.cloned()
        return Result(
            b"waiting for checkpoint\n  10/20 kB (50%), 0/1 tablespace\n  20/20 kB (100%), 1/1 tablespace\n"
        )

    def _unclone(self, _api: FakeKubernetes, _pod: PodRef, words: list[str]) -> Result:
        held, new, _, _ = self._names(words)
        held.pop(new, None)
        return Result()

    def _rewind(self, _api: FakeKubernetes, _pod: PodRef, words: list[str]) -> Result:
        held, new, _, halfway = self._names(words)
        if halfway not in held and "pgdata" not in held and new in held:
            return Result()
        if halfway in held or "pgdata" not in held:
            return Result(exit_status=9)
        held[halfway] = held.pop("pgdata")
        if not self.rewinds:
            return Result(b"pg_rewind: error: could not find previous WAL record\n", exit_status=8)
        del held[halfway]
        held[new] = self.cloned()
        return Result(b"pg_rewind: servers diverged\n  10/20 kB (50%) copied\n")

    def _empty(self, _api: FakeKubernetes, _pod: PodRef, words: list[str]) -> Result:
        held, new, _, halfway = self._names(words)
        for name in ("pgdata", new, halfway):
            held.pop(name, None)
        return Result()

    def _adopt(self, _api: FakeKubernetes, _pod: PodRef, words: list[str]) -> Result:
        held, new, old, _ = self._names(words)
        if new not in held:
            return Result(exit_status=0 if "pgdata" in held and held["pgdata"].standby else 1)
        if "pgdata" in held and words[4] == "keep":
            held[old] = held["pgdata"]
        held["pgdata"] = held.pop(new)
        return Result()

    def _discard(self, _api: FakeKubernetes, _pod: PodRef, words: list[str]) -> Result:
        held, _, old, _ = self._names(words)
        held.pop(old, None)
        return Result()


def _helpers(api: FakeKubernetes) -> set[str]:
    """The pods of hasteward."""
    return {name for (title, _, name) in api.objects if title == PODS.title and name.startswith("hasteward-")}


class Ticking(VirtualClock):
    """The operator and the kubelet work whenever somebody waits."""

    def __init__(self, truth: Truth, api: FakeKubernetes) -> None:
        super().__init__()
        self._tick = lambda: truth.tick(api)

    def sleep(self, seconds: float) -> None:
        """Time passes for everybody."""
        super().sleep(seconds)
        self._tick()


def _set(name: str, data: Data) -> Callable[[Truth], None]:
    return lambda truth: truth.volumes[name].update(pgdata=data)


def _crashes(truth: Truth) -> None:
    truth.volumes["pg-3"]["pgdata"] = BEHIND
    truth.crashing.add("pg-3")


def _hangs(truth: Truth) -> None:
    truth.volumes["pg-3"]["pgdata"] = BEHIND
    truth.hanging.add("pg-3")


def _no_room(truth: Truth) -> None:
    truth.volumes["pg-3"]["pgdata"] = STUCK
    truth.free = 1000


def _no_rewind(truth: Truth) -> None:
    truth.volumes["pg-3"]["pgdata"] = STRAY
    truth.rewinds = False


def _two(truth: Truth) -> None:
    _crashes(truth)
    truth.volumes["pg-2"]["pgdata"] = STUCK


def _both_down(truth: Truth) -> None:
    """Neither pod is made again before the other's."""
    for name in ("pg-2", "pg-3"):
        truth.volumes[name]["pgdata"] = BEHIND
        truth.crashing.add(name)


SICK: dict[str, Callable[[Truth], None]] = {
    "down": _crashes,
    "hanging": _hangs,
    "stuck": _set("pg-3", STUCK),
    "stuck, no room": _no_room,
    "stray": _set("pg-3", STRAY),
    "stray that cannot be rewound": _no_rewind,
    "diverged": _set("pg-3", DIVERGED),
    "empty": lambda truth: truth.volumes["pg-3"].clear(),
    "two": _two,
    "both down": _both_down,
}


def make(state: str = testing.HEALTHY) -> tuple[Truth, testing.World]:
    """A world in a state, and its truth."""
    truth = Truth()
    if state != testing.HEALTHY:
        SICK[state](truth)
    api = truth.kubernetes()
    world = testing.World(
        cluster=CLUSTER,
        kubernetes=api,
        content=truth.content,
        damage=lambda: None,
        residue=truth.residue,
        clock=Ticking(truth, api),
    )
    return truth, world
