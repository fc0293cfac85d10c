"""Incidents of PostgreSQL clusters that others paid for, each under its number; on clusters in memory."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from heal_kit import CLUSTER, SICK, make
from hidden_model import Event, Sight, World, played, shown

from hasteward import testing
from hasteward.domain.errors import Refused
from hasteward.domain.reading import Absent, Known, Unread
from hasteward.domain.repair import RepairRequest
from hasteward.domain.report import Authority, Remediation
from hasteward.pipelines.gates import Refusal, Rule, decide
from hasteward.pipelines.repair import RepairResult
from hasteward.plugins import Engine
from hasteward.ports.kubernetes import PODS, PodRef
from hasteward.testing.kubernetes import FakeKubernetes, Result
from hasteward_cnpg.analyse import analyse
from hasteward_cnpg.analyse.remedy import is_lost
from hasteward_cnpg.collect import files as reading
from hasteward_cnpg.diagnose import report
from hasteward_cnpg.evidence import ClaimState, Evidence, Trouble
from hasteward_cnpg.facts import shell
from hasteward_cnpg.facts.logs import troubles
from hasteward_cnpg.facts.scratch import _QUIET
from hasteward_cnpg.plugin import plugin
from hasteward_cnpg.resources import FENCED_INSTANCES, RECONCILIATION
from hasteward_cnpg.restore.gates import check_cluster

ENGINE = Engine(plugin.info(), plugin, frozenset({"triage", "plan", "heal"}))


def repair(world: testing.World, **request: Any) -> RepairResult:
    return world.repair(ENGINE, RepairRequest(escrow=False, **request))


def planned(state: str, **request: Any) -> list[str]:
    """What a repair would do, in words."""
    _, world = make(state)
    world.approval.answer = False
    repair(world, **request)
    (plan,) = world.approval.plans
    return [step.text for step in plan.steps]


#: the primary went on alone, and pg-2 was promoted beside it with all that there was: it is ahead
AHEAD: tuple[Event, ...] = (
    ("write", "pg-1", "pg-1", 2),
    ("replicate", "pg-2", "pg-1", 2),
    ("replicate", "pg-3", "pg-1", 2),
    ("promote", "pg-2", "pg-2", 1),
    ("write", "pg-2", "pg-2", 1),
)


def ahead(*troubled: str) -> Evidence:
    world: World = played(AHEAD)
    sights = [Sight(streaming=False) for _ in range(3)]
    evidence = shown(world, sights)
    members = tuple(
        replace(one, troubles=frozenset({Trouble.DISK_FULL})) if one.name in troubled else one
        for one in evidence.members
    )
    return replace(evidence, members=members)


# --- triage -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [testing.HEALTHY, *SICK])
def test_w3_a_plain_triage_writes_nothing(state: str) -> None:
    """Theirs fenced, scaled to nothing and deleted pods to look; ours makes a helper only when asked to."""
    _, world = make(state)

    world.triage(ENGINE)

    assert world.kubernetes.writes == []


def test_w26_files_are_read_in_english_whatever_the_image_speaks() -> None:
    """A label in another language was read as "not known"."""
    truth, world = make("down")
    said: list[list[str]] = []
    run = truth.run

    def spy(api: FakeKubernetes, pod: PodRef, argv: list[str]) -> Result:
        said.append(argv)
        return run(api, pod, argv)

    truth.run = spy  # type: ignore[method-assign]
    repair(world)

    scripts = [argv for argv in said if reading._LOOK in argv or reading._WALK in argv]
    assert scripts
    assert all("LC_ALL=C" in argv for argv in scripts)


@pytest.mark.parametrize(
    ("line", "trouble"),
    [
        ("requested timeline 5 is not a child of this server's history", Trouble.NOT_A_CHILD),
        ("requested WAL segment 000000020000000000000009 has already been removed", Trouble.WAL_REMOVED),
        ("could not locate a valid checkpoint record", Trouble.NO_CHECKPOINT),
    ],
)
def test_w29_cnpg_4990_cnpg_10419_what_the_log_says_of_a_member_that_cannot_follow_is_understood(
    line: str, trouble: Trouble
) -> None:
    """The operator goes on calling such a cluster healthy, and its replica starts again and again."""
    record = {"record": {"error_severity": "FATAL", "message": line}}

    assert troubles([json.dumps(record)]) == {trouble}
    record["record"]["error_severity"] = "LOG"
    assert troubles([json.dumps(record)]) == frozenset()


def test_cnpg_4990_a_diverged_replica_is_taken_back_without_a_hand_on_its_volume() -> None:
    truth, world = make("stray")

    result = repair(world)

    assert [one.remediation for one in result.treated] == [Remediation.REWIND]
    assert (result.after is not None and result.after.healthy, truth.residue()) == (True, {})


def test_cnpg_10419_a_replica_whose_log_is_gone_is_cloned_anew() -> None:
    _, world = make("stuck")

    result = repair(world)

    assert [one.remediation for one in result.treated] == [Remediation.RESEED]
    assert result.after is not None
    assert result.after.healthy


def test_l15_a_member_without_a_checkpoint_is_never_merely_restarted() -> None:
    """Its log was kept by its slot, and it panicked after every restart."""
    evidence = shown(
        played(AHEAD[:3]),
        [Sight(), Sight(), Sight(running=False, troubles=frozenset({Trouble.NO_CHECKPOINT}))],
    )

    (_, _, third) = analyse(evidence).assessments
    assert (third.remediation, third.reason) == (
        Remediation.RESEED,
        "its server finds no valid checkpoint and can never start",
    )


def test_l80_whether_a_member_runs_and_is_ready_is_told_of_each() -> None:
    """Theirs never filled it in, and every guard that asked for it was open."""
    _, world = make("down")

    found = world.triage(ENGINE)

    told = {one.member: (one.details["running"], one.details["ready"]) for one in found.assessments}
    assert told == {"pg-1": (True, True), "pg-2": (True, True), "pg-3": (False, False)}


# --- who must not be touched ------------------------------------------------------------------------------


def test_l7_no_restore_over_a_primary_that_lacks_what_another_holds() -> None:
    evidence = ahead()

    for force in (False, True):
        with pytest.raises(Refused) as caught:
            check_cluster(CLUSTER, evidence, analyse(evidence), force=force)
        assert (caught.value.code, "pg-2 holds 1 commit" in caught.value.message) == (
            "restore.authority",
            True,
        )


def test_l19_l20_l21_l22_the_member_that_holds_the_newest_data_is_not_touched_for_its_full_disk() -> None:
    """Unfenced, the operator would rewind it onto the stale primary; its promotion is named instead."""
    found = report(CLUSTER, ahead("pg-2"))
    second = next(one for one in found.assessments if one.member == "pg-2")

    assert (found.authority, second.remediation) == (Authority.LEADER_NOT_PRIMARY, Remediation.NONE)
    for request in (
        RepairRequest(),
        RepairRequest(2, force=True),
        RepairRequest(2, force=True, escrow=False),
    ):
        decision = decide(found, request)
        assert isinstance(decision, Refusal)
        assert decision.rule in {Rule.LEADER_NOT_PRIMARY, Rule.AUTHORITY}
    remedies = {one.id: one.remedy for one in found.diagnoses if one.member == "pg-2"}
    assert "enlarge spec.storage.size" in remedies["cnpg-disk-full"]
    assert "kubectl cnpg promote pg pg-2" in remedies["cnpg-authority-not-primary"]


def test_l4_a_claim_that_could_not_be_read_is_no_lost_volume() -> None:
    """Found by the model: the operator was asked to delete a volume that was there."""
    claims = [Known(ClaimState.LOST, "claims"), Absent("no such claim"), Unread("timed out")]

    assert [is_lost(claim) for claim in claims] == [True, True, False]
    assert not is_lost(Known(ClaimState.TERMINATING, "claims"))


def test_l16_l17_l18_no_script_of_ours_deletes_log_one_by_one() -> None:
    """Theirs deleted the segment of the checkpoint, and the history files with it."""
    scripts = [text for name, text in vars(shell).items() if name.isupper() and isinstance(text, str)]
    scripts += [text for name, text in vars(reading).items() if name.isupper() and isinstance(text, str)]
    deletes = [line for text in scripts for line in text.splitlines() if re.search(r"\brm\b", line)]

    assert deletes
    assert [line for line in deletes if re.search(r"pg_wal|\.history|\*\.partial|[0-9A-F]{8}", line)] == []


# --- the treatment ----------------------------------------------------------------------------------------


def test_l11_the_primary_is_found_anew_before_it_is_cloned_from() -> None:
    """Theirs cloned from the address that the primary had at the time of the look."""
    truth, world = make("stuck")
    status, identify = truth._status, truth._identify
    asked: list[str] = []

    def moved(api: FakeKubernetes, name: str) -> dict[str, Any]:
        address = {"podIP": "10.0.7.7"} if name == "pg-1" and world.approval.plans else {}
        return status(api, name) | address

    def answers(api: FakeKubernetes, pod: PodRef, words: list[str]) -> Result:
        asked.append(words[0])
        return identify(api, pod, [words[0].replace("10.0.7.7", "10.0.0.1")])

    truth._status, truth._identify = moved, answers  # type: ignore[method-assign]

    repair(world)

    assert asked
    assert all("host=10.0.7.7 " in words for words in asked)


def test_l12_a_clone_holds_no_way_to_its_primary_that_would_win_over_the_operators() -> None:
    """pg_basebackup -R wrote one, with paths that only the helper pod has; the replica never streamed."""
    assert "-R" not in re.findall(r"(?<=\s)-\w+", shell.CLONE)
    for script in (shell.CLONE, shell.REWIND):
        assert "primary_conninfo|primary_slot_name|restore_command" in script
        assert 'finish "$' in script


def test_l23_l26_data_is_made_for_its_owner_alone_and_lost_and_found_is_no_data() -> None:
    for script in (shell.CLONE, shell.REWIND, shell.ADOPT):
        assert "umask 077" in script
    assert '"$l" = lost+found' in reading._LOOK


def test_l24_a_member_that_holds_nothing_is_given_a_clone_and_not_left_to_loop() -> None:
    truth, world = make("empty")

    result = repair(world)

    assert (result.after is not None and result.after.healthy, "pg-3" in truth.crashing) == (True, False)


def test_l27_a_scratch_server_neither_follows_nor_archives_nor_logs_elsewhere() -> None:
    told = dict(_QUIET)
    asked = ("primary_conninfo", "archive_mode", "restore_command", "logging_collector", "ssl")

    assert [told[name] for name in asked] == ["", "off", "false", "off", "off"]


def test_l28_l29_l32_the_operator_looks_away_before_the_pod_goes_and_looks_again_before_it_comes_back() -> (
    None
):
    words = (
        "fence pg-3",
        "look away",
        "delete pod pg-3",
        "start a helper",
        "read the position",
        "clone pg-1",
    )
    after = (
        "delete the helper pod",
        "let the operator work again",
        "take our fence of pg-3 away",
        "wait until",
    )

    steps = planned("stuck, no room")
    places = [next(n for n, step in enumerate(steps) if word in step) for word in (*words, *after)]

    assert places == sorted(places)


def test_l29_while_a_member_is_cloned_the_operator_is_told_to_look_away_and_afterwards_no_more() -> None:
    truth, world = make("stuck")
    clone, seen = truth._clone, []

    def looked(api: FakeKubernetes, pod: PodRef, argv: list[str]) -> Result:
        seen.append(truth.annotations(api))
        return clone(api, pod, argv)

    truth._clone = looked  # type: ignore[method-assign]
    repair(world)

    assert [one.get(RECONCILIATION) for one in seen] == ["disabled"]
    assert [json.loads(one[FENCED_INSTANCES]) for one in seen] == [["pg-3", "pg-9"]]
    left = truth.annotations(world.kubernetes)
    assert (left.get(RECONCILIATION), json.loads(left[FENCED_INSTANCES])) == (None, ["pg-9"])


def test_l68_l69_l70_a_helper_is_what_the_clusters_own_pods_are() -> None:
    """Its account where others are forbidden, its label where policies ask for it, and no chown of it all."""
    truth, world = make("stuck")
    clone, met = truth._clone, []

    def seen(api: FakeKubernetes, pod: PodRef, words: list[str]) -> Result:
        met.append(api.objects[PODS.title, "db", pod.name])
        return clone(api, pod, words)

    truth._clone = seen  # type: ignore[method-assign]
    repair(world)
    (body,) = met

    assert body["spec"]["serviceAccountName"] == "pg"
    assert body["metadata"]["labels"]["cnpg.io/cluster"] == "pg"
    assert "cnpg.io/podRole" not in body["metadata"]["labels"], "or it would be taken for a member"
    assert body["spec"]["securityContext"] == {"fsGroup": 26, "fsGroupChangePolicy": "OnRootMismatch"}


def test_l77_the_look_after_a_repair_waits_until_the_member_streams() -> None:
    """Theirs looked at once, and probed for minutes volumes that pods on their way were holding."""
    _, world = make("stuck")

    repair(world)

    before_look = [write for write in world.kubernetes.writes if write.startswith("create pods hasteward-pg")]
    assert len(before_look) <= 1, "one for the first look, and none for the last"


def test_l81_a_member_in_its_back_off_is_made_again_at_once() -> None:
    truth, world = make("down")
    uid = world.kubernetes.objects[PODS.title, "db", "pg-3"]["metadata"]["uid"]

    repair(world)

    assert world.kubernetes.objects[PODS.title, "db", "pg-3"]["metadata"]["uid"] != uid
    assert truth.streams(world.kubernetes, "pg-3")
