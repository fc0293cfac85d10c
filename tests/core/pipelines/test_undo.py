# ruff: noqa: ARG002 - a toy engine has no use for everything a hook is given
"""What an undo finds to take back: an unfinished repair first, then the last restore, or nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from hasteward import EngineSpec, hookimpl, plugins
from hasteward.domain.capability import Capability, EngineInfo, Supported, Unsupported
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import InvalidInput, Refused
from hasteward.domain.events import Warned
from hasteward.domain.plan import Plan, Reversal
from hasteward.domain.repair import Act, Entry, Record, Target
from hasteward.domain.report import Remediation
from hasteward.hookspecs import ENGINE_GROUP
from hasteward.kit.journal import start
from hasteward.pipelines.repair import UndoResult
from hasteward.pipelines.undo import capabilities, undo
from hasteward.plugins import Engine
from hasteward.ports.context import EngineContext, PutBack
from hasteward.testing.kubernetes import FakeKubernetes, Result
from hasteward.testing.world import World

CLUSTER = ClusterRef("box", "db", "one")


class Restores(EngineSpec):
    """Has nothing but what a restore needs."""

    can = (Capability.RESTORE,)

    @hookimpl
    def info(self) -> EngineInfo:
        no = dict.fromkeys(Capability, Unsupported("it has no members"))
        return EngineInfo("box", "a box", "box", "box-1", {**no, **dict.fromkeys(self.can, Supported())})

    @hookimpl
    def restore(self, context: Any, cluster: Any, source: Any, options: Any) -> Any:
        raise NotImplementedError


class Heals(Restores):
    """Has members, and nothing that takes a restore back."""

    can = (Capability.RESTORE, Capability.TRIAGE, Capability.PLAN, Capability.HEAL)

    @hookimpl
    def triage(self, context: Any, cluster: Any) -> Any:
        raise NotImplementedError

    @hookimpl
    def plan(self, context: Any, cluster: Any, report: Any, targets: Any) -> Any:
        raise NotImplementedError

    @hookimpl
    def heal(self, context: Any, cluster: Any, order: Any) -> None:
        """Nothing of it is ever begun here."""


class Both(Heals):
    """A restore's gate is in its way."""

    asks = False

    @hookimpl
    def put_back(self, context: EngineContext, cluster: ClusterRef, run: str) -> PutBack:
        if self.asks:
            context.approve(Plan("back", ()))
        raise Refused("a subscription writes to it", code="box.subscribed")


class PutsBack(Restores):
    """And takes it back."""

    @hookimpl
    def put_back(self, context: EngineContext, cluster: ClusterRef, run: str) -> PutBack:
        if not context.approve(Plan("back", ())):
            return PutBack("r1", planned_only=True)
        context.check_lease()
        return PutBack("r1", (f"asked for {run!r}",), ("old",))


@dataclass(frozen=True)
class Point:
    what: EngineSpec
    name: str = "box"
    group: str = ENGINE_GROUP
    value: str = "box"

    def load(self) -> EngineSpec:
        return self.what


def loaded(plugin: EngineSpec) -> Engine:
    return plugins.load([Point(plugin)]).engines["box"]


@pytest.fixture
def world() -> World:
    return World(CLUSTER, FakeKubernetes(lambda *_: Result()), content=lambda: None, damage=lambda: None)


def test_a_restore_is_taken_back_under_the_lease(world: World) -> None:
    result = undo(loaded(PutsBack()), world.context(), CLUSTER, "r1")

    assert (result.run, result.undone, result.kept, result.dry_run) == (
        "r1",
        ("asked for 'r1'",),
        ("old",),
        False,
    )
    assert [key for key in world.kubernetes.objects if key[-1] == "hasteward-box-one"]


def test_a_dry_run_takes_no_lease(world: World) -> None:
    world.approval.answer = False

    result = undo(loaded(PutsBack()), world.context(), CLUSTER)

    assert (result.run, result.dry_run, world.kubernetes.objects) == ("r1", True, {})


def test_without_a_cluster_no_journal_is_looked_for(world: World) -> None:
    """`--via` goes without Kubernetes, and an engine that heals nothing has no journal."""
    blind = replace(world.context(), kubernetes=cast("Any", None))
    world.approval.answer = False

    assert undo(loaded(PutsBack()), blind, CLUSTER).dry_run


def test_an_engine_that_can_take_nothing_back_says_why() -> None:
    engine = loaded(Restores())

    assert capabilities(engine) == ()
    with pytest.raises(InvalidInput, match="does not support heal: it has no members"):
        undo(engine, cast("Any", None), CLUSTER)


def test_where_no_repair_is_unfinished_and_no_restore_can_be_taken_back_nothing_is_done(world: World) -> None:
    assert undo(loaded(Heals()), world.context(), CLUSTER) == UndoResult("", ())


def test_an_unfinished_repair_comes_before_any_restore(world: World) -> None:
    context = world.context()
    act = Act("fence", "fence", "one-1", "fence one-1", Reversal.REVERSIBLE)
    target = Target("one-1", 1, Remediation.RESTART, "it is down")
    start(context, CLUSTER, (Record(context.run.id, context.run.job, target, {}, (Entry(act),)),))

    result = undo(loaded(Both()), world.context(), CLUSTER)

    assert (result.run, world.unfinished) == (context.run.id, False)


def test_who_asks_after_a_repair_that_left_nothing_is_not_told_of_a_restores_gates(world: World) -> None:
    assert undo(loaded(Both()), world.context(), CLUSTER) == UndoResult("", ())
    assert world.reporter.events == [
        Warned(
            "undo.not_seen",
            "no repair is unfinished; whether a restore could be taken back was not seen:"
            " a subscription writes to it",
        )
    ]


@pytest.mark.parametrize(("run", "asks"), [("r1", False), ("", True)], ids=["by its name", "by an answer"])
def test_who_asked_for_the_restore_is_told_why_not(world: World, run: str, asks: bool) -> None:
    plugin = Both()
    plugin.asks = asks

    with pytest.raises(Refused, match="a subscription writes to it"):
        undo(loaded(plugin), world.context(), CLUSTER, run)
