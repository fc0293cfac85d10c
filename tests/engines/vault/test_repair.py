"""Who may hold something that nobody else has is captured first, and nobody's majority is taken away."""

from __future__ import annotations

from typing import Any

import pytest
from vault_kit import Stage, World, run

from hasteward.domain.errors import HastewardError, Refused, RunFailed
from hasteward.ports.kubernetes import CONFIG_MAPS, LEASES
from hasteward.testing.repository import FakeRepository


def touched(stage: Stage) -> list[str]:
    """What was changed, beside the Lease and the journal."""
    ours = (LEASES.plural, CONFIG_MAPS.plural)
    return [write for write in stage.api.writes if write.split()[1] not in ours]


def test_nothing_is_done_to_a_cluster_that_is_well(stage: Stage) -> None:
    result = run(stage)

    assert (result.treated, touched(stage)) == ((), [])


def test_a_dead_peer_is_taken_out_and_the_majority_has_room_again() -> None:
    stage = Stage(World(voters=["bao-0", "bao-1", "bao-2", "bao-7"], contact={"bao-7": "2h0m0s"}))
    store = FakeRepository()

    result = run(stage, store)

    assert stage.world.voters == ["bao-0", "bao-1", "bao-2"]
    assert [target.member for target in result.treated] == ["bao-7"]
    assert result.after is not None
    assert result.after.healthy
    assert result.after.details["quorum"]["mayLose"] == 1
    assert store.listed == [], "nobody's data is overwritten"
    assert touched(stage) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w.contact.clear(),  # it is heard of: a server outside of the set
        lambda w: setattr(w, "allowed", {"configuration", "remove"}),  # nobody knows whether it is
    ],
)
def test_a_peer_that_may_be_alive_is_not_taken_out(change: Any) -> None:
    world = World(voters=["bao-0", "bao-1", "bao-2", "elsewhere"], contact={"elsewhere": "2h0m0s"})
    change(world)
    stage = Stage(world)

    run(stage)

    assert "elsewhere" in world.voters


def test_a_peer_that_is_heard_of_again_meanwhile_is_left_alone() -> None:
    world = World(voters=["bao-0", "bao-1", "bao-2", "bao-7"], contact={"bao-7": "2h0m0s"})
    stage = Stage(world)

    def back(_plan: Any) -> bool:
        world.contact.clear()
        return True

    stage.context = type(stage.context)(
        **{name: getattr(stage.context, name) for name in stage.context.__slots__} | {"approve": back}
    )

    with pytest.raises(Refused, match="is heard of again"):
        run(stage)
    assert "bao-7" in world.voters


def test_a_member_that_does_not_follow_is_restarted_on_its_own_volume() -> None:
    world = World()
    world.servers["bao-2"].follows = ""
    stage = Stage(world)

    result = run(stage)

    assert touched(stage) == ["delete pods bao-2"]
    assert result.after is not None
    assert result.after.healthy


def test_a_member_that_is_no_peer_any_more_is_captured_then_made_anew() -> None:
    world = World(voters=["bao-0", "bao-1"])
    world.servers["bao-2"].follows = ""
    stage = Stage(world)
    store = FakeRepository()

    result = run(stage, store)

    kept = [s for s in store.listed if s.path == "vault/bao/2-raft-data.tar"]
    assert [store.files[s.id][:17] for s in kept] == [b"vault.db of bao-2"]
    assert touched(stage) == ["delete persistentvolumeclaims data-bao-2", "delete pods bao-2"]
    assert stage.world.calls.index("_capture") > stage.world.calls.index("_save")
    assert result.after is not None
    assert result.after.healthy


def test_without_escrow_what_may_be_its_alone_is_not_given_up(stage: Stage) -> None:
    stage.world.voters = ["bao-0", "bao-1"]
    stage.world.servers["bao-2"].follows = ""

    with pytest.raises(Refused, match="which nobody else holds"):
        run(stage)
    assert touched(stage) == []


def test_a_failed_capture_gives_nothing_up() -> None:
    world = World(voters=["bao-0", "bao-1"])
    world.servers["bao-2"].follows = ""
    stage = Stage(world)
    store = FakeRepository()
    seen = 0

    def fail(call: str) -> None:
        nonlocal seen
        if call == "save":
            seen += 1
            if seen > 2:  # after the escrow of the cluster and its manifest
                raise RunFailed("the disk is full")

    store.on_call = fail
    with pytest.raises(HastewardError):
        run(stage, store)
    assert touched(stage) == []


def test_a_member_is_not_made_anew_when_the_rest_is_no_majority() -> None:
    world = World(contact={"bao-1": "1m0s"})
    world.servers["bao-1"].running = False
    stage = Stage(world)

    with pytest.raises(Refused, match="no majority is left") as caught:
        run(stage, FakeRepository(), instance=2, force=True)
    assert (caught.value.code, touched(stage)) == ("plan.no_majority", [])


@pytest.mark.parametrize("instance", [None, 0, 1, 2])
def test_without_a_proven_leader_nothing_is_treated_force_or_not(stage: Stage, instance: int | None) -> None:
    stage.world.servers["bao-0"].marks = ""

    with pytest.raises(Refused, match="cannot be determined"):
        run(stage, FakeRepository(), instance=instance, force=True)
    assert touched(stage) == []


def test_the_leader_is_never_treated(stage: Stage) -> None:
    with pytest.raises(Refused, match="is the primary"):
        run(stage, FakeRepository(), instance=0, force=True)


def test_a_sealed_member_waits_for_its_keys_and_is_left_alone() -> None:
    world = World(contact={"bao-2": "1m0s"})
    world.servers["bao-2"].sealed = True
    stage = Stage(world)

    result = run(stage)

    assert result.waiting == ("bao-2 recovers by itself: it waits for its unseal keys",)
    assert touched(stage) == []


def test_a_member_that_comes_back_sealed_is_left_to_who_has_the_keys() -> None:
    world = World(voters=["bao-0", "bao-1"], comes_back_sealed=True)
    world.servers["bao-2"].follows = ""
    stage = Stage(world)

    result = run(stage, FakeRepository())

    assert "heal.sealed" in stage.reporter.warnings()
    assert result.after is not None
    assert not result.after.healthy


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.long)])
def test_a_process_that_dies_at_any_call_leaves_a_cluster_that_the_next_repair_heals(step: int) -> None:
    """Every call of the API in turn (every seventh in the quick run) is the last one of a process."""
    at = 0
    while True:
        world = World(voters=["bao-0", "bao-1"])
        world.servers["bao-2"].follows = ""
        stage = Stage(world)
        store = FakeRepository()
        seen = 0

        def die(_call: str, last: int = at) -> None:
            nonlocal seen
            seen += 1
            if seen > last:
                raise KeyboardInterrupt

        stage.api.on_call = die
        try:
            run(stage, store)
        except (KeyboardInterrupt, HastewardError):
            stage.api.on_call = lambda _call: None
            later = stage.again()
            later.api.objects.pop((LEASES.title, "vault", "hasteward-vault-bao"), None)
            result = run(later, store)
            assert result.after is None or result.after.healthy
            assert world.voters == ["bao-0", "bao-1", "bao-2"]
            assert any(s.path == "vault/bao/2-raft-data.tar" for s in store.listed)
            assert not [key for key in later.api.objects if key[0] == "configmaps"]
            at += step
            continue
        break
    assert at > 40
