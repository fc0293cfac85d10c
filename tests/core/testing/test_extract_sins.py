# ruff: noqa: ARG002 - a toy engine has no use for everything a hook is given
"""The conformance of making a dump of captured files, on an engine that keeps it; and each sin it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from hasteward import EngineSpec, hookimpl
from hasteward.domain.capability import Capability, DumpLayout, EngineInfo, Supported, Unsupported
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError
from hasteward.domain.plan import Plan, Step
from hasteward.domain.snapshot import PROOF, SnapshotTags, SnapshotType
from hasteward.kit.helperpod import Helper, helper_pod, manifest
from hasteward.kit.sections import SectionWriter
from hasteward.kit.streaming import upload
from hasteward.pipelines.backup import save
from hasteward.ports.context import DumpProof, EngineContext
from hasteward.ports.kubernetes import PODS, PodRef
from hasteward.streams.proof import Algorithm
from hasteward.testing import FakeKubernetes, Result, World
from hasteward.testing.conformance import ExtractConformance

CLUSTER = ClusterRef("jar", "db", "one")
MEMBER = PodRef("db", "one-2", "main")
FILES = b"what the member held\n# end\n"


class Jars(EngineSpec):
    """Its scratch server is a pod that gives back what it was given."""

    @hookimpl
    def info(self) -> EngineInfo:
        able = {**dict.fromkeys(Capability, Unsupported("it is a jar")), Capability.EXTRACT: Supported()}
        return EngineInfo("jar", "a jar", "jar", "jar-1", able, capture=DumpLayout("jar.tar", "physical"))

    @hookimpl
    def extract(self, context: EngineContext, cluster: Any, source: Any, sink: Any) -> DumpProof:
        if not context.approve(Plan("make a dump", (Step("in a pod"),))):
            return DumpProof("one-2", "1", (), planned_only=True)
        with self.scratch(context) as pod:
            for section, chunks in source.read(["files"]):
                kind = Algorithm(section.algorithm)
                upload(context, pod, ["take"], chunks, what="the files", algorithm=kind)
            return self.write(context, pod, sink)

    @contextmanager
    def scratch(self, context: EngineContext) -> Iterator[PodRef]:
        helper = Helper(f"scratch-{context.run.id}", "jar:1", (), purpose="looking", cluster=CLUSTER)
        with helper_pod(context, "db", helper) as pod:
            yield pod

    def write(self, context: EngineContext, pod: PodRef, sink: Any) -> DumpProof:
        writer = SectionWriter(context, sink, Algorithm.SHA256)
        writer.stream("body", "", pod, ["say"], end_marker=b"# end")
        return DumpProof("one-2", "1", writer.sections)


class OfJars(ExtractConformance):
    engine = Jars()

    def captured(self) -> World:
        held: dict[str, bytes] = {MEMBER.name: FILES}

        def program(pod: PodRef, argv: Sequence[str], stdin: bytes) -> Result:
            match list(argv):
                case ["take"]:
                    held[pod.name] = stdin
                case ["say"] if pod.name in held:
                    return Result(held[pod.name])
                case ["spoil"]:
                    held[MEMBER.name] = b"spoilt"
                case _:
                    return Result(exit_status=1)
            return Result()

        world = World(CLUSTER, Running(program), content=lambda: held[MEMBER.name], damage=lambda: None)
        world.kubernetes.add(PODS, {"metadata": {"name": "one-2", "namespace": "db"}, "spec": {}})
        context = world.context()
        tags = SnapshotTags(
            "jar", "one", "db", SnapshotType.DIVERGED, context.run.job, context.run.id, "physical", PROOF
        )

        def produce(sink: Any) -> DumpProof:
            writer = SectionWriter(context, sink, Algorithm.SHA256)
            writer.stream("files", "", MEMBER, ["say"], end_marker=b"# end")
            return DumpProof("one-2", "1", writer.sections)

        save(context, world.repository, "db/one/2-jar.tar", tags, produce)
        return world


class Running(FakeKubernetes):
    """Every pod runs as soon as it is made."""

    def create(self, resource: Any, namespace: str, body: Any) -> Any:
        return super().create(resource, namespace, {**body, "status": {"phase": "Running"}})


class TestJars(OfJars):
    """Without sin."""


def nobody_is_asked(patch: pytest.MonkeyPatch) -> None:
    def extract(self: Any, context: EngineContext, cluster: Any, source: Any, sink: Any) -> DumpProof:
        with self.scratch(context) as pod:
            for _, chunks in source.read(["files"]):
                upload(context, pod, ["take"], chunks, what="the files", algorithm=Algorithm.SHA256)
            return self.write(context, pod, sink)

    patch.setattr(Jars, "extract", hookimpl(extract))


def the_pod_is_left(patch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def scratch(_self: Any, context: EngineContext) -> Iterator[PodRef]:
        helper = Helper(f"scratch-{context.run.id}", "jar:1", (), cluster=CLUSTER)
        context.kubernetes.create(PODS, "db", manifest("db", helper, context.run.id))
        yield PodRef("db", helper.name, "helper")

    patch.setattr(Jars, "scratch", scratch)


def the_pod_of_a_dead_run_stays_for_good(patch: pytest.MonkeyPatch) -> None:
    honest = Running.create

    def create(self: Any, resource: Any, namespace: str, body: Any) -> Any:
        spec = {key: value for key, value in (body.get("spec") or {}).items() if "Deadline" not in key}
        return honest(self, resource, namespace, {**body, "spec": spec})

    patch.setattr(Running, "create", create)


def a_member_is_touched(patch: pytest.MonkeyPatch) -> None:
    honest = Jars.write

    def write(self: Any, context: EngineContext, pod: PodRef, sink: Any) -> DumpProof:
        upload(context, MEMBER, ["spoil"], [b"x"], what="a look", algorithm=Algorithm.SHA256)
        return honest(self, context, pod, sink)

    patch.setattr(Jars, "write", write)


def a_failure_is_a_traceback(patch: pytest.MonkeyPatch) -> None:
    honest = Jars.write

    def write(self: Any, context: EngineContext, pod: PodRef, sink: Any) -> DumpProof:
        try:
            return honest(self, context, pod, sink)
        except HastewardError:
            raise KeyError("sections") from None

    patch.setattr(Jars, "write", write)


MADE = "test_a_dump_of_captured_files_is_proven_and_passes_for_no_newer_than_they_are"
DRY = "test_a_dry_run_of_a_dump_of_files_creates_nothing_and_shows_the_plan"
NOT_THERE = "test_a_dump_of_files_that_fails_or_is_killed_is_not_there_and_touches_no_member"
SINS: list[tuple[Callable[[pytest.MonkeyPatch], None], str, str]] = [
    (nobody_is_asked, DRY, "None"),
    (the_pod_is_left, MADE, "scratch-"),
    (the_pod_is_left, NOT_THERE, "was left"),
    (the_pod_of_a_dead_run_stays_for_good, NOT_THERE, "has no deadline"),
    (a_member_is_touched, MADE, "spoilt"),
    (a_member_is_touched, NOT_THERE, "touched what is not its own"),
    (a_failure_is_a_traceback, NOT_THERE, "it ended with KeyError"),
]


@pytest.mark.parametrize(("sin", "test", "said"), SINS, ids=[f"{s.__name__}-{t[5:15]}" for s, t, _ in SINS])
def test_each_sin_of_an_extract_is_found(
    sin: Callable[[pytest.MonkeyPatch], None], test: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sin(monkeypatch)

    with pytest.raises((AssertionError, HastewardError)) as caught:
        getattr(OfJars(), test)()

    assert said in str(caught.value)
