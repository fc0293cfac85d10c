"""After a dead run was taken back, a server that was let go has time to start before it is judged."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from hasteward.domain.errors import Refused
from hasteward.domain.repair import RepairRequest
from hasteward.domain.report import Authority
from hasteward.pipelines.repair import repair
from hasteward.testing.clock import VirtualClock


class Waking(VirtualClock):
    """Where box-3 answers after so many pauses."""

    def __init__(self, world: Any, pauses: int) -> None:
        super().__init__()
        self._world = world
        self._left = pauses
        self.slept = 0.0

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.slept += seconds
        self._left -= 1
        if self._left == 0:
            self._world.spec.authority = Authority.PROVABLE


def run(world: Any, cluster: Any) -> Any:
    return repair(world.engine, world.context(), cluster, None, RepairRequest(escrow=False))


@pytest.fixture
def fenced(world: Any, cluster: Any, killed: Any) -> Any:
    """A run died when it had fenced box-3; nothing tells yet what that one holds."""
    world.servers.broken.add("box-3")

    def on_call(name: str) -> None:
        if world.fences != "box-9":
            raise killed(name)

    world.kubernetes.on_call = on_call
    with contextlib.suppress(killed):
        run(world, cluster)
    world.kubernetes.on_call = lambda _name: None
    assert world.fences == "box-3,box-9"
    world.kill_lease()
    world.spec.authority = Authority.UNDETERMINABLE
    return world


def test_what_cannot_be_told_yet_is_looked_at_again(fenced: Any, cluster: Any) -> None:
    fenced.clock = Waking(fenced, 3)

    result = run(fenced, cluster)

    assert result.settled
    assert [target.member for target in result.treated] == ["box-3"]
    assert (fenced.journal, fenced.fences) == (None, "box-9")
    assert fenced.clock.slept == 6


def test_what_can_never_be_told_is_refused_within_a_minute(fenced: Any, cluster: Any) -> None:
    fenced.clock = Waking(fenced, 1000)

    with pytest.raises(Refused, match="cannot be determined"):
        run(fenced, cluster)

    assert (fenced.journal, fenced.fences) == (None, "box-9")
    assert 58 <= fenced.clock.slept <= 62


def test_where_nothing_was_left_nobody_waits(world: Any, cluster: Any) -> None:
    world.servers.broken.add("box-3")
    world.spec.authority = Authority.UNDETERMINABLE
    world.clock = Waking(world, 1)

    with pytest.raises(Refused, match="cannot be determined"):
        run(world, cluster)

    assert world.clock.slept == 0
