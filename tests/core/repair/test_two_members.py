"""A run that treats two members is one run: one journal, and one command that ends it wherever it stopped."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

import pytest

from hasteward.domain.errors import DependencyError, HastewardError, Refused, RunFailed
from hasteward.domain.events import Warned
from hasteward.domain.repair import RepairRequest
from hasteward.pipelines.repair import repair, undo

ENDS_IT = "finish it: hasteward repair -e toy -c box -n db"


def run(world: Any, cluster: Any, **request: Any) -> Any:
    return repair(world.engine, world.context(), cluster, None, RepairRequest(escrow=False, **request))


def sick(fresh_world: Any) -> Any:
    world = fresh_world()
    world.servers.broken |= {"box-2", "box-3"}
    world.spec.keeps_old = True
    return world


def state(world: Any) -> tuple[Any, ...]:
    servers = world.servers
    return sorted(servers.broken), sorted(servers.old), world.fences, world.journal is not None


WELL: tuple[Any, ...] = ([], [], "box-9", False)
AS_IT_WAS: tuple[Any, ...] = (["box-2", "box-3"], [], "box-9", False)


def fail_at(world: Any, k: int, error: BaseException) -> list[str]:
    """Raise at the k-th call of the API or an act."""
    calls = itertools.count()
    fired: list[str] = []

    def on_call(name: str) -> None:
        if next(calls) == k:
            fired.append(name)
            raise error

    world.kubernetes.on_call = on_call
    return fired


def undisturbed(_name: str) -> None:
    """Every call succeeds."""


def test_what_must_wait_for_the_other_member_is_done_at_the_end(fresh_world: Any, cluster: Any) -> None:
    world = sick(fresh_world)

    result = run(world, cluster)

    assert [target.member for target in result.treated] == ["box-2", "box-3"]
    assert state(world) == WELL
    warned = [event.text for event in world.reporter.events if isinstance(event, Warned)]
    assert "put off until later: tidy up on box-2 (box-3 is broken)" in warned


def test_a_call_that_fails_between_two_members_leaves_a_journal_and_names_what_ends_it(
    fresh_world: Any, cluster: Any
) -> None:
    """Whichever it is: the first is treated and the second is not, and `repair` goes on."""
    between = 0
    for k in itertools.count():
        world = sick(fresh_world)
        fired = fail_at(world, k, DependencyError(f"injected at call {k}"))
        error: HastewardError | None = None
        try:
            run(world, cluster)
        except HastewardError as caught:
            error = caught
        world.kubernetes.on_call = undisturbed
        if not fired:
            break
        if state(world) not in (WELL, AS_IT_WAS):
            assert world.journal is not None, (k, fired)
            if error is not None and state(world)[0] == ["box-3"] and "box-3" not in world.fences:
                assert isinstance(error, RunFailed)
                assert error.hint == ENDS_IT
                between += 1
        run(world, cluster)
        assert state(world) == WELL, (k, fired)
    assert between > 5


@pytest.mark.parametrize("asked", [None, 2, 3], ids=["all", "the first", "the second"])
def test_killed_at_every_call_the_next_repair_ends_it(
    fresh_world: Any, cluster: Any, killed: Any, asked: int | None
) -> None:
    for k in itertools.count():
        world = sick(fresh_world)
        fired = fail_at(world, k, killed(f"call {k}"))
        with contextlib.suppress(killed):
            run(world, cluster)
        world.kubernetes.on_call = undisturbed
        world.kill_lease()
        if not fired:
            break
        assert world.journal is not None or state(world) in (WELL, AS_IT_WAS), (k, fired)
        run(world, cluster, instance=asked)
        if asked is not None:
            run(world, cluster)
        assert state(world) == WELL, (k, fired)


def test_killed_at_every_call_undo_takes_back_or_names_what_ends_it(
    fresh_world: Any, cluster: Any, killed: Any
) -> None:
    for k in itertools.count():
        world = sick(fresh_world)
        fired = fail_at(world, k, killed(f"call {k}"))
        with contextlib.suppress(killed):
            run(world, cluster)
        world.kubernetes.on_call = undisturbed
        world.kill_lease()
        if not fired:
            break
        refused = None
        try:
            undo(world.engine, world.context(), cluster)
        except Refused as refusal:
            refused = (refusal.code, refusal.hint)
        assert refused in {None, ("undo.forward_only", ENDS_IT)}
        if refused is None:
            assert state(world) in (WELL, AS_IT_WAS), (k, fired)


def test_what_cannot_be_done_at_the_end_either_stays_in_the_journal_until_it_can(
    fresh_world: Any, cluster: Any
) -> None:
    world = sick(fresh_world)

    run(world, cluster, instance=2)

    assert state(world) == (["box-3"], ["box-2"], "box-9", True)
    warned = [event.text for event in world.reporter.events if isinstance(event, Warned)]
    assert warned[-1] == (
        "still to be done: tidy up on box-2; go on with: hasteward repair -e toy -c box -n db"
    )
    with pytest.raises(Refused):
        undo(world.engine, world.context(), cluster)
    world.servers.broken.clear()
    world.approval.answer = False
    assert run(world, cluster).dry_run
    assert [step.text for step in world.approval.plans[-1].steps] == ["tidy up on box-2"]
    world.approval.answer = True

    assert run(world, cluster).after.healthy
    assert state(world) == WELL
