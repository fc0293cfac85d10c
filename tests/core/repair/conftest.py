# ruff: noqa: ARG002 - a toy engine has no use for everything a hook is given
"""A cluster of three toy members that can be fenced, captured, wiped and built from a donor."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from hasteward import EngineSpec, hookimpl
from hasteward.domain.capability import Capability, EngineInfo, Supported
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import RunFailed
from hasteward.domain.plan import Plan, Reversal, Step
from hasteward.domain.repair import CAPTURE, RELEASE, Act, Record, RepairPlan, Target, Treatment
from hasteward.domain.report import Assessment, Authority, Branch, Health, Remediation, TriageReport
from hasteward.kit.sections import SectionWriter
from hasteward.kit.steps import walk
from hasteward.plugins import Engine
from hasteward.ports.context import DumpOptions, DumpProof, DumpSink, EngineContext, Order, Run
from hasteward.ports.kubernetes import CONFIG_MAPS, PodRef
from hasteward.streams.proof import Algorithm
from hasteward.testing.clock import VirtualClock
from hasteward.testing.kubernetes import FakeKubernetes, Result
from hasteward.testing.reporter import Approval, RecordingReporter
from hasteward.testing.repository import FakeRepository

CLUSTER = ClusterRef("toy", "db", "box")
GOOD = b"row\n" * 10 + b"-- the end\n"
MINE = b"a row that only box-3 has\n-- the end\n"


class Killed(BaseException):
    """The process is gone: nothing of it runs any more, not even its clean-up."""


@dataclass
class ToyServers:
    """What is on the volumes, behind exec. `fence` lives in a ConfigMap, as an annotation would."""

    data: dict[str, bytes] = field(default_factory=lambda: dict.fromkeys(("box-1", "box-2", "box-3"), GOOD))
    broken: set[str] = field(default_factory=set)
    down: set[str] = field(default_factory=set)
    #: what was put aside on a member's volume
    old: set[str] = field(default_factory=set)

    def __call__(self, pod: PodRef, argv: Sequence[str], stdin: bytes) -> Result:
        match argv[0]:
            case "toydump" if pod.name in self.down:
                return Result(b"", b"the server is down", 1)
            case "toydump" | "toytar":
                return Result(self.data[pod.name])
            case "toywipe":
                self.data[pod.name] = b""
            case "toytidy":
                self.old.discard(pod.name)
            case "toyclone":
                self.old.add(pod.name)
                self.data[pod.name] = self.data[argv[1]]
                self.broken.discard(pod.name)
            case "toystart":
                self.broken.discard(pod.name)
        return Result()


def _fences(context: EngineContext) -> tuple[dict[str, Any], set[str]]:
    body = context.kubernetes.get(CONFIG_MAPS, "db", "fences")
    return body, set(filter(None, body["data"]["names"].split(",")))


def _set_fences(context: EngineContext, body: dict[str, Any], names: set[str]) -> None:
    body["data"]["names"] = ",".join(sorted(names))
    context.kubernetes.replace(CONFIG_MAPS, "db", "fences", body)


class Fence:
    def prepare(self, context: EngineContext, act: Act, record: Record) -> Mapping[str, str]:
        return {"ours": "no" if act.member in _fences(context)[1] else "yes"}

    def do(self, context: EngineContext, act: Act, record: Record, memo: Mapping[str, str]) -> None:
        body, names = _fences(context)
        if act.member not in names:
            _set_fences(context, body, names | {act.member})

    def undo(self, context: EngineContext, act: Act, record: Record, memo: Mapping[str, str]) -> None:
        body, names = _fences(context)
        if memo["ours"] == "yes" and act.member in names:
            _set_fences(context, body, names - {act.member})


@dataclass
class Exec:
    """Runs a program; `only_if_fenced` is the toy's precondition."""

    program: str
    only_if_fenced: bool = True

    def prepare(self, context: EngineContext, act: Act, record: Record) -> Mapping[str, str]:
        return {}

    def do(self, context: EngineContext, act: Act, record: Record, memo: Mapping[str, str]) -> str | None:
        if self.only_if_fenced and act.member not in _fences(context)[1]:
            raise RunFailed(f"{act.member} is not fenced")
        kubernetes = context.kubernetes
        assert isinstance(kubernetes, FakeKubernetes)
        kubernetes.on_call(self.program)
        kubernetes.program(PodRef("db", act.member, "main"), [self.program, act.args.get("from", "")], b"")
        return None

    def undo(self, context: EngineContext, act: Act, record: Record, memo: Mapping[str, str]) -> None:
        raise AssertionError("a forward-only act was taken back")


@dataclass
class Capture:
    order: Order

    def prepare(self, context: EngineContext, act: Act, record: Record) -> Mapping[str, str]:
        return {}

    def do(self, context: EngineContext, act: Act, record: Record, memo: Mapping[str, str]) -> None:
        def produce(sink: DumpSink) -> DumpProof:
            writer = SectionWriter(context, sink, Algorithm.BLAKE2B_256)
            pod = PodRef("db", act.member, "main")
            writer.stream("files", act.member, pod, ["toytar"], end_marker=b"the end")
            return DumpProof(act.member, "1", writer.sections)

        self.order.captures.save(record.target.ordinal, "data.tar", "physical", produce)

    def undo(self, context: EngineContext, act: Act, record: Record, memo: Mapping[str, str]) -> None:
        raise AssertionError("a read-only act needs no undo")


@dataclass
class Tidy(Exec):
    """Not possible while any member is broken."""

    servers: ToyServers = field(default_factory=ToyServers)

    def do(self, context: EngineContext, act: Act, record: Record, memo: Mapping[str, str]) -> str | None:
        if self.servers.broken:
            return f"{', '.join(sorted(self.servers.broken))} is broken"
        super().do(context, act, record, memo)
        return None


class ToyEngine(EngineSpec):
    """Triage says what `answer` says; plan and heal are real."""

    def __init__(self, servers: ToyServers) -> None:
        self.servers = servers
        self.authority = Authority.PROVABLE
        self.remediation = Remediation.RESEED
        self.branch: Branch | None = None
        #: whether a treatment puts the old data aside, and takes it away at the end
        self.keeps_old = False

    @hookimpl
    def info(self) -> EngineInfo:
        supported = dict.fromkeys(Capability, Supported())
        return EngineInfo("toy", "toy", "toy.txt", "toy-1", supported)

    @hookimpl
    def triage(self, context: EngineContext, cluster: ClusterRef) -> TriageReport:
        context.kubernetes.get(CONFIG_MAPS, "db", "fences")
        members = []
        for number in (1, 2, 3):
            name = f"box-{number}"
            broken = name in self.servers.broken
            members.append(
                Assessment(
                    member=name,
                    role="primary" if number == 1 else "replica",
                    health=Health.DOWN if broken else Health.HEALTHY,
                    evidence=(),
                    ordinal=number,
                    remediation=self.remediation if broken else Remediation.NONE,
                    reason="it is broken" if broken else "",
                    branch=self.branch if broken else None,
                )
            )
        well = tuple(m.member for m in members if m.health is Health.HEALTHY)
        authority = self.authority if self.servers.broken else Authority.PROVABLE
        return TriageReport(
            cluster, authority, "so it is", tuple(members), (), newest=well, primaries=("box-1",), donors=well
        )

    @hookimpl
    def plan(
        self, context: EngineContext, cluster: ClusterRef, report: TriageReport, targets: tuple[Target, ...]
    ) -> RepairPlan:
        return RepairPlan(
            tuple(Treatment(target, (*_acts(target), *self._tidy(target.member))) for target in targets)
        )

    def _tidy(self, name: str) -> tuple[Act, ...]:
        tidy = Act("tidy", "tidy", name, f"tidy up on {name}", Reversal.FORWARD_ONLY)
        return (tidy,) if self.keeps_old else ()

    @hookimpl
    def heal(self, context: EngineContext, cluster: ClusterRef, order: Order) -> None:
        deeds = {
            "fence": Fence(),
            CAPTURE: Capture(order),
            "wipe": Exec("toywipe"),
            "clone": Exec("toyclone"),
            "start": Exec("toystart", only_if_fenced=False),
            "tidy": Tidy("toytidy", only_if_fenced=False, servers=self.servers),
        }
        walk(context, order, deeds)

    @hookimpl
    def dump(
        self, context: EngineContext, cluster: ClusterRef, sink: DumpSink, options: DumpOptions
    ) -> DumpProof:
        member = f"box-{options.instance or 1}"
        if not context.approve(Plan("dump", (Step("dump it"),))):
            return DumpProof(member, "1", (), planned_only=True)
        writer = SectionWriter(context, sink, Algorithm.BLAKE2B_256)
        writer.stream("body", "box", PodRef("db", member, "main"), ["toydump"], end_marker=b"the end")
        return DumpProof(member, "1", writer.sections)


def _acts(target: Target) -> tuple[Act, ...]:
    name = target.member
    if target.remediation is Remediation.RESTART:
        return (Act("start", "start", name, f"start {name}", Reversal.READ_ONLY),)
    acts = [Act("fence", "fence", name, f"fence {name}", Reversal.REVERSIBLE)]
    if target.capture:
        acts.append(Act("capture", CAPTURE, name, f"capture {name}", Reversal.READ_ONLY))
    acts += [
        Act("wipe", "wipe", name, f"empty {name}", Reversal.FORWARD_ONLY),
        Act("clone", "clone", name, f"build {name} from box-1", Reversal.FORWARD_ONLY, {"from": "box-1"}),
        Act("unfence", RELEASE, name, f"unfence {name}", Reversal.READ_ONLY, {"of": "fence"}),
    ]
    return tuple(acts)


@dataclass
class World:
    """Everything a repair needs, faked. Each context is another process."""

    servers: ToyServers = field(default_factory=ToyServers)
    runs: int = 0

    def __post_init__(self) -> None:
        self.kubernetes = FakeKubernetes(self.servers)
        self.kubernetes.add(
            CONFIG_MAPS,
            {"metadata": {"name": "fences", "namespace": "db"}, "data": {"names": "box-9"}},
        )
        self.repository = FakeRepository()
        self.reporter = RecordingReporter()
        self.approval = Approval()
        self.clock = VirtualClock()
        self.spec = ToyEngine(self.servers)
        hooks = frozenset({"triage", "plan", "heal", "dump"})
        self.engine = Engine(self.spec.info(), self.spec, hooks)

    def context(self) -> EngineContext:
        self.runs += 1
        return EngineContext(
            kubernetes=self.kubernetes,
            clock=self.clock,
            reporter=self.reporter,
            run=Run(f"{self.runs:016x}", datetime(2026, 1, 2, 3, 4, self.runs % 60, tzinfo=UTC)),
            approve=self.approval,
        )

    @property
    def fences(self) -> str:
        names: str = self.kubernetes.objects["configmaps", "db", "fences"]["data"]["names"]
        return names

    @property
    def journal(self) -> Any:
        return self.kubernetes.objects.get(("configmaps", "db", "hasteward-toy-box"))

    def picture(self) -> Any:
        """All that must be as it was after a refusal, a dry run or an undo."""
        objects = {
            key: {**body, "metadata": {k: v for k, v in body["metadata"].items() if k != "resourceVersion"}}
            for key, body in self.kubernetes.objects.items()
            if key[0] != "leases.coordination.k8s.io"
        }
        return copy.deepcopy((objects, self.servers.data, self.servers.broken))

    def kill_lease(self) -> None:
        """The dead run's Lease is abandoned (kit/lease.py has its own tests)."""
        self.kubernetes.objects.pop(("leases.coordination.k8s.io", "db", "hasteward-toy-box"), None)

    def diverge(self) -> None:
        """box-3 holds a row that nobody else has."""
        self.servers.data["box-3"] = MINE
        self.servers.broken.add("box-3")
        self.spec.authority = Authority.DIVERGED
        self.spec.branch = Branch("1 commit after 0/10", 1)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def fresh_world() -> type[World]:
    """A world per fault point."""
    return World


@pytest.fixture
def cluster() -> ClusterRef:
    return CLUSTER


@pytest.fixture
def killed() -> type[BaseException]:
    return Killed
