"""`hasteward undo`: takes back, or says what ends it instead."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hasteward.domain.errors import DependencyError, InvalidInput, Refused, RunFailed
from hasteward.domain.repair import RepairRequest
from hasteward.pipelines.repair import repair, undo


def _undisturbed(_name: str) -> None:
    """Every call succeeds."""


@pytest.fixture
def stopped(world: Any, cluster: Any, killed: Any) -> Any:
    """A run that was killed while its member was fenced and nothing was lost yet."""
    world.diverge()
    world.before = world.picture()

    def stop(name: str) -> None:
        if name == "save" and "box-3" in world.fences:
            raise killed

    world.repository.on_call = stop
    with pytest.raises(killed):
        repair(
            world.engine, world.context(), cluster, world.repository, RepairRequest(instance=3, force=True)
        )
    world.repository.on_call = _undisturbed
    world.kill_lease()
    assert world.fences == "box-3,box-9"
    return world


def test_nothing_unfinished_is_nothing_to_take_back(world: Any, cluster: Any) -> None:
    result = undo(world.engine, world.context(), cluster)

    assert (result.run, result.undone) == ("", ())
    assert world.kubernetes.writes == []


def test_everything_a_dead_run_did_is_taken_back(stopped: Any, cluster: Any) -> None:
    result = undo(stopped.engine, stopped.context(), cluster, "0000000000000001")

    assert result.undone == ("take back: fence box-3",)
    assert stopped.picture() == stopped.before


def test_a_dry_run_says_what_would_be_taken_back(stopped: Any, cluster: Any) -> None:
    stopped.approval.answer = False
    before = stopped.picture()

    result = undo(stopped.engine, stopped.context(), cluster)

    assert result.dry_run
    assert stopped.approval.plans[-1].title == "take back what run 0000000000000001 began on box-3 of db/box"
    assert stopped.picture() == before


def test_another_runs_id_is_the_users_error(stopped: Any, cluster: Any) -> None:
    with pytest.raises(InvalidInput) as error:
        undo(stopped.engine, stopped.context(), cluster, "0123")

    assert error.value.hint == "hasteward undo 0000000000000001 -e toy -c box -n db"


def test_taking_back_is_tried_again_and_then_names_the_command(stopped: Any, cluster: Any) -> None:
    def refuse(name: str) -> None:
        if name == "replace configmaps":
            raise DependencyError("the API is away")

    stopped.kubernetes.on_call = refuse
    begun = stopped.clock.monotonic()

    with pytest.raises(RunFailed) as error:
        undo(stopped.engine, stopped.context(), cluster)

    assert error.value.code == "undo.failed"
    assert "hasteward undo" in error.value.hint
    assert stopped.clock.monotonic() - begun >= 10
    stopped.kubernetes.on_call = _undisturbed
    undo(stopped.engine, stopped.context(), cluster)
    assert stopped.picture() == stopped.before


def test_a_journal_that_changed_while_the_plan_was_read_is_left_alone(stopped: Any, cluster: Any) -> None:
    key = ("configmaps", "db", "hasteward-toy-box")

    def approve(_plan: Any) -> bool:
        body = stopped.kubernetes.objects[key]
        document = json.loads(body["data"]["journal"])
        document["treatments"][0]["entries"][1]["state"] = "done"
        body["data"]["journal"] = json.dumps(document)
        return True

    context = stopped.context()
    object.__setattr__(context, "approve", approve)

    with pytest.raises(Refused) as refusal:
        undo(stopped.engine, context, cluster)

    assert refusal.value.code == "journal.changed"
    assert stopped.fences == "box-3,box-9"


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        ("not json", "journal.unreadable"),
        ('{"schema": 1}', "journal.schema"),
        ('{"schema": 2, "treatments": []}', "journal.unreadable"),
        ("[]", "journal.unreadable"),
    ],
)
def test_a_journal_that_cannot_be_read_stops_everything(
    stopped: Any, cluster: Any, damage: str, code: str
) -> None:
    stopped.kubernetes.objects["configmaps", "db", "hasteward-toy-box"]["data"]["journal"] = damage

    for command in (
        lambda: undo(stopped.engine, stopped.context(), cluster),
        lambda: repair(stopped.engine, stopped.context(), cluster, stopped.repository, RepairRequest()),
    ):
        with pytest.raises(Refused) as refusal:
            command()
        assert refusal.value.code == code
        assert refusal.value.hint.startswith("kubectl get configmap")
    assert stopped.fences == "box-3,box-9"


def test_acts_of_another_version_are_not_guessed_at(stopped: Any, cluster: Any) -> None:
    body = stopped.kubernetes.objects["configmaps", "db", "hasteward-toy-box"]
    body["data"]["journal"] = body["data"]["journal"].replace('"kind": "fence"', '"kind": "fence-2"')

    with pytest.raises(Refused) as refusal:
        undo(stopped.engine, stopped.context(), cluster)

    assert refusal.value.code == "journal.unknown_act"
