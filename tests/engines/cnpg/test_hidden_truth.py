"""Verdicts and plans against a model that knows every member's true log (`hidden_model`).

A verdict may say "undeterminable"; it may never say more than is true, and never more because less was read.
A plan together with what it reads again before each act loses no commit that is not captured or given up by
name, whatever happens between the look and the act.

The hundred thousand alone, on two cores: ``make test-long PYTEST_ARGS="-k hundred_thousand -n 2"``.
"""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product

import pytest
from hidden_model import DATA, DRAWN, NAMES, Drawn, Event, Sight, World, drawn_from, played, shown
from hypothesis import given, settings

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import Refused
from hasteward.domain.reading import Known
from hasteward.domain.repair import CAPTURE, RepairPlan, RepairRequest, Target, Treatment
from hasteward.domain.report import Authority, Remediation
from hasteward.pipelines.gates import Refusal, decide
from hasteward_cnpg.analyse import analyse
from hasteward_cnpg.analyse.authority import Standing, Verdict, judge
from hasteward_cnpg.analyse.remedy import is_lost, may_be_overwritten
from hasteward_cnpg.diagnose import report
from hasteward_cnpg.evidence import Evidence
from hasteward_cnpg.facts.grounds import Grounds, MemberGrounds, Room
from hasteward_cnpg.facts.objects import HelperFacts
from hasteward_cnpg.plan.acts import Kind
from hasteward_cnpg.plan.repair import repair_plan

CLUSTER = ClusterRef("cnpg", "db", "pg")
HELPER = HelperFacts(
    "img", "node-1", 26, 26, "pg", wal_volume=False, wal_mount="", pull_secrets=(), tolerations=()
)
MEMBER = MemberGrounds("pod", "claim", active=True, helper=HELPER, room=Known(Room(10**12, 10**12), "df"))
GROUNDS = Grounds("run", dict.fromkeys(NAMES, MEMBER), (1, 30), (), "pg-ca", "pg-replication")
STRENGTH = (
    Remediation.NONE,
    Remediation.RESTART,
    Remediation.WAIT,
    Remediation.REWIND,
    Remediation.RESEED,
)


def assert_true(world: World, verdict: Verdict) -> None:
    """The verdict says no more than the logs do."""
    everything = set().union(*(log.commits for log in world.logs.values()))
    named = world.logs[world.named].commits
    match verdict.authority:
        case Authority.UNDETERMINABLE:
            pass
        case Authority.PROVABLE:
            assert named == everything
        case Authority.LEADER_NOT_PRIMARY:
            assert named != everything
        case Authority.DIVERGED:
            assert not any(log.commits == everything for log in world.logs.values())
    for name in verdict.newest:
        assert world.logs[name].commits == everything, name


def planned(evidence: Evidence, request: RepairRequest) -> RepairPlan:
    """What a repair would set out to do; nothing where a gate or the planner says no."""
    decision = decide(report(CLUSTER, evidence), request)
    if isinstance(decision, Refusal) or not decision.targets:
        return RepairPlan(())
    try:
        return repair_plan(CLUSTER, evidence, GROUNDS, decision.targets)
    except Refused:
        return RepairPlan(())


def seen_again(world: World, name: str) -> Evidence:
    """The member by its files, once its server is proven gone, beside the primary that is named: no lie."""
    sights = tuple(Sight(running=one == world.named, streaming=False) for one in NAMES)
    return shown(world, sights, whom=name)


def goes_on(world: World, target: Target, kinds: set[str]) -> bool:
    """Whether what is read again lets the acts that destroy go on, as `heal` asks it."""
    again = seen_again(world, target.member)
    standing = judge(again).standing[target.member]
    if Kind.GIVE_UP in kinds:
        found = again.member(target.member)
        assert found is not None
        return is_lost(found.claim) or standing is Standing.NOTHING
    agreed = target.capture or bool(target.gives_up)
    return may_be_overwritten(standing, agreed=agreed, empty=standing is Standing.NOTHING)


def assert_nothing_is_lost(world: World, plan: RepairPlan, later: Sequence[Event]) -> None:
    """Whatever happens until the server is gone: what is overwritten has no commit that is not saved."""
    for event in later:
        world.play(event)
    for treatment in plan.treatments:
        target, wanted = treatment.target, treatment.preconditions
        if not target.remediation.overwrites:
            continue
        primary = world.logs[world.named]
        as_planned = (world.named, str(primary.timeline)) == (wanted["primary"], wanted["timeline"])
        if not as_planned or not primary.writer:
            continue  # an act looks at this before it does anything
        kinds = {act.kind for act in treatment.acts}
        if not goes_on(world, target, kinds):
            continue
        captured = CAPTURE in kinds
        given_up = bool(target.gives_up) and not target.capture
        assert target.member != world.named
        assert captured or given_up or world.logs[target.member].commits <= primary.commits


def gives_up(treatment: Treatment) -> bool:
    """Whether the operator is asked to delete the member's volumes, which it does without a look."""
    return any(act.kind == Kind.GIVE_UP for act in treatment.acts)


def assert_no_bolder(less: Evidence, full: Evidence, request: RepairRequest) -> None:
    """Less is known: then nobody else is treated, and nobody harder, than with all known."""
    timid, sure = analyse(less), analyse(full)
    assert timid.authority in {Authority.UNDETERMINABLE, sure.authority}, (sure.authority, timid.reason)
    if request.force or not request.escrow or request.discard_branch is not None:
        return  # then what is seen and would be lost stops the run, which is no boldness of the other
    wanted = {one.target.member: one for one in planned(full, request).treatments}
    for treatment in planned(less, request).treatments:
        name, remediation = treatment.target.member, treatment.target.remediation
        assert name in wanted, f"{name} is treated because less is known"
        assert STRENGTH.index(remediation) <= STRENGTH.index(wanted[name].target.remediation)
        assert not gives_up(treatment) or gives_up(wanted[name]), f"{name} is left to be deleted unread"


def hold(drawn: Drawn) -> RepairPlan:
    """Everything that must hold of one cluster, seen whole and seen in part."""
    world = played(drawn.events)
    less = shown(world, drawn.sights, target=drawn.target, paused=drawn.paused)
    sights = tuple(sight.open for sight in drawn.sights)
    full = less if sights == drawn.sights else shown(world, sights, target=drawn.target, paused=drawn.paused)
    assert_true(world, judge(less))
    if full is not less:
        assert_true(world, judge(full))
        assert_no_bolder(less, full, drawn.request)
    plan = planned(less, drawn.request)
    for treatment in plan.treatments:
        assert drawn.request.force or not treatment.target.capture
    if plan.treatments:
        assert_nothing_is_lost(world, plan, drawn.later)
    return plan


@pytest.mark.timeout(300)
@settings(max_examples=2000, deadline=None)
@given(DRAWN)
def test_no_plan_with_its_preconditions_discards_a_commit_that_is_not_captured(drawn: Drawn) -> None:
    hold(drawn)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("part", range(1, 21))
@settings(max_examples=5000, deadline=None)
@given(data=DATA)
def test_no_plan_of_a_hundred_thousand_discards_a_commit_that_is_not_captured(part: int, data: bytes) -> None:
    """Each part reads what is drawn from another byte on: equal draws are other clusters there."""
    hold(drawn_from(data[part:] + data[:part]))


def reached(steps: int) -> Iterator[World]:
    """Every state of two members that so many steps lead to, from a commit that both hold."""
    one = ("write", "noise", "promote", "name", "lose")
    events = [(kind, name, name, 1) for kind in one for name in NAMES[:2]]
    events += [("replicate", "pg-1", "pg-2", 1), ("replicate", "pg-2", "pg-1", 1)]
    met: dict[str, World] = {}
    last = [played((("write", "pg-1", "pg-1", 1), ("replicate", "pg-2", "pg-1", 1)))]
    for _ in range(steps):
        found = {}
        for world, event in product(last, events):
            after = copy.deepcopy(world)
            after.play(event)
            found[repr(after)] = after
        last = [after for state, after in found.items() if state not in met]
        met |= found
    yield from met.values()


@pytest.mark.timeout(300)
def test_every_state_that_four_steps_lead_to_is_judged_as_it_is_and_loses_nothing() -> None:
    """Enumerated, not drawn: with all seen, and treated by a person who insists."""
    looks = [
        tuple(Sight(running=up, streaming=False) for up in (True, other, True)) for other in (True, False)
    ]
    states = list(reached(4))
    for world, sights in product(states, looks):
        evidence = shown(world, sights)
        verdict = judge(evidence)
        assert_true(world, verdict)
        # what a lost volume held nobody can read; and of two that were promoted apart, who look alike by
        # their numbers, only that they are not the same can be said
        lost = any(log.gone for log in world.logs.values())
        if "went its own way" not in verdict.reason and not lost:
            assert verdict.authority is world.truth(), (verdict.reason, world)
        assert_nothing_is_lost(world, planned(evidence, RepairRequest(instance=2, force=True)), ())
    assert len(states) > 200


def test_what_is_seen_whole_is_judged_as_it_is() -> None:
    """Of the clusters that are drawn, those whose members all answer or are all read."""
    judged = Counter[Authority]()
    rolls = random.Random(7)  # noqa: S311  no secret
    for _ in range(500):
        drawn = drawn_from(rolls.randbytes(48))
        world = played(drawn.events)
        verdict = judge(shown(world, [Sight(running=sight.running) for sight in drawn.sights]))
        if "went its own way" in verdict.reason or any(log.gone for log in world.logs.values()):
            continue
        assert verdict.authority is world.truth(), (verdict.reason, world)
        judged[verdict.authority] += 1
    assert len(judged) == 3, judged


def test_the_model_reaches_plans_of_every_kind() -> None:
    """Or the above would be content with a planner that always says no."""
    seen = set()
    for kind in ("stray", "diverged"):
        events: list[Event] = [("write", "pg-1", "pg-1", 3)]
        events += [("replicate", name, "pg-1", 3) for name in ("pg-2", "pg-3")]
        events += [("promote", "pg-3", "pg-3", 1)]
        if kind == "diverged":
            events += [("write", "pg-3", "pg-3", 1), ("write", "pg-1", "pg-1", 1)]
            events += [("replicate", "pg-2", "pg-1", 3)]
        request = RepairRequest(instance=3, force=kind != "stray")
        plan = planned(shown(played(events), (Sight(), Sight(), Sight())), request)
        seen |= {(kind, act.kind) for treatment in plan.treatments for act in treatment.acts}
    assert {("stray", "rewind"), ("diverged", "capture"), ("diverged", "rewind")} <= seen
