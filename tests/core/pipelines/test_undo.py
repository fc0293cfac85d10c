# ruff: noqa: ARG002 - a toy engine has no use for everything a hook is given
"""What an undo finds to take back: an unfinished repair first, then the last restore, or nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from hasteward import EngineSpec, hookimpl, plugins
from hasteward.domain.capability import Capability, EngineInfo, Supported, Unsupported
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import InvalidInput
from hasteward.domain.plan import Plan
from hasteward.hookspecs import ENGINE_GROUP
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


class PutsBack(Restores):
    """And takes it back."""

    @hookimpl
    def put_back(self, context: EngineContext, cluster: ClusterRef, run: str) -> PutBack:
        if not context.approve(Plan("back", ())):
            return PutBack("r1", planned_only=True)
        context.check_lease()
        return PutBack("r1", (f"asked for {run!r}",), ("old",))


@dataclass(frozen=True)
class Entry:
    what: EngineSpec
    name: str = "box"
    group: str = ENGINE_GROUP
    value: str = "box"

    def load(self) -> EngineSpec:
        return self.what


def loaded(plugin: EngineSpec) -> Engine:
    return plugins.load([Entry(plugin)]).engines["box"]


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
