"""A repair ends healed, as it was, or with a journal that the next run ends, wherever it stops."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

import pytest

from hasteward.domain.errors import DependencyError, HastewardError, InvalidInput, Refused, RunFailed
from hasteward.domain.plan import Reversal
from hasteward.domain.repair import CAPTURE, Act, RepairPlan, RepairRequest, Treatment
from hasteward.domain.report import Authority, Branch, Remediation
from hasteward.domain.snapshot import entries
from hasteward.pipelines.repair import repair, undo

GOOD = b"row\n" * 10 + b"-- the end\n"
MINE = b"a row that only box-3 has\n-- the end\n"


def run(world: Any, cluster: Any, **request: Any) -> Any:
    return repair(world.engine, world.context(), cluster, world.repository, RepairRequest(**request))


def paths(world: Any) -> list[str]:
    """What is proven in the repository, oldest first."""
    proven = {entry.snapshot.id for entry in entries(world.repository.snapshots()) if entry.proven}
    return [snapshot.path for snapshot in world.repository.listed if snapshot.id in proven]


def test_a_broken_member_is_saved_fenced_built_anew_and_released(world: Any, cluster: Any) -> None:
    world.servers.broken.add("box-2")

    result = run(world, cluster)

    assert [target.member for target in result.treated] == ["box-2"]
    assert result.after.healthy
    assert result.skipped == ("box-1 needs nothing", "box-3 needs nothing")
    assert paths(world) == ["db/box/toy.txt"]
    assert world.repository.listed[-1].tags.reason == "escrow"
    assert world.fences == "box-9"
    assert world.journal is None


def test_a_plan_of_nothing_does_nothing(world: Any, cluster: Any) -> None:
    """W28, L38."""
    before = world.picture()

    result = run(world, cluster)

    assert result.treated == ()
    assert result.well
    assert world.picture() == before
    assert world.approval.plans == []
    assert world.kubernetes.writes == []


def test_a_dry_run_shows_the_plan_of_the_real_run_and_changes_nothing(world: Any, cluster: Any) -> None:
    """W31, L35."""
    world.servers.broken.add("box-2")
    before = world.picture()
    world.approval.answer = False
    assert run(world, cluster).dry_run
    assert world.picture() == before
    assert world.kubernetes.writes == []

    world.approval.answer = True
    run(world, cluster)

    dry, real = world.approval.plans
    assert dry == real
    assert [step.text for step in real.steps] == [
        "back db/box up as escrow (type=backup, reason=escrow)",
        "fence box-2",
        "empty box-2",
        "build box-2 from box-1",
        "unfence box-2",
    ]


def test_a_restart_overwrites_nothing_and_saves_nothing(world: Any, cluster: Any) -> None:
    world.servers.broken.add("box-2")
    world.spec.remediation = Remediation.RESTART

    assert run(world, cluster).after.healthy

    assert paths(world) == []
    assert world.servers.data["box-2"] == GOOD


def test_two_members_are_treated_one_after_the_other(world: Any, cluster: Any) -> None:
    world.servers.broken |= {"box-2", "box-3"}

    result = run(world, cluster)

    assert [target.member for target in result.treated] == ["box-2", "box-3"]
    assert result.after.healthy
    assert world.journal is None


def test_a_diverged_member_is_captured_after_its_fence_and_under_its_own_number(
    world: Any, cluster: Any
) -> None:
    world.diverge()

    result = run(world, cluster, instance=3, force=True)

    assert result.after.healthy
    assert paths(world) == ["db/box/toy.txt", "db/box/3-toy.txt", "db/box/3-data.tar"]
    captured = next(s for s in world.repository.listed if s.path == "db/box/3-data.tar")
    assert world.repository.files[captured.id] == MINE
    assert {s.tags.job for s in world.repository.listed} == {captured.tags.job}
    assert {s.time for s in world.repository.listed} == {captured.time}
    assert world.approval.plans[0].gives_up == (
        "the branch of box-3, 1 commit after 0/10; captured and proven before",
    )


def test_a_diverged_member_that_is_down_is_captured_by_its_files(world: Any, cluster: Any) -> None:
    """W28."""
    world.diverge()
    world.servers.down.add("box-3")

    run(world, cluster, instance=3, force=True)

    assert paths(world) == ["db/box/toy.txt", "db/box/3-data.tar"]
    assert world.reporter.warnings() == ["escrow.no_dump"]


def test_a_branch_that_cannot_be_captured_is_not_overwritten(world: Any, cluster: Any) -> None:
    """W28."""
    world.diverge()
    before = world.picture()
    world.repository.on_call = lambda name: _refuse_second_save(world, name)

    with pytest.raises(DependencyError):
        run(world, cluster, instance=3, force=True)

    assert world.servers.data["box-3"] == MINE
    assert world.picture() == before


def _refuse_second_save(world: Any, name: str) -> None:
    if name == "save" and "box-3" in world.fences:
        raise DependencyError("the repository is full")


def test_without_escrow_nothing_is_saved_and_that_is_said(world: Any, cluster: Any) -> None:
    world.servers.broken.add("box-2")

    result = repair(world.engine, world.context(), cluster, None, RepairRequest(escrow=False))

    assert result.after.healthy
    assert paths(world) == []
    assert world.reporter.warnings() == ["escrow.none"]


@pytest.mark.parametrize(
    ("authority", "code"),
    [
        (Authority.UNDETERMINABLE, "gate.undeterminable"),
        (Authority.DIVERGED, "gate.diverged"),
        (Authority.LEADER_NOT_PRIMARY, "gate.leader_not_primary"),
    ],
)
def test_a_closed_gate_touches_nothing(world: Any, cluster: Any, authority: Authority, code: str) -> None:
    world.servers.broken.add("box-2")
    world.spec.authority = authority
    before = world.picture()

    with pytest.raises(Refused) as refusal:
        run(world, cluster)

    assert refusal.value.code == code
    assert refusal.value.hint.startswith("hasteward ")
    assert world.picture() == before
    assert world.kubernetes.writes == []


def test_a_member_that_is_not_there_is_the_users_error(world: Any, cluster: Any) -> None:
    with pytest.raises(InvalidInput) as error:
        run(world, cluster, instance=7)

    assert error.value.code == "gate.unknown_member"
    assert "1 (box-1), 2 (box-2), 3 (box-3)" in error.value.message


# --- an engine's plan is held to the gates ----------------------------------------------------------------


def test_a_plan_about_somebody_else_is_not_followed(world: Any, cluster: Any, monkeypatch: Any) -> None:
    world.servers.broken.add("box-2")
    before = world.picture()
    monkeypatch.setattr(world.spec, "plan", lambda **_: RepairPlan(()))

    with pytest.raises(RunFailed) as error:
        run(world, cluster)

    assert error.value.code == "plan.other"
    assert world.picture() == before


@pytest.mark.parametrize("order", [("wipe", CAPTURE), ("wipe",)])
def test_a_plan_that_destroys_before_the_capture_is_not_followed(
    world: Any, cluster: Any, monkeypatch: Any, order: tuple[str, ...]
) -> None:
    world.diverge()
    before = world.picture()
    acts = tuple(
        Act(kind, kind, "box-3", kind, Reversal.READ_ONLY if kind == CAPTURE else Reversal.FORWARD_ONLY)
        for kind in order
    )
    monkeypatch.setattr(
        world.spec, "plan", lambda targets, **_: RepairPlan(tuple(Treatment(t, acts) for t in targets))
    )

    with pytest.raises(RunFailed) as error:
        run(world, cluster, instance=3, force=True)

    assert error.value.code == "plan.no_capture"
    assert world.picture() == before


def test_an_engine_that_stops_half_way_without_an_error_has_failed(
    world: Any, cluster: Any, monkeypatch: Any
) -> None:
    world.servers.broken.add("box-2")
    monkeypatch.setattr(world.spec, "heal", lambda **_: None)

    with pytest.raises(RunFailed) as error:
        run(world, cluster)

    assert error.value.code == "heal.short"
    assert world.journal is None


# --- wherever it stops ------------------------------------------------------------------------------------


def _third_state(world: Any, before: Any) -> str:
    """What is wrong with a world in which no journal is left; "" if it is healed or as it was."""
    if world.fences != "box-9":
        return f"fenced: {world.fences}"
    if world.picture() == before:
        return ""
    if world.servers.broken or world.servers.data["box-3"] != GOOD:
        return f"half done: {world.servers.data['box-3']!r}"
    return ""


def _stop_at(world: Any, k: int, error: BaseException) -> Any:
    """Raise at the k-th call of the API, an act or the repository."""
    calls = itertools.count()
    fired: list[str] = []

    def on_call(name: str) -> None:
        if next(calls) == k:
            fired.append(name)
            raise error

    world.kubernetes.on_call = on_call
    world.repository.on_call = on_call
    return fired


def _undo(world: Any, cluster: Any) -> Refused | None:
    try:
        undo(world.engine, world.context(), cluster)
    except Refused as refusal:
        return refusal
    return None


def _undisturbed(_name: str) -> None:
    """Every call succeeds."""


def _heal_world(world: Any) -> None:
    world.kubernetes.on_call = _undisturbed
    world.repository.on_call = _undisturbed


def test_every_call_failing_once_leaves_no_third_state(fresh_world: Any, cluster: Any) -> None:
    """L30, L31, L38: The k-th call fails for every k; then the named command brings the world to its end."""
    for k in itertools.count():
        world = fresh_world()
        world.diverge()
        before = world.picture()
        fired = _stop_at(world, k, DependencyError(f"injected at call {k}"))
        error: HastewardError | None = None
        try:
            run(world, cluster, instance=3, force=True)
        except HastewardError as caught:
            error = caught
        _heal_world(world)
        if not fired:
            assert error is None
            assert k > 30
            break
        if world.journal is None:
            assert _third_state(world, before) == "", (k, fired)
        elif error is not None and "hasteward" in (error.hint or ""):
            _end_by(world, cluster, error.hint)
        else:
            _end_by(world, cluster, "hasteward repair")
        assert _third_state(world, before) == "", (k, fired)
        if world.servers.data["box-3"] != MINE:
            assert "db/box/3-data.tar" in paths(world), (k, fired)


def _end_by(world: Any, cluster: Any, hint: str) -> None:
    """Run the command that the error named."""
    if "hasteward undo" in hint:
        undo(world.engine, world.context(), cluster)
    else:
        world.approval.answer = True
        run(world, cluster, instance=3, force=True)
    assert world.journal is None


@pytest.mark.parametrize("command", ["undo", "repair"])
def test_killed_at_every_call_the_next_command_ends_it(
    fresh_world: Any, cluster: Any, killed: Any, command: str
) -> None:
    """kill -9: nothing of the process runs any more. `undo` refuses past the point of no return.

    What `repair` only has to finish it does not begin once more, although --force asks for that member.
    """
    refused = finished = 0
    for k in itertools.count():
        world = fresh_world()
        world.diverge()
        before = world.picture()
        fired = _stop_at(world, k, killed(f"call {k}"))
        with contextlib.suppress(killed):
            run(world, cluster, instance=3, force=True)
        _heal_world(world)
        world.kill_lease()
        if not fired:
            break
        if command == "undo":
            refusal = _undo(world, cluster)
            if refusal is not None:
                assert refusal.code == "undo.forward_only"
                assert "hasteward repair" in refusal.hint
                assert "db/box/3-data.tar" in paths(world)
                refused += 1
                continue
            assert world.journal is None
            assert _third_state(world, before) == "", (k, fired)
        else:
            result = run(world, cluster, instance=3, force=True)
            assert world.journal is None
            assert world.servers.data["box-3"] == GOOD, (k, fired, result)
            assert world.fences == "box-9"
            assert "db/box/3-data.tar" in paths(world)
            assert [target.member for target in result.treated] == ["box-3"]
            finished += result.before is None
    assert (finished > 0) == (command == "repair")
    assert (refused > 0) == (command == "undo")


def test_an_interrupted_repair_is_taken_back(fresh_world: Any, cluster: Any) -> None:
    """W30, L37."""
    for k in itertools.count():
        world = fresh_world()
        world.diverge()
        before = world.picture()
        fired = _stop_at(world, k, KeyboardInterrupt())
        with contextlib.suppress(KeyboardInterrupt, RunFailed):
            run(world, cluster, instance=3, force=True)
        _heal_world(world)
        if not fired:
            return
        if world.journal is not None:
            run(world, cluster, instance=3, force=True)
        assert _third_state(world, before) == "", (k, fired)


def test_a_repair_that_failed_past_the_point_of_no_return_names_the_command_that_ends_it(
    world: Any, cluster: Any
) -> None:
    world.diverge()
    world.kubernetes.on_call = _fail_clone

    with pytest.raises(RunFailed) as error:
        run(world, cluster, instance=3, force=True)

    assert error.value.code == "repair.unfinished"
    assert error.value.hint == "finish it: hasteward repair -e toy -c box -n db"
    assert world.fences == "box-3,box-9"
    _heal_world(world)
    world.approval.answer = False
    assert run(world, cluster, instance=3, force=True).dry_run
    assert [step.text for step in world.approval.plans[-1].steps] == [
        "build box-3 from box-1",
        "unfence box-3",
    ]

    world.approval.answer = True
    result = run(world, cluster)

    assert result.settled == "0000000000000001"
    assert result.before.healthy
    assert world.journal is None
    assert world.fences == "box-9"


def _fail_clone(name: str) -> None:
    if name == "toyclone":
        raise DependencyError("the donor is away")


def test_what_others_fenced_stays_fenced(world: Any, cluster: Any) -> None:
    """L33."""
    world.diverge()
    world.kubernetes.objects["configmaps", "db", "fences"]["data"]["names"] = "box-3,box-9"

    run(world, cluster, instance=3, force=True)

    assert world.fences == "box-3,box-9"


def test_a_live_run_is_not_disturbed(world: Any, cluster: Any) -> None:
    """L39: Its journal is there and its Lease is held: neither repair nor undo touches anything."""
    world.diverge()
    seen: list[str] = []

    def look(name: str) -> None:
        if name == "toywipe" and not seen:
            for command in (
                lambda: run(world, cluster, instance=3, force=True),
                lambda: undo(world.engine, world.context(), cluster),
            ):
                try:
                    command()
                except Refused as refusal:
                    seen.append(refusal.code)

    world.kubernetes.on_call = look

    assert run(world, cluster, instance=3, force=True).after.healthy
    assert seen == ["lease.held", "undo.forward_only"]


def test_a_second_branch_that_is_empty_needs_no_capture(world: Any, cluster: Any) -> None:
    """L9: log without a single commit is nothing that can be lost."""
    world.servers.broken.add("box-2")
    world.spec.branch = Branch("100 MiB of log and no commit", 0)

    run(world, cluster)

    assert paths(world) == ["db/box/toy.txt"]
