"""A cluster of yours on fakes of every port: what a conformance test is given to break."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.option import Value
from hasteward.domain.repair import RepairRequest
from hasteward.domain.report import TriageReport
from hasteward.domain.snapshot import SnapshotEntry, SnapshotFilter
from hasteward.kit.helperpod import is_helper
from hasteward.kit.journal import journal_name
from hasteward.pipelines.backup import BackupOptions, BackupResult, backup
from hasteward.pipelines.catalog import backups
from hasteward.pipelines.repair import RepairResult, UndoResult, repair
from hasteward.pipelines.restore import RestoreRequest, RestoreResult, restore
from hasteward.pipelines.triage import triage
from hasteward.pipelines.undo import undo
from hasteward.plugins import Engine
from hasteward.ports.context import Depth, EngineContext, Run
from hasteward.ports.kubernetes import CONFIG_MAPS, LEASES, PODS, Json
from hasteward.testing.clock import VirtualClock
from hasteward.testing.kubernetes import FakeKubernetes
from hasteward.testing.reporter import Approval, RecordingReporter
from hasteward.testing.repository import FakeRepository


def _nothing(_call: str) -> None:
    """No fault."""


def _none() -> None:
    """Nothing lies beside the data."""


def _unversioned(body: Json) -> Json:
    meta = {name: value for name, value in body["metadata"].items() if name not in {"resourceVersion", "uid"}}
    return body | {"metadata": meta}


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that can be seen of a world, to be compared whole."""

    objects: str
    content: Any
    residue: Any
    snapshots: tuple[str, ...]


@dataclass(slots=True)
class World:
    """One cluster, its API server, its database and a repository.

    `content` is what a client of the database would read; `damage` changes it, so that a restore has
    something to bring back; `residue` is what lies beside the data (half a load, a temporary role) and shall
    not stay. None of them goes through the fakes. `options` are the engine's own, as the command line would
    have resolved them.
    """

    cluster: ClusterRef
    kubernetes: FakeKubernetes
    content: Callable[[], Any]
    damage: Callable[[], None]
    residue: Callable[[], Any] = _none
    repository: FakeRepository = field(default_factory=FakeRepository)
    clock: VirtualClock = field(default_factory=VirtualClock)
    reporter: RecordingReporter = field(default_factory=RecordingReporter)
    approval: Approval = field(default_factory=Approval)
    options: dict[str, Value] = field(default_factory=dict)
    runs: int = 0

    def __post_init__(self) -> None:
        """One clock for all."""
        self.kubernetes.clock = self.clock

    @property
    def on_call(self) -> Callable[[str], None]:
        """Told every call of the API server, of streams and of the store."""
        return self.kubernetes.on_call

    @on_call.setter
    def on_call(self, told: Callable[[str], None]) -> None:
        self.kubernetes.on_call = self.repository.on_call = told

    def context(self) -> EngineContext:
        """What a new run is given."""
        self.runs += 1
        self.clock.sleep(1)
        run = Run(f"{self.runs:016x}", self.clock.now())
        return EngineContext(
            self.kubernetes, self.clock, self.reporter, run, self.approval, options=self.options
        )

    def next_run(self) -> None:
        """Faults are over, a dead process stays dead, and its Lease has had time to expire."""
        self.on_call = _nothing
        self.kubernetes.faults.clear()
        self.clock.die()
        self.clock.sleep(600)

    def triage(self, engine: Engine, depth: Depth = Depth.PLAIN) -> TriageReport:
        """As `hasteward triage` does it, with ``--deep`` and ``--deep=stop`` as `depth` says."""
        return triage(engine, replace(self.context(), depth=depth), self.cluster)

    def backup(self, engine: Engine) -> BackupResult:
        """As `hasteward backup` does it."""
        return backup(engine, self.context(), self.cluster, self.repository, BackupOptions())

    def restore(self, engine: Engine) -> RestoreResult:
        """As `hasteward restore` does it with the latest backup."""
        return restore(engine, self.context(), self.cluster, self.repository, RestoreRequest(agreed=True))

    def repair(self, engine: Engine, request: RepairRequest) -> RepairResult:
        """As `hasteward repair` does it."""
        return repair(engine, self.context(), self.cluster, self.repository, request)

    def undo(self, engine: Engine) -> UndoResult:
        """As `hasteward undo` does it."""
        return undo(engine, self.context(), self.cluster)

    @property
    def unfinished(self) -> bool:
        """Whether a repair has left its journal in the cluster."""
        key = (CONFIG_MAPS.title, self.cluster.namespace, journal_name(self.cluster))
        return key in self.kubernetes.objects

    @property
    def helpers(self) -> list[str]:
        """The helper pods that are there."""
        return sorted(
            key[2]
            for key, body in self.kubernetes.objects.items()
            if key[0] == PODS.title and is_helper(body)
        )

    def proven(self) -> list[SnapshotEntry]:
        """The snapshots that count as backups."""
        return [entry for entry in backups(self.repository, SnapshotFilter()) if entry.proven]

    def picture(self, *, lease: bool = True, versions: bool = True, helpers: bool = True) -> Picture:
        """What there is now. Without the Lease, which every run but triage leaves behind, if so wished; and
        without resourceVersions and UIDs, which no undo takes back: what a controller makes again has others;
        and without helper pods, which end by themselves and go with the next run.
        """
        objects = [
            [list(key), body if versions else _unversioned(body)]
            for key, body in sorted(self.kubernetes.objects.items())
            if (lease or key[0] != LEASES.title) and (helpers or key[2] not in self.helpers)
        ]
        return Picture(
            objects=json.dumps(objects, sort_keys=True, indent=1),
            content=copy.deepcopy(self.content()),
            residue=copy.deepcopy(self.residue()),
            snapshots=tuple(sorted(snapshot.id for snapshot in self.repository.listed)),
        )
