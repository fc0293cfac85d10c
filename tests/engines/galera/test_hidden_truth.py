"""Nothing that the engine says, plans or starts from loses a transaction that was acknowledged.

The histories and their truth are those of `galera_model`; the engine sees the evidence alone, and not all
of it.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from galera_kit import CLUSTER
from galera_model import BLIND, REQUESTS, SEEN, WORLDS, Sight, World, play, shown
from hypothesis import given, settings

from hasteward.domain.errors import Refused
from hasteward.domain.repair import RepairPlan, RepairRequest
from hasteward.domain.report import Authority
from hasteward.pipelines.gates import Decision, decide
from hasteward_galera.analyse import Choice, analyse, choose
from hasteward_galera.diagnose import report
from hasteward_galera.evidence import Evidence
from hasteward_galera.plan import Kind, repair_plan


def planned(evidence: Evidence, request: RepairRequest) -> RepairPlan:
    """What the pipeline would do; nothing when a gate or the engine refuses."""
    decision = decide(report(CLUSTER, evidence), request)
    if not isinstance(decision, Decision):
        return RepairPlan(())
    try:
        return repair_plan(CLUSTER, evidence, analyse(evidence), decision.targets)
    except Refused:
        return RepairPlan(())


def kept_by_others(world: World, name: str) -> set[int]:
    return set().union(*(world.acknowledged(one) for one in world.nodes if one.name != name))


def check(world: World, evidence: Evidence, request: RepairRequest) -> None:
    """Nothing that the engine says or plans is worth an acknowledged transaction."""
    truth = {one.name: world.acknowledged(one) for one in world.nodes}
    everything = set().union(*truth.values())
    found = analyse(evidence)
    if found.authority is Authority.PROVABLE:
        # who is not proven to be contained is named with what it would lose
        named = {one.member for one in found.assessments if one.branch is not None}
        for name in found.verdict.newest:
            missing = {one for one in truth if truth[one] - truth[name]} - named
            assert not missing, f"{name} is called newest, and lacks what {missing} holds"
    for treatment in planned(evidence, request).treatments:
        name, kinds = treatment.target.member, [act.kind for act in treatment.acts]
        lost = truth[name] - kept_by_others(world, name)
        if Kind.CLEAR in kinds and lost:
            assert request.force, f"{name} alone holds {lost}, and nobody insisted"
            assert kinds.index(Kind.CAPTURE) < kinds.index(Kind.CLEAR), "captured before it is lost"
        if Kind.RESTART in kinds:
            assert not lost, "who comes back may be overwritten by Galera itself"
    for force, wanted in product((False, True), ("", "db-1")):
        start = choose(evidence, found.verdict, force=force, wanted=wanted)
        if not isinstance(start, Choice):
            continue
        lost_on = {name for name in truth if truth[name] - truth[start.member]}
        assert lost_on <= set(start.captures), (
            f"from {start.member}: {lost_on} would lose what is not captured"
        )
        assert force or not start.captures
        if not force and not wanted:
            assert truth[start.member] == everything


def bolder(less: Evidence, full: Evidence, request: RepairRequest) -> set[str]:
    """Whom a plan treats that it would have left alone, had it known more."""
    bold = {one.target.member for one in planned(less, request).treatments}
    return bold - {one.target.member for one in planned(full, request).treatments}


def hold(
    drawn: tuple[int, list[tuple[str, int, int]]], sights: tuple[Sight, ...], request: RepairRequest
) -> None:
    world = play(drawn)
    full, less = shown(world, SEEN), shown(world, sights)
    check(world, full, request)
    check(world, less, request)
    full_says, less_says = analyse(full).authority, analyse(less).authority
    assert less_says in {Authority.UNDETERMINABLE, full_says}, (full_says, analyse(less).verdict.reason)
    if request.escrow and not request.force:
        assert not bolder(less, full, request)


@pytest.mark.timeout(300)
@settings(max_examples=2000, deadline=None)
@given(WORLDS, BLIND, REQUESTS)
def test_no_plan_and_no_start_loses_an_acknowledged_transaction(
    drawn: tuple[int, list[tuple[str, int, int]]], sights: tuple[Sight, ...], request: RepairRequest
) -> None:
    hold(drawn, sights, request)


@pytest.mark.long
@pytest.mark.timeout(3600)
@settings(max_examples=100_000, deadline=None)
@given(WORLDS, BLIND, REQUESTS)
def test_no_plan_and_no_start_of_a_hundred_thousand_loses_an_acknowledged_transaction(
    drawn: tuple[int, list[tuple[str, int, int]]], sights: tuple[Sight, ...], request: RepairRequest
) -> None:
    hold(drawn, sights, request)


@pytest.mark.timeout(300)
def test_every_short_history_of_two_members_is_judged_as_it_was() -> None:
    """All histories of three events after a write, on a cluster of three: enumerated, not drawn."""
    kinds = ("write", "crash", "stop", "cut", "force", "join", "wait")
    events = [(kind, which, 1) for kind in kinds for which in (0, 2)]
    for chosen in product(events, repeat=3):
        world = play((3, [("write", 0, 2), *chosen]))
        check(world, shown(world, SEEN), RepairRequest())


def test_the_model_does_plan_and_start_something() -> None:
    """A model in which nothing is ever done would prove nothing."""
    apart = play((3, [("write", 0, 2), ("cut", 2, 1), ("write", 0, 2)]))
    split = play((3, [("write", 0, 2), ("cut", 2, 1), ("force", 2, 1), ("write", 2, 2), ("write", 0, 1)]))
    down = play((3, [("write", 0, 2), ("crash", 2, 1), ("write", 0, 2), ("crash", 1, 1), ("crash", 0, 1)]))
    looping = play((3, [("crash", 2, 1), ("abort", 2, 1)]))

    def who(world: World, request: RepairRequest) -> list[tuple[str, str]]:
        plan = planned(shown(world, SEEN), request)
        return [(one.target.member, one.target.remediation.value) for one in plan.treatments]

    assert who(apart, RepairRequest()) == [("db-2", "restart")]
    assert who(split, RepairRequest()) == []
    assert who(split, RepairRequest(instance=2, force=True)) == [("db-2", "reseed")]
    assert who(looping, RepairRequest()) == [("db-2", "reseed")]
    evidence = shown(down, SEEN)
    start = choose(evidence, analyse(evidence).verdict)
    assert isinstance(start, Choice)
    assert (start.member, start.captures) == ("db-0", ())


def test_a_start_that_needs_force_names_what_is_captured() -> None:
    split = play(
        (
            3,
            [
                ("cut", 2, 1),
                ("force", 2, 1),
                ("write", 2, 1),
                ("crash", 2, 1),
                ("crash", 1, 1),
                ("crash", 0, 1),
            ],
        )
    )
    evidence = shown(split, SEEN)
    verdict = analyse(evidence).verdict

    timid, forced = choose(evidence, verdict), choose(evidence, verdict, force=True)

    assert not isinstance(timid, Choice)
    assert isinstance(forced, Choice)
    assert "db-2" in {*forced.captures, forced.member}
    assert forced.needs_force


def test_what_is_hidden_is_asked_for_by_name() -> None:
    world = play((3, [("write", 0, 1), ("crash", 2, 1)]))
    evidence = shown(world, (Sight(), Sight(), replace(Sight(), files=False)))

    said = analyse(evidence)

    assert said.authority is Authority.UNDETERMINABLE
    assert [question.member for question in said.verdict.questions] == ["db-2"]


def test_the_same_number_by_another_way_is_not_the_newest() -> None:
    """Found by the model: after a power failure a wrong start came to the very seqno that had been lost."""
    world = play((3, [("write", 0, 1), ("power", 0, 2), ("crash", 1, 1)]))
    assert {node.seqno for node in world.nodes} == {4}

    assert analyse(shown(world, SEEN)).verdict.newest == ("db-0",)
