# ruff: noqa: ARG002 - a toy engine has no use for everything a hook is given
"""The real `main`, on fakes of the ports."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from hasteward import CommandSpec, EngineSpec, hookimpl
from hasteward.cli.main import main
from hasteward.config.resolve import Settings
from hasteward.domain.capability import Capability, DumpLayout, EngineInfo, Right, Supported, Unsupported
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import RunFailed
from hasteward.domain.events import Progress, Warned
from hasteward.domain.plan import Plan, Reversal, Step
from hasteward.domain.repair import Act, Record, RepairPlan, Target, Treatment
from hasteward.domain.report import (
    Assessment,
    Authority,
    Diagnosis,
    Health,
    Remediation,
    Severity,
    TriageReport,
)
from hasteward.hookspecs import ENGINE_GROUP, PLUGIN_GROUP
from hasteward.kit.sections import SectionWriter
from hasteward.kit.steps import walk
from hasteward.ports.context import (
    DumpOptions,
    DumpProof,
    DumpSink,
    EngineContext,
    NativeOutcome,
    Order,
    PutBack,
    RestoreOptions,
    RestoreOutcome,
    RestoreSource,
)
from hasteward.streams.proof import Algorithm
from hasteward.testing.clock import VirtualClock
from hasteward.testing.kubernetes import FakeKubernetes, Result
from hasteward.testing.repository import FakeRepository
from hasteward.wiring import Factories, Secret

FILES = DumpLayout("toy.tar", "physical")
DUMP = b"-- head\n" + b"row\n" * 3000


class Toy(EngineSpec):
    """Does everything; a test may break it by putting an error into `trouble`."""

    def __init__(self) -> None:
        self.trouble: BaseException | Callable[[], None] | None = None
        self.healthy = True
        self.gives_up: tuple[str, ...] = ("what is live in box",)
        self.options: list[Any] = []
        self.tuning: list[float] = []
        self.lacks: tuple[Capability, ...] = ()
        self.files: DumpLayout | None = FILES
        self.key_breaks = False
        self.remediation = Remediation.RESTART
        self.kept_by = ""

    def _stumble(self) -> None:
        if isinstance(self.trouble, BaseException):
            raise self.trouble
        if self.trouble is not None:
            self.trouble()

    @hookimpl
    def info(self) -> EngineInfo:
        able = tuple(one for one in Capability if one not in self.lacks)
        said = dict.fromkeys(able, Supported()) | dict.fromkeys(self.lacks, Unsupported("not written yet"))
        wind = (Right("get", "toys.example.com", "boxes"), Right("create", "", "pods", "exec"))
        return EngineInfo(
            "toy", "a toy", "toy.txt", "toy-1", said, dict.fromkeys(able, wind), capture=self.files
        )

    @hookimpl
    def triage(self, context: EngineContext, cluster: ClusterRef) -> TriageReport:
        self._stumble()
        health = Health.HEALTHY if self.healthy else Health.DOWN
        member = Assessment("box-1", "primary", health, ("it answers",), ("its disk",), ordinal=1)
        if not self.healthy:
            member = replace(member, remediation=self.remediation, reason="it has run down")
        members = (member,)
        found = Diagnosis(
            "toy.down",
            Severity.CRITICAL,
            "the toy is down",
            ("it answers", "no answer"),
            "wind it up",
            "box-1",
        )
        diagnoses = () if self.healthy else (found,)
        return TriageReport(cluster, Authority.PROVABLE, "one member holds all", members, diagnoses)

    @hookimpl
    def plan(
        self, context: EngineContext, cluster: ClusterRef, report: TriageReport, targets: tuple[Target, ...]
    ) -> RepairPlan:
        act = Act("wind", "wind", "box-1", "wind box-1 up", Reversal.REVERSIBLE)
        return RepairPlan(tuple(Treatment(target, (act,)) for target in targets))

    @hookimpl
    def heal(self, context: EngineContext, cluster: ClusterRef, order: Order) -> None:
        walk(context, order, {"wind": Wind(self)})

    @hookimpl
    def dump(
        self, context: EngineContext, cluster: ClusterRef, sink: DumpSink, options: DumpOptions
    ) -> DumpProof:
        self.options.append(options)
        self.tuning.append(context.tuning.stall_seconds)
        if not context.approve(Plan("dump the toy", (Step("read it"),), notes=("it is small",))):
            return DumpProof("box-1", "1", (), planned_only=True)
        writer = SectionWriter(context, sink, Algorithm.BLAKE2B_256)
        writer.text("body", "box", DUMP)
        context.reporter.emit(Warned("toy.worn", "the toy is worn"))
        context.reporter.emit(Progress("dump", 10, 20))
        self._stumble()
        return DumpProof("box-1", "1", writer.sections)

    @hookimpl
    def restore(
        self, context: EngineContext, cluster: ClusterRef, source: RestoreSource, options: RestoreOptions
    ) -> RestoreOutcome:
        self.options.append(options)
        plan = Plan("swap the toy", (Step("swap it", Reversal.REVERSIBLE),), self.gives_up)
        if not context.approve(plan):
            return RestoreOutcome(planned_only=True)
        self._stumble()
        self.kept_by = context.run.id if options.keep_old else ""
        return RestoreOutcome(("box",), ("box_old",) if options.keep_old else (), ("it answers",))

    @hookimpl
    def put_back(self, context: EngineContext, cluster: ClusterRef, run: str) -> PutBack:
        if not self.kept_by or run not in {"", self.kept_by}:
            return PutBack()
        if not context.approve(
            Plan("swap the toy back", (Step("swap it", Reversal.REVERSIBLE),), self.gives_up)
        ):
            return PutBack(self.kept_by, planned_only=True)
        self._stumble()
        return PutBack(self.kept_by, ("box is what it was before",), ("box_new",))

    @hookimpl
    def extract(
        self, context: EngineContext, cluster: ClusterRef, source: RestoreSource, sink: DumpSink
    ) -> DumpProof:
        if not context.approve(Plan("put the toy together", (Step("in a box of its own"),))):
            return DumpProof("box-2", "1", (), planned_only=True)
        self._stumble()
        writer = SectionWriter(context, sink, Algorithm.BLAKE2B_256)
        for _, pieces in source.read(["files"]):
            writer.text("body", "box", b"made of " + b"".join(bytes(piece) for piece in pieces))
        return DumpProof("box-2", "1", writer.sections)

    @hookimpl
    def native(self, context: EngineContext, cluster: ClusterRef) -> NativeOutcome:
        if not context.approve(Plan("have the toy backed up", (Step("ask for it"),))):
            return NativeOutcome("box-1970", "shelf", planned_only=True)
        self._stumble()
        times = ("2026-01-02T03:04:05Z", "2026-01-02T03:05:05Z")
        return NativeOutcome("box-1970", "shelf", "box-1", *times, {"shelf": "the upper one"})


@dataclass
class Wind:
    """The one act there is."""

    toy: Toy

    def prepare(self, context: EngineContext, act: Act, record: Record) -> Mapping[str, str]:
        return {}

    def do(self, context: EngineContext, act: Act, record: Record, memo: Mapping[str, str]) -> None:
        if self.toy.key_breaks:
            raise RunFailed("the key broke")
        self.toy.healthy = True

    def undo(self, context: EngineContext, act: Act, record: Record, memo: Mapping[str, str]) -> None:
        self.toy.healthy = False


class Extra:
    """A plugin that brings a command; its target is this very file's `extra`."""

    @hookimpl
    def commands(self) -> tuple[CommandSpec, ...]:
        return (CommandSpec("extra", "Something more.", "toy_commands:extra"),)


@dataclass(frozen=True, slots=True)
class Entry:
    name: str
    group: str
    what: Any

    @property
    def value(self) -> str:
        return f"{self.name}_module"

    def load(self) -> Any:
        if isinstance(self.what, Exception):
            raise self.what
        return self.what


@dataclass(slots=True)
class Done:
    """What a run of `main` left behind."""

    code: int
    out: str
    err: str

    @property
    def envelope(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.envelope["data"]
        return data

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(slots=True)
class Cli:
    """Runs `main` on fakes."""

    capture: pytest.CaptureFixture[str]
    toy: Toy = field(default_factory=Toy)
    repository: FakeRepository = field(default_factory=FakeRepository)
    kubernetes: FakeKubernetes = field(default_factory=lambda: FakeKubernetes(lambda *_: Result()))
    entries: list[Entry] = field(default_factory=list)
    secrets: list[Secret] = field(default_factory=list)
    server: str = "v1.31.4"
    connected: int = 0

    def __post_init__(self) -> None:
        self.entries = [Entry("toy", ENGINE_GROUP, self.toy), Entry("extra", PLUGIN_GROUP, Extra())]

    def _kubernetes(self, _settings: Settings) -> FakeKubernetes:
        self.connected += 1
        return self.kubernetes

    def _repository(self, _settings: Settings, secret: Secret) -> FakeRepository:
        self.secrets.append(secret)
        return self.repository

    @property
    def factories(self) -> Factories:
        return Factories(
            entry_points=lambda: list(self.entries),
            kubernetes=self._kubernetes,
            repository=self._repository,
            server_version=lambda _: self.server,
            clock=VirtualClock,
        )

    def __call__(self, *argv: str) -> Done:
        self.capture.readouterr()
        code = main(argv, self.factories)
        out, err = self.capture.readouterr()
        return Done(code, out, err)


CLUSTER = ("-e", "toy", "-n", "db", "-c", "box")
STORE = ("--backups-path", "/nowhere/store")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("HASTEWARD", "RESTIC", "XDG_", "KUBE")) or name == "NO_COLOR":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RESTIC_PASSWORD", "open sesame")


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


@pytest.fixture
def where() -> Sequence[str]:
    return CLUSTER


@pytest.fixture
def there() -> Sequence[str]:
    return (*CLUSTER, *STORE)


@pytest.fixture
def store() -> Sequence[str]:
    return STORE


@pytest.fixture
def dump_bytes() -> bytes:
    return DUMP
