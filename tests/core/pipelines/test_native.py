# ruff: noqa: ARG002 - a toy engine has no use for everything a hook is given
"""A backup that the operator makes is asked for under the Lease, or under a lock of this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from hasteward import EngineSpec, hookimpl
from hasteward.domain.capability import Capability, EngineInfo, Supported
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import Refused
from hasteward.domain.plan import Plan
from hasteward.pipelines.native import NativeResult, native_backup
from hasteward.plugins import Engine
from hasteward.ports.context import EngineContext, NativeOutcome
from hasteward.ports.host import HostRef, NoHost
from hasteward.testing.kubernetes import FakeKubernetes, Result
from hasteward.testing.world import World

CLUSTER = ClusterRef("box", "db", "one")
LEASE = ("leases.coordination.k8s.io", "db", "hasteward-box-one")
DONE = NativeOutcome("backup-1", "snapshot", "one-1")


class Native(EngineSpec):
    """Its operator takes seven seconds. `asks` is whether it has the plan approved, as it must."""

    asks = True

    @hookimpl
    def info(self) -> EngineInfo:
        return EngineInfo("box", "a box", "box", "box-1", {Capability.NATIVE: Supported()})

    @hookimpl
    def native(self, context: EngineContext, cluster: ClusterRef) -> NativeOutcome:
        if self.asks and not context.approve(Plan("back it up", ())):
            return replace(DONE, planned_only=True)
        context.check_lease()
        context.clock.sleep(7)
        return DONE


@dataclass
class Locks(NoHost):
    """What was locked, and for how long."""

    told: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def lock(self, host: HostRef) -> Iterator[None]:
        self.told.append(f"lock {host}")
        yield
        self.told.append(f"unlock {host}")


@pytest.fixture
def world() -> World:
    return World(CLUSTER, FakeKubernetes(lambda *_: Result()), content=lambda: None, damage=lambda: None)


def engine(plugin: Native) -> Engine:
    return Engine(plugin.info(), plugin, frozenset({"native"}))


def test_it_runs_under_the_lease_and_says_how_long_it_took(world: World) -> None:
    assert native_backup(engine(Native()), world.context(), CLUSTER) == NativeResult(DONE, 7.0)
    assert LEASE in world.kubernetes.objects


def test_a_dry_run_takes_no_lease(world: World) -> None:
    world.approval.answer = False

    result = native_backup(engine(Native()), world.context(), CLUSTER)

    assert (result.outcome.planned_only, world.kubernetes.objects) == (True, {})


def test_an_engine_that_did_not_ask_has_no_lease(world: World) -> None:
    plugin = Native()
    plugin.asks = False

    with pytest.raises(Refused) as refused:
        native_backup(engine(plugin), world.context(), CLUSTER)

    assert (refused.value.code, world.kubernetes.objects) == ("lease.none", {})


def test_without_a_cluster_the_machine_is_locked_until_it_is_over(world: World) -> None:
    locks = Locks()
    there = replace(world.context(), kubernetes=cast("Any", None), host=locks, via=HostRef(("ssh", "db")))

    assert native_backup(engine(Native()), there, CLUSTER).outcome == DONE
    assert locks.told == ["lock ssh db", "unlock ssh db"]
