"""What a repair would do, and when it would do nothing."""

from __future__ import annotations

import pytest
from galera_kit import CLUSTER, ENGINE, OTHER, Stage, gvwstate, node

from hasteward.domain.errors import Refused
from hasteward.domain.plan import Reversal
from hasteward.domain.repair import RepairRequest
from hasteward.pipelines.repair import RepairResult, repair
from hasteward.testing.reporter import Approval
from hasteward.testing.repository import FakeRepository


def crashed(stage: Stage, restarts: int = 9) -> None:
    stage.world.among("db-0", "db-1")
    three = tuple(node(n) for n in range(3))
    stage.world.stop("db-2", gvwstate=gvwstate(*three), view=three, view_names=(), restarts=restarts)


def dry(stage: Stage, request: RepairRequest | None = None) -> RepairResult:
    stage.approval.answer = False
    repository = FakeRepository()
    return repair(ENGINE, stage.context(), CLUSTER, repository, request or RepairRequest())


def steps(stage: Stage) -> list[tuple[str, Reversal]]:
    return [(step.text, step.reversal) for step in stage.approval.plans[-1].steps]


def test_w9_any_member_is_made_anew_without_an_outage(stage: Stage) -> None:
    """A StatefulSet shrinks from its end alone; so it is taken away, and the pods stay."""
    crashed(stage)

    result = dry(stage)

    assert result.dry_run
    assert [text for text, _ in steps(stage)][1:] == [
        "suspend the MariaDB, so that the operator waits",
        "take the StatefulSet away and leave every pod running",
        "delete pod db-2 and prove that nobody has its volume open",
        "read the position of db-2 again, now that it cannot move",
        "empty the volume of db-2, so that it takes a whole state transfer",
        "set GaleraReady back to True if it has turned False, or resuming stops every member",
        "resume the MariaDB: the operator makes the StatefulSet again, which adopts the pods",
        "wait until db-2 is Synced in the same component as the others",
    ]
    assert stage.api.writes[0].startswith("create pods hasteward-db-2-")
    assert [write for write in stage.api.writes if "pods hasteward-" not in write] == []


def test_everything_before_the_volume_is_emptied_can_be_taken_back(stage: Stage) -> None:
    crashed(stage)
    dry(stage)

    reversals = [reversal for _, reversal in steps(stage)]

    first = reversals.index(Reversal.FORWARD_ONLY)
    assert steps(stage)[first][0].startswith("empty the volume of db-2")


def test_w8_an_untargeted_repair_treats_the_member_that_needs_it(stage: Stage) -> None:
    stage.world.among("db-0", "db-2")
    stage.world.servers["db-1"].primary = False
    stage.world.servers["db-1"].view = tuple(node(n) for n in range(3))
    stage.world.servers["db-1"].view_names = ("db-0", "db-1", "db-2")

    dry(stage)

    assert [text for text, _ in steps(stage)] == [
        "delete pod db-1; its StatefulSet makes it again on the same volume",
        "wait until db-1 is Synced in the same component as the others",
    ]


def test_a_branch_is_given_up_only_by_force_and_after_its_capture(stage: Stage) -> None:
    stage.world.among("db-0", "db-1")
    stage.world.among("db-2")
    stage.world.servers["db-2"].uuid = OTHER

    with pytest.raises(Refused, match="the members have diverged"):
        dry(stage)
    with pytest.raises(Refused, match="gives up the branch of db-2"):
        dry(stage, RepairRequest(instance=2))
    dry(stage, RepairRequest(instance=2, force=True))

    texts = [text for text, _ in steps(stage)]
    capture = texts.index("capture the files of db-2, whose server is gone, and prove them")
    assert texts[capture + 1].startswith("empty the volume of db-2")
    assert stage.approval.plans[-1].gives_up == (
        "the branch of db-2, its data at 99999999:100, last in db-2; captured and proven before",
    )


@pytest.mark.parametrize(("number", "match"), [(0, "db-0 is the primary"), (1, "gives up the data of db-1")])
def test_no_force_overwrites_the_side_that_is_kept_without_a_donor(
    stage: Stage, number: int, match: str
) -> None:
    stage.world.among("db-0", "db-1")
    stage.world.among("db-2")

    with pytest.raises(Refused, match=match):
        dry(stage, RepairRequest(instance=number, force=number == 0))


def test_without_a_component_nobody_is_treated(stage: Stage) -> None:
    for server in stage.world.servers.values():
        server.primary = False

    assert dry(stage, RepairRequest()).treated == ()
    with pytest.raises(Refused, match="no healthy member is left"):
        dry(stage, RepairRequest(instance=1, force=True))


def test_a_policy_that_deletes_volumes_stops_the_repair(stage: Stage) -> None:
    crashed(stage)
    stage.world.retention = "Delete"

    with pytest.raises(Refused, match="scaling down deletes volumes") as caught:
        dry(stage)

    assert caught.value.code == "plan.retention"


def test_a_member_that_only_crashed_is_waited_for(stage: Stage) -> None:
    crashed(stage, restarts=1)

    result = dry(stage)

    assert result.waiting == (
        "db-2 recovers by itself: the kubelet starts its container again (CrashLoopBackOff)",
    )


def test_agreeing_to_the_plan_is_refused_as_long_as_nothing_is_done(stage: Stage) -> None:
    crashed(stage)
    stage.approval = Approval(answer=True)

    with pytest.raises(Exception, match="--dry-run shows them") as caught:
        repair(ENGINE, stage.context(), CLUSTER, FakeRepository(), RepairRequest())

    assert getattr(caught.value, "code", "") == "engine.unsupported"
    assert [
        write for write in stage.api.writes if "pods hasteward-" not in write and "leases" not in write
    ] == []
