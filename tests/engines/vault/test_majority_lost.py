"""A majority is lost for good: one survivor goes on, by force, after all that is left was captured."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import pytest
from vault_kit import CLUSTER, ENGINE, Server, Stage, World, run

from hasteward.domain.errors import DependencyError, HastewardError, InvalidInput, Refused
from hasteward.domain.plan import Reversal, Step
from hasteward.domain.report import Authority, Remediation, TriageReport
from hasteward.pipelines.catalog import find
from hasteward.pipelines.extract import choose, wanted_snapshot
from hasteward.pipelines.repair import undo
from hasteward.ports.kubernetes import CONFIG_MAPS, LEASES, PERSISTENT_VOLUME_CLAIMS, PODS
from hasteward.testing.repository import FakeRepository
from hasteward_vault.plugin import plugin

AT_LENGTH = (pytest.mark.long, pytest.mark.timeout(1800))


def lost(world: World | None = None) -> Stage:
    """bao-1 and bao-2 came back empty; bao-0 alone holds anything."""
    stage = Stage(world or World())
    stage.world.lose("bao-1", "bao-2")
    return stage


def five() -> World:
    """Of five, bao-0 has the longer log and bao-1 the one of the later term; the others came back empty."""
    names = [f"bao-{number}" for number in range(5)]
    world = World({name: Server(name) for name in names}, voters=names, replicas=5)
    world.lose("bao-2", "bao-3", "bao-4")
    world.servers["bao-0"].index = 90
    world.servers["bao-1"].term = 4
    return world


def triaged(stage: Stage) -> TriageReport:
    return plugin.triage(stage.context, CLUSTER)


def touched(stage: Stage) -> list[str]:
    """What was changed, beside the Lease and the journal."""
    ours = (LEASES.plural, CONFIG_MAPS.plural)
    writes = [write for write in stage.api.writes if write.split()[1] not in ours]
    return writes + [f"peers.json on {name}" for name in stage.world.told]


def test_it_is_a_verdict_of_its_own_and_names_the_command() -> None:
    report = triaged(lost())

    assert (report.authority, report.newest, report.primaries, report.donors) == (
        Authority.MAJORITY_LOST,
        (),
        (),
        (),
    )
    assert report.authority_reason == (
        "a majority of the 3 voters is lost for good: bao-1 is empty; bao-2 is empty;"
        " what is left: bao-0 up to entry 50 of term 3"
    )
    found = next(one for one in report.diagnoses if one.id == "vault-majority-lost")
    assert found.remedy == "hasteward repair -e vault -c bao -n vault -i 0 --force --dry-run"
    assert [a.remediation for a in report.assessments] == [
        Remediation.BOOTSTRAP,
        Remediation.NONE,
        Remediation.NONE,
    ]
    assert report.details["survivors"] == [{"member": "bao-0", "term": 3, "index": 50}]


@pytest.mark.parametrize("request_", [{}, {"force": True}, {"instance": 0}])
def test_without_a_name_and_force_nothing_is_done(request_: dict[str, Any]) -> None:
    stage = lost()

    with pytest.raises(Refused, match="is for a person to say") as caught:
        run(stage, FakeRepository(), **request_)

    assert caught.value.code == "gate.majority_lost"
    assert caught.value.hint.startswith("hasteward repair -e vault -c bao -n vault -i 0 --force ")
    assert touched(stage) == []


@pytest.mark.parametrize("instance", [1, 2])
def test_only_who_holds_the_most_may_go_on(instance: int) -> None:
    stage = lost()

    with pytest.raises(Refused, match="is not among those that hold the most") as caught:
        run(stage, FakeRepository(), instance=instance, force=True)

    assert (caught.value.code, touched(stage)) == ("gate.survivor", [])


@pytest.mark.parametrize("request_", [{}, {"discard_branch": 0}])
def test_what_is_left_is_always_captured(request_: dict[str, Any]) -> None:
    stage = lost()

    with pytest.raises(Refused, match="captured first, always") as caught:
        run(stage, None, instance=0, force=True, **request_)

    assert (caught.value.code, touched(stage)) == ("gate.uncaptured", [])


def test_the_plan_says_what_it_gives_up_and_where_the_way_back_ends() -> None:
    stage = lost()
    stage.approval.answer = False

    result = run(stage, FakeRepository(), instance=0, force=True)

    (plan,) = stage.approval.plans
    assert plan.steps == (
        Step("capture the Raft data of bao-0 (its log ends at entry 50), and prove it"),
        Step(
            "write raft/peers.json on bao-0: when it starts it finds itself the only peer",
            Reversal.REVERSIBLE,
        ),
        Step(
            "delete pod bao-0; its StatefulSet makes it again, and it goes on alone with what it has",
            Reversal.FORWARD_ONLY,
        ),
        Step("wait until bao-0 leads; somebody has to unseal it"),
        Step("wait until bao-1, which is empty, has joined; somebody has to unseal it"),
        Step("wait until bao-2, which is empty, has joined; somebody has to unseal it"),
    )
    (given_up,) = plan.gives_up
    assert given_up.startswith(
        "whatever was acknowledged and bao-0 does not hold: a majority of the 3 voters"
    )
    assert (result.dry_run, touched(stage)) == (True, [])


def test_the_survivor_goes_on_and_the_empty_ones_join_it() -> None:
    stage, store = lost(), FakeRepository()

    result = run(stage, store, instance=0, force=True)

    assert touched(stage) == ["delete pods bao-0"]
    kept = [s for s in store.listed if s.path == "vault/bao/0-raft-data.tar"]
    assert [store.files[s.id][:17] for s in kept] == [b"vault.db of bao-0"]
    calls = stage.world.calls
    assert calls.index("_capture") < calls.index("_alone")
    assert result.after is not None
    assert (result.after.healthy, result.after.details["leader"]) == (True, "bao-0")


def test_what_was_captured_can_be_exported_and_a_restore_of_it_says_how() -> None:
    """Nothing that a repair saves lies in the repository out of reach."""
    stage, store = lost(), FakeRepository()
    run(stage, store, instance=0, force=True)
    layout = ENGINE.info.capture
    assert layout is not None

    found = find(store, "latest", wanted_snapshot(layout, CLUSTER, 0))

    assert store.files[found.snapshot.id][:17] == b"vault.db of bao-0"
    with pytest.raises(InvalidInput, match="makes no dump of them") as refused:
        choose(ENGINE, store, found.snapshot.id, ENGINE.layout({}), cluster=CLUSTER, instance=0)
    assert refused.value.hint.endswith("--raw -o raft-data.tar")


def test_a_later_term_is_newer_than_a_longer_log_and_the_other_survivor_is_captured_too() -> None:
    stage, store = Stage(five()), FakeRepository()
    with pytest.raises(Refused, match="is not among those that hold the most"):
        run(stage, store, instance=0, force=True)

    run(stage, store, instance=1, force=True)

    paths = {s.path for s in store.listed}
    assert {"vault/bao/0-raft-data.tar", "vault/bao/1-raft-data.tar"} <= paths
    assert "bao-0" not in stage.world.voters
    later = stage.again()
    run(later, store)
    assert triaged(later).healthy, "the next repair makes the other survivor anew"


def down(stage: Stage, name: str, *, claim: bool) -> None:
    """A member whose pod is gone, with its claim or without."""
    del stage.api.objects[PODS.title, "vault", name]
    del stage.api.objects[PERSISTENT_VOLUME_CLAIMS.title, "vault", f"data-{name}"]
    if claim:
        meta = {"name": f"data-{name}", "namespace": "vault", "uid": "u"}
        stage.api.add(PERSISTENT_VOLUME_CLAIMS, {"metadata": meta, "spec": {"volumeName": "pv-7"}})


def test_who_is_down_but_has_its_data_may_come_back_and_nothing_overrides_that() -> None:
    stage = lost()
    down(stage, "bao-1", claim=True)

    report = triaged(stage)

    assert report.authority is Authority.UNDETERMINABLE
    assert (
        "bao-1 does not run, but its data is there (volume pv-7); it may hold what nobody else does: bring it"
        " back; it counts as gone when its claim is"
    ) in report.authority_reason
    assert any(d.id == "vault-may-return" and d.member == "bao-1" for d in report.diagnoses)
    for instance in (None, 0, 1, 2):
        with pytest.raises(Refused, match="cannot be determined"):
            run(stage, FakeRepository(), instance=instance, force=True)
    assert touched(stage) == []


def test_who_is_down_and_has_no_claim_is_gone() -> None:
    stage = lost()
    down(stage, "bao-1", claim=False)
    assert "bao-1 does not run, and there is no claim data-bao-1" in triaged(stage).authority_reason

    run(stage, FakeRepository(), instance=0, force=True)

    assert stage.world.voters == ["bao-0", "bao-1", "bao-2"] or "bao-0" in stage.world.voters


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w.voters.append("elsewhere"),  # a voter outside of the set: it may be well
        lambda w: (
            setattr(w.servers["bao-0"], "cluster_id", "c-2") or setattr(w.servers["bao-1"], "address", "x")
        ),
        lambda w: setattr(w.servers["bao-1"], "address", "https://bao-0:8200"),  # cannot be asked
    ],
)
def test_as_long_as_somebody_is_not_known_to_be_gone_nothing_is_decided(change: Any) -> None:
    stage = lost()
    change(stage.world)

    assert triaged(stage).authority is Authority.UNDETERMINABLE
    with pytest.raises(Refused, match="cannot be determined"):
        run(stage, FakeRepository(), instance=0, force=True)
    assert touched(stage) == []


def test_survivors_that_are_a_majority_elect_a_leader_themselves() -> None:
    stage = Stage()
    stage.world.lose("bao-2")

    assert triaged(stage).authority is Authority.UNDETERMINABLE
    with pytest.raises(Refused, match="cannot be determined"):
        run(stage, FakeRepository(), instance=0, force=True)


def approve_then(stage: Stage, change: Any) -> None:
    def answer(_plan: Any) -> bool:
        change(stage.world)
        return True

    stage.context = replace(stage.context, approve=answer)


def test_a_peers_json_of_somebody_else_stops_it_and_is_left_alone() -> None:
    stage = lost()
    stage.world.told["bao-0"] = "[]"

    with pytest.raises(HastewardError, match=r"raft/peers.json"):
        run(stage, FakeRepository(), instance=0, force=True)

    assert touched(stage) == ["peers.json on bao-0"]
    assert stage.world.told == {"bao-0": "[]"}


@pytest.mark.parametrize(
    "change",
    [
        lambda w: setattr(w.servers["bao-0"], "index", 51),  # its log goes on: somebody leads
        lambda w: setattr(w.servers["bao-1"], "address", "https://bao-0:8200"),
    ],
)
def test_a_cluster_that_changes_after_the_plan_is_left_alone(change: Any) -> None:
    stage = lost()
    approve_then(stage, change)

    with pytest.raises(Refused, match="not as the plan found it"):
        run(stage, FakeRepository(), instance=0, force=True)

    assert touched(stage) == []


def die_at(stage: Stage, store: FakeRepository, last: int, *, once: bool = False) -> bool:
    """One repair whose process ends at that call, or whose call fails once; False when it came to none."""
    seen = 0

    def die(_call: str) -> None:
        nonlocal seen
        seen += 1
        if once and seen == last + 1:
            raise DependencyError("the API is away")
        if not once and seen > last:
            raise KeyboardInterrupt

    stage.api.on_call = die
    with contextlib.suppress(KeyboardInterrupt, HastewardError):
        run(stage, store, instance=0, force=True)
    stage.api.on_call = lambda _call: None
    return seen > last


def next_run(stage: Stage) -> Stage:
    later = stage.again()
    later.api.objects.pop((LEASES.title, "vault", "hasteward-vault-bao"), None)
    return later


@pytest.mark.parametrize("once", [False, True], ids=["dies", "fails"])
@pytest.mark.parametrize("step", [41, pytest.param(1, marks=AT_LENGTH)])
def test_whatever_call_fails_or_is_the_last_leaves_what_the_next_repair_ends(step: int, once: bool) -> None:
    """Every call of the API in turn (every forty-first in the quick run)."""
    at = 0
    while die_at(stage := lost(), store := FakeRepository(), at, once=once):
        later = next_run(stage)
        if triaged(later).authority is Authority.MAJORITY_LOST:
            run(later, store, instance=0, force=True)
        else:
            run(later, store)
        assert triaged(later).healthy, at
        assert any(s.path == "vault/bao/0-raft-data.tar" for s in store.listed)
        assert stage.world.told == {}
        assert not [key for key in later.api.objects if key[0] == CONFIG_MAPS.title]
        at += step
    assert at > 40


@pytest.mark.parametrize("step", [41, pytest.param(1, marks=AT_LENGTH)])
def test_undo_takes_the_file_back_or_says_that_it_only_goes_forward(step: int) -> None:
    at = 0
    ends = set()
    while die_at(stage := lost(), FakeRepository(), at):
        later = next_run(stage)
        try:
            undo(ENGINE, later.context, CLUSTER)
        except Refused as refusal:
            ends.add(refusal.code)
        else:
            ends.add("back")
            assert stage.world.told == {}
            assert triaged(later).authority in {Authority.MAJORITY_LOST, Authority.PROVABLE}
        at += step
    assert ends == {"undo.forward_only", "back"}
