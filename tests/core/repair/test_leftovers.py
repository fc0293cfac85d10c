"""Helper pods that dead runs left are deleted by the next repair or undo, and no others."""

from __future__ import annotations

from typing import Any

import pytest

from hasteward.domain.repair import RepairRequest
from hasteward.kit.helperpod import Helper, Mount, manifest
from hasteward.pipelines.repair import repair, undo
from hasteward.ports.kubernetes import PODS

LEFT = "delete helper pod hasteward-box-2-dead, which another run left"


@pytest.fixture
def left(world: Any, cluster: Any) -> Any:
    helper = Helper("hasteward-box-2-dead", "box:1", (Mount("box-2", "/data"),), cluster=cluster)
    world.kubernetes.add(PODS, manifest("db", helper, "dead"))
    for name in ("box-1", "box-2", "box-3"):
        world.kubernetes.add(PODS, {"metadata": {"name": name, "namespace": "db"}})
    return world


def pods(world: Any) -> list[str]:
    return sorted(name for kind, _, name in world.kubernetes.objects if kind == "pods")


def run(world: Any, cluster: Any) -> Any:
    return repair(world.engine, world.context(), cluster, None, RepairRequest(escrow=False))


def test_with_nothing_else_to_do(left: Any, cluster: Any) -> None:
    result = run(left, cluster)

    assert (result.treated, result.dry_run) == ((), False)
    assert [step.text for plan in left.approval.plans for step in plan.steps] == [LEFT]
    assert pods(left) == ["box-1", "box-2", "box-3"]


def test_before_a_member_is_treated(left: Any, cluster: Any) -> None:
    left.servers.broken.add("box-2")

    assert run(left, cluster).after.healthy
    assert pods(left) == ["box-1", "box-2", "box-3"]


def test_when_there_is_nothing_to_take_back(left: Any, cluster: Any) -> None:
    result = undo(left.engine, left.context(), cluster)

    assert (result.run, result.undone, result.dry_run) == ("", (), False)
    assert pods(left) == ["box-1", "box-2", "box-3"]


def test_not_in_a_dry_run(left: Any, cluster: Any) -> None:
    left.approval.answer = False
    before = left.picture()

    assert run(left, cluster).dry_run
    assert undo(left.engine, left.context(), cluster).dry_run
    assert left.picture() == before


def test_a_diverged_cluster_is_backed_up_by_the_branch_that_is_kept(world: Any, cluster: Any) -> None:
    """Nobody says which branch an unasked dump would be of."""
    world.diverge()
    world.servers.data["box-1"] = b"the branch that is kept\n-- the end\n"

    request = RepairRequest(instance=3, force=True)
    repair(world.engine, world.context(), cluster, world.repository, request)

    (escrow,) = [one for one in world.repository.listed if one.path == "db/box/toy.txt"]
    assert world.repository.files[escrow.id] == b"the branch that is kept\n-- the end\n"
