"""Ctrl-C during a run of two members: as after any other end, one command goes on."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from hasteward.domain.events import Warned
from hasteward.domain.repair import RepairRequest
from hasteward.pipelines.repair import repair

ENDS_IT = "finish it: hasteward repair -e toy -c box -n db"


def run(world: Any, cluster: Any) -> Any:
    return repair(world.engine, world.context(), cluster, None, RepairRequest(escrow=False))


def state(world: Any) -> tuple[Any, ...]:
    servers = world.servers
    return sorted(servers.broken), sorted(servers.old), world.fences, world.journal is not None


def interrupted(fresh_world: Any, cluster: Any, k: int) -> tuple[Any, bool, bool]:
    """A run whose k-th call is where Ctrl-C arrives; whether it arrived, and whether it came through."""
    world = fresh_world()
    world.servers.broken |= {"box-2", "box-3"}
    world.spec.keeps_old = True
    calls = itertools.count()
    arrived = False

    def on_call(_name: str) -> None:
        nonlocal arrived
        if next(calls) == k:
            arrived = True
            raise KeyboardInterrupt

    world.kubernetes.on_call = on_call
    try:
        run(world, cluster)
    except KeyboardInterrupt:
        return world, arrived, True
    finally:
        world.kubernetes.on_call = lambda _name: None
    return world, arrived, False


def test_at_every_call_it_is_well_or_as_it_was_or_the_command_that_ends_it_was_named(
    fresh_world: Any, cluster: Any
) -> None:
    resumed = 0
    for k in itertools.count():
        world, arrived, raised = interrupted(fresh_world, cluster, k)
        if not arrived:
            break
        assert raised, k
        *members, unfinished = state(world)
        if unfinished:
            warned = [event.text for event in world.reporter.events if isinstance(event, Warned)]
            assert any(ENDS_IT in text for text in warned), (k, warned)
            resumed += 1
        else:
            assert members in ([["box-2", "box-3"], [], "box-9"], [[], [], "box-9"]), k
        world.kill_lease()
        run(world, cluster)
        assert state(world) == ([], [], "box-9", False), k
    assert resumed > 5


def test_who_agrees_to_the_treatment_and_not_to_what_waited_leaves_that_in_the_journal(
    fresh_world: Any, cluster: Any
) -> None:
    world = fresh_world()
    world.servers.broken |= {"box-2", "box-3"}
    world.spec.keeps_old = True

    def on_call(name: str) -> None:
        if name == "toyclone":
            raise KeyboardInterrupt

    world.kubernetes.on_call = on_call
    with pytest.raises(KeyboardInterrupt):
        run(world, cluster)
    world.kubernetes.on_call = lambda _name: None
    world.kill_lease()
    answers = iter([True, False])
    context = replace(world.context(), approve=lambda _plan: next(answers))

    result = repair(world.engine, context, cluster, None, RepairRequest(escrow=False, instance=2))

    assert ([one.member for one in result.treated], result.dry_run) == (["box-2"], True)
    assert state(world) == (["box-3"], ["box-2"], "box-9", True)
