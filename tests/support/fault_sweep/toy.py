# ruff: noqa: ARG002 - a toy engine has no use for everything a hook is given
"""What is faked in the fault sweep: a toy engine, its server, a clock that can be set, a store that tells."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hasteward import EngineSpec, hookimpl
from hasteward.domain.capability import Capability, EngineInfo, Supported
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import RunFailed, Unproven
from hasteward.domain.plan import Plan, Reversal, Step
from hasteward.domain.snapshot import SnapshotTags
from hasteward.kit.sections import SectionWriter
from hasteward.kit.streaming import capture, upload
from hasteward.ports.context import (
    DumpOptions,
    DumpProof,
    DumpSink,
    EngineContext,
    RestoreOptions,
    RestoreOutcome,
    RestoreSource,
)
from hasteward.ports.kubernetes import PodRef, Resource
from hasteward.ports.repository import Saved, SaveStream
from hasteward.streams.proof import Algorithm
from hasteward.testing.clock import VirtualClock
from hasteward.testing.kubernetes import Result
from hasteward.testing.repository import FakeRepository

POD = PodRef("db", "box-1", "main")
BOXES = Resource("toys.example.com", "v1", "boxes")
HEAD = b"-- head\n"
BODY = b"".join(b"row %06d\n" % number for number in range(600)) + b"-- the end\n"
OLD = b"damaged\n-- the end\n"
PROGRAM = {"dump": "toydump", "load": "toyload", "swap": "toyswap"}


class SweepToy(EngineSpec):
    """Reads its object, dumps one section, loads it aside and swaps it in."""

    @hookimpl
    def info(self) -> EngineInfo:
        able = dict.fromkeys((Capability.DUMP, Capability.RESTORE), Supported())
        return EngineInfo("toy", "a toy", "toy.txt", "toy-1", able)

    @hookimpl
    def dump(
        self, context: EngineContext, cluster: ClusterRef, sink: DumpSink, options: DumpOptions
    ) -> DumpProof:
        context.kubernetes.get(BOXES, "db", "box")
        context.approve(Plan("dump", (Step("dump it"),)))
        writer = SectionWriter(context, sink, Algorithm.BLAKE2B_256)
        writer.text("head", "", HEAD)
        writer.stream("body", "box", POD, ["toydump"], end_marker=b"the end")
        return DumpProof("box-1", "1", writer.sections)

    @hookimpl
    def restore(
        self, context: EngineContext, cluster: ClusterRef, source: RestoreSource, options: RestoreOptions
    ) -> RestoreOutcome:
        context.kubernetes.get(BOXES, "db", "box")
        context.approve(Plan("restore", (Step("swap", Reversal.REVERSIBLE),), ("the live value",)))
        for section, pieces in source.read(["body:box"]):
            digest = Algorithm(section.algorithm)
            proof = upload(context, POD, ["toyload"], pieces, what="the load", algorithm=digest)
            if proof.digest != section.digest:
                raise Unproven("what was loaded is not what was stored")
        context.check_lease()
        if capture(context, POD, ["toyswap"]).exit_status:
            raise RunFailed("the swap failed")
        return RestoreOutcome(restored=("box",))


class Server:
    """The database: what is live, and what was loaded beside it. `dies` ends the dump or the load."""

    def __init__(self) -> None:
        self.live = BODY
        self.aside: bytes | None = None
        self.dies: dict[str, int] = {}

    def __call__(self, _pod: PodRef, argv: Sequence[str], stdin: bytes) -> Result:
        status = self.dies.get(argv[0], 0)
        if status:
            return Result(BODY[:1234] if argv[0] == "toydump" else b"", b"the program says why\n", status)
        match argv[0]:
            case "toydump":
                return Result(self.live)
            case "toyload":
                self.aside = stdin
            case "toyswap":
                if self.aside is None:
                    return Result(exit_status=1)
                self.live, self.aside = self.aside, None
        return Result()


class SweepClock(VirtualClock):
    """A virtual clock whose wall can be set."""

    wall = timedelta()
    woke_after = 0.0

    def now(self) -> datetime:
        return super().now() + self.wall

    def monotonic(self) -> float:
        return super().monotonic() + self.woke_after


class SweepRepository(FakeRepository):
    """Also tells when a snapshot was committed."""

    @contextlib.contextmanager
    def save(
        self, path: str, tags: SnapshotTags, time: datetime, *, stall_seconds: float
    ) -> Iterator[SaveStream]:
        with super().save(path, tags, time, stall_seconds=stall_seconds) as stream:
            yield _Telling(self, stream)


@dataclass
class _Telling:
    home: FakeRepository
    stream: SaveStream

    def write(self, data: bytes | memoryview) -> None:
        self.stream.write(data)

    def end(self) -> None:
        self.stream.end()

    def commit(self) -> Saved:
        saved = self.stream.commit()
        self.home.on_call("save.committed")
        return saved
