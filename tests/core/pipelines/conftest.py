# ruff: noqa: ARG002 - a toy engine has no use for everything a hook is given
from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fault_sweep import fakes, toy

from hasteward import EngineSpec, hookimpl
from hasteward.domain.capability import Capability, EngineInfo, Supported
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import Unproven
from hasteward.domain.plan import Plan, Reversal, Step
from hasteward.kit.sections import SectionWriter
from hasteward.kit.streaming import capture, upload
from hasteward.plugins import Engine
from hasteward.ports.context import (
    DumpOptions,
    DumpProof,
    DumpSink,
    EngineContext,
    RestoreOptions,
    RestoreOutcome,
    RestoreSource,
    Run,
)
from hasteward.ports.kubernetes import PodRef
from hasteward.streams.proof import Algorithm
from hasteward.testing.clock import VirtualClock
from hasteward.testing.kubernetes import FakeKubernetes, Result
from hasteward.testing.reporter import Approval, RecordingReporter
from hasteward.testing.repository import FakeRepository

CLUSTER = ClusterRef("toy", "db", "box")
POD = PodRef("db", "box-1", "main")
HEAD = b"-- head\n"
BODY = b"row\n" * 1500 + b"-- the end\n"


class ToyServer:
    """The world behind exec: one value that can be dumped, loaded aside and swapped in."""

    def __init__(self) -> None:
        self.live = BODY
        self.aside: bytes | None = None

    def __call__(self, _pod: PodRef, argv: Sequence[str], stdin: bytes) -> Result:
        match argv[0]:
            case "toydump":
                return Result(self.live)
            case "toyload":
                self.aside = stdin
            case "toyswap":
                assert self.aside is not None
                self.live, self.aside = self.aside, None
            case "toydrop":
                self.aside = None
        return Result()


class ToyEngine(EngineSpec):
    @hookimpl
    def info(self) -> EngineInfo:
        return EngineInfo(
            "toy", "toy", "toy.txt", "toy-1", {Capability.DUMP: Supported(), Capability.RESTORE: Supported()}
        )

    @hookimpl
    def dump(
        self, context: EngineContext, cluster: ClusterRef, sink: DumpSink, options: DumpOptions
    ) -> DumpProof:
        if not context.approve(Plan("dump", (Step("dump it"),))):
            return DumpProof("box-1", "1", (), planned_only=True)
        writer = SectionWriter(context, sink, Algorithm.BLAKE2B_256)
        writer.text("head", "", HEAD)
        writer.stream("body", "box", POD, ["toydump"], end_marker=b"the end")
        return DumpProof("box-1", "1", writer.sections, {"rows": 1500})

    @hookimpl
    def restore(
        self, context: EngineContext, cluster: ClusterRef, source: RestoreSource, options: RestoreOptions
    ) -> RestoreOutcome:
        if not context.approve(Plan("restore", (Step("swap", Reversal.REVERSIBLE),), ("the live value",))):
            return RestoreOutcome(planned_only=True)
        for section, pieces in source.read(["body:box"]):
            proof = upload(
                context, POD, ["toyload"], pieces, what="the load", algorithm=Algorithm(section.algorithm)
            )
            if proof.digest != section.digest:
                raise Unproven("what was loaded is not what was stored")
        context.check_lease()
        capture(context, POD, ["toyswap"])
        return RestoreOutcome(restored=("box",))


class World:
    """Everything a pipeline needs, faked."""

    def __init__(self) -> None:
        self.server = ToyServer()
        self.kubernetes = FakeKubernetes(self.server)
        self.repository = FakeRepository()
        self.reporter = RecordingReporter()
        self.approval = Approval()
        self.clock = VirtualClock()
        plugin = ToyEngine()
        self.engine = Engine(plugin.info(), plugin, frozenset({"dump", "restore"}))
        self.runs = 0

    def context(self) -> EngineContext:
        self.runs += 1
        return EngineContext(
            kubernetes=self.kubernetes,
            clock=self.clock,
            reporter=self.reporter,
            run=Run(f"{self.runs:016x}", datetime(2026, 1, 2, 3, 4, self.runs % 60, tzinfo=UTC)),
            approve=self.approval,
        )


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
def body() -> bytes:
    return BODY


@pytest.fixture
def sweep_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """A fresh world for one fault."""
    for name in list(os.environ):
        if name.startswith(("HASTEWARD", "RESTIC", "XDG_", "KUBE")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RESTIC_PASSWORD", fakes.PASSWORD)
    return lambda: fakes.SweepWorld(tmp_path)


@pytest.fixture
def sweep_bytes() -> tuple[bytes, bytes]:
    """What is dumped, and what is live before a restore."""
    return toy.BODY, toy.OLD
