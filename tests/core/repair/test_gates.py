"""The matrix of the README: who may be touched, over every state a small cluster can be in."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.repair import RepairRequest, Target
from hasteward.domain.report import Assessment, Authority, Branch, Health, Remediation, TriageReport
from hasteward.pipelines.gates import Decision, Refusal, Rule, decide

CLUSTER = ClusterRef("toy", "db", "box")
SOME = Branch("2 commits after 0/10", 2)
UNCOUNTED = Branch("commits after 0/10 that could not be counted", None)
EMPTY = Branch("log without a commit", 0)


def member(
    number: int, remediation: Remediation = Remediation.NONE, branch: Branch | None = None
) -> Assessment:
    return Assessment(
        member=f"box-{number}",
        role="replica",
        health=Health.HEALTHY if remediation is Remediation.NONE else Health.DOWN,
        evidence=(),
        ordinal=number,
        remediation=remediation,
        reason="so it is" if remediation is not Remediation.NONE else "",
        branch=branch,
    )


def report(*members: Assessment, authority: Authority = Authority.PROVABLE, **facts: Any) -> TriageReport:
    well = tuple(one.member for one in members if one.health is Health.HEALTHY)
    known = {"newest": well, "primaries": ("box-1",), "donors": well} | facts
    return TriageReport(CLUSTER, authority, "so they say", members, (), **known)


def rule_of(found: Decision | Refusal) -> Rule | None:
    return found.rule if isinstance(found, Refusal) else None


def targets_of(found: Decision | Refusal) -> tuple[Target, ...]:
    assert isinstance(found, Decision), found
    return found.targets


BROKEN = report(member(1), member(2, Remediation.RESEED), member(3))


# --- the rows of the matrix -------------------------------------------------------------------------------


@pytest.mark.parametrize("instance", [None, 2])
@pytest.mark.parametrize("force", [False, True])
def test_undeterminable_is_a_hard_stop_that_nothing_overrides(instance: int | None, force: bool) -> None:
    unknown = report(*BROKEN.assessments, authority=Authority.UNDETERMINABLE)

    assert rule_of(decide(unknown, RepairRequest(instance, force=force))) is Rule.UNDETERMINABLE


@pytest.mark.parametrize("force", [False, True])
def test_diverged_is_a_hard_stop_for_everybody_at_once(force: bool) -> None:
    split = report(member(1), member(2, Remediation.RESEED, SOME), member(3), authority=Authority.DIVERGED)

    assert rule_of(decide(split, RepairRequest(force=force))) is Rule.DIVERGED


def test_diverged_and_targeted_needs_force_and_then_a_capture() -> None:
    split = report(member(1), member(2, Remediation.RESEED, SOME), member(3), authority=Authority.DIVERGED)

    refusal = decide(split, RepairRequest(2))
    assert isinstance(refusal, Refusal)
    assert refusal.rule is Rule.DIVERGED
    assert "the branch of box-2, 2 commits after 0/10" in refusal.message
    assert refusal.hint == "hasteward repair -e toy -c box -n db -i 2 --force"

    (target,) = targets_of(decide(split, RepairRequest(2, force=True)))
    assert target.capture
    assert target.gives_up == "the branch of box-2, 2 commits after 0/10; captured and proven before"


def test_diverged_and_no_other_readable_branch_is_refused() -> None:
    split = report(member(1), member(2, Remediation.RESEED, SOME), authority=Authority.DIVERGED, donors=())

    assert rule_of(decide(split, RepairRequest(2, force=True))) is Rule.ONLY_BRANCH


@pytest.mark.parametrize("authority", [Authority.PROVABLE, Authority.DIVERGED, Authority.LEADER_NOT_PRIMARY])
def test_the_primary_is_never_treated(authority: Authority) -> None:
    broken = report(member(1, Remediation.RESEED), member(2), authority=authority)

    assert rule_of(decide(broken, RepairRequest(1, force=True))) is Rule.PRIMARY


@pytest.mark.parametrize("force", [False, True])
def test_l6_the_authority_is_not_overwritten_force_or_not(force: bool) -> None:
    ahead = report(
        member(1),
        member(2, Remediation.RESEED),
        authority=Authority.LEADER_NOT_PRIMARY,
        newest=("box-2",),
        donors=("box-1",),
    )

    assert rule_of(decide(ahead, RepairRequest(2, force=force))) is Rule.AUTHORITY
    assert rule_of(decide(ahead, RepairRequest(force=force))) is Rule.LEADER_NOT_PRIMARY


def test_a_healthy_member_is_skipped_and_force_treats_it_whole() -> None:
    skipped = decide(BROKEN, RepairRequest(3))
    assert skipped == Decision((), ("box-3 is healthy; --force treats it all the same",))

    (target,) = targets_of(decide(BROKEN, RepairRequest(3, force=True)))
    assert target == Target("box-3", 3, Remediation.RESEED, "--force was given")


def test_no_donor_is_an_abort() -> None:
    alone = report(member(1, Remediation.WAIT), member(2, Remediation.RESEED), donors=())

    assert rule_of(decide(alone, RepairRequest())) is Rule.NO_DONOR
    assert rule_of(decide(alone, RepairRequest(2, force=True))) is Rule.NO_DONOR


def test_a_restart_needs_no_donor() -> None:
    alone = report(member(1), member(2, Remediation.RESTART), donors=())

    assert [target.member for target in targets_of(decide(alone, RepairRequest()))] == ["box-2"]


def test_what_overwrites_nothing_is_treated_first() -> None:
    """Whoever runs again then is needed by those that are built anew, and by whoever has to come back."""
    sick = (member(2, Remediation.RESEED), member(3, Remediation.RESTART), member(4, Remediation.REWIND))

    found = decide(report(member(1), *sick), RepairRequest())

    assert [target.member for target in targets_of(found)] == ["box-3", "box-2", "box-4"]


def test_a_member_that_recovers_by_itself_is_left_to_it() -> None:
    waiting = report(member(1), member(2, Remediation.WAIT))
    said = ("box-2 recovers by itself: so it is",)

    assert decide(waiting, RepairRequest()) == Decision((), ("box-1 needs nothing",), said)
    assert decide(waiting, RepairRequest(2)) == Decision((), (), said)
    assert targets_of(decide(waiting, RepairRequest(2, force=True)))[0].remediation is Remediation.RESEED


def test_a_number_that_no_member_has_names_those_there_are() -> None:
    refusal = decide(BROKEN, RepairRequest(9))

    assert isinstance(refusal, Refusal)
    assert refusal.rule is Rule.UNKNOWN_MEMBER
    assert refusal.message.endswith("it has 1 (box-1), 2 (box-2), 3 (box-3)")
    assert isinstance(none := decide(report(), RepairRequest(9)), Refusal)
    assert none.message.endswith("it has none")


# --- escrow -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("branch", [SOME, UNCOUNTED])
def test_no_escrow_is_refused_where_it_would_lose_commits_and_names_the_flag_that_gives_them_up(
    branch: Branch,
) -> None:
    split = report(member(1), member(2, Remediation.RESEED, branch), member(3), authority=Authority.DIVERGED)

    refusal = decide(split, RepairRequest(2, force=True, escrow=False))
    assert isinstance(refusal, Refusal)
    assert refusal.rule is Rule.UNCAPTURED
    assert refusal.hint == "leave --no-escrow away, or say so: --discard-branch 2"

    (target,) = targets_of(decide(split, RepairRequest(2, force=True, escrow=False, discard_branch=2)))
    assert not target.capture
    assert target.gives_up.endswith("NOT captured, as --discard-branch says")


def test_no_escrow_is_honoured_where_nothing_is_lost() -> None:
    for branch in (None, EMPTY):
        idle = report(member(1), member(2, Remediation.RESEED, branch), member(3))

        (target,) = targets_of(decide(idle, RepairRequest(escrow=False)))
        assert (target.capture, target.gives_up) == (False, "")


def test_discarding_the_branch_of_somebody_else_is_a_mistake() -> None:
    refusal = decide(BROKEN, RepairRequest(2, discard_branch=3))

    assert rule_of(refusal) is Rule.DISCARD_OTHER


LOST = report(
    member(1, Remediation.BOOTSTRAP, UNCOUNTED),
    member(2),
    member(3),
    authority=Authority.MAJORITY_LOST,
    newest=(),
    primaries=(),
    donors=(),
)


@pytest.mark.parametrize("request_", [RepairRequest(), RepairRequest(force=True), RepairRequest(1)])
def test_a_lost_majority_is_for_a_person_to_give_up_by_name_and_force(request_: RepairRequest) -> None:
    refusal = decide(LOST, request_)

    assert isinstance(refusal, Refusal)
    assert refusal.rule is Rule.MAJORITY_LOST
    assert refusal.hint == (
        "hasteward repair -e toy -c box -n db -i 1 --force   (the one to go on with; fit: 1 (box-1))"
    )


def test_where_a_majority_is_lost_the_survivor_is_captured_and_what_is_lost_is_said() -> None:
    (target,) = targets_of(decide(LOST, RepairRequest(1, force=True)))

    assert target == Target(
        "box-1",
        1,
        Remediation.BOOTSTRAP,
        "so it is",
        capture=True,
        gives_up="whatever was acknowledged and box-1 does not hold: so they say",
    )


def test_where_a_majority_is_lost_nobody_else_goes_on_and_nothing_goes_uncaptured() -> None:
    assert rule_of(decide(LOST, RepairRequest(2, force=True))) is Rule.SURVIVOR
    assert rule_of(decide(LOST, RepairRequest(1, force=True, escrow=False))) is Rule.UNCAPTURED
    assert rule_of(decide(LOST, RepairRequest(1, force=True, discard_branch=1))) is Rule.UNCAPTURED


# --- every state a small cluster can be in ----------------------------------------------------------------


def everything() -> Iterator[tuple[TriageReport, RepairRequest]]:
    """All reports of two members beside the primary, and all requests about them."""
    states = list(
        itertools.product(
            [
                Remediation.NONE,
                Remediation.RESTART,
                Remediation.WAIT,
                Remediation.RESEED,
                Remediation.BOOTSTRAP,
            ],
            [None, EMPTY, SOME, UNCOUNTED],
        )
    )
    for (second, third), authority in itertools.product(itertools.product(states, states), Authority):
        members = (member(1), member(2, *second), member(3, *third))
        for newest, donors in itertools.product(
            [("box-1",), ("box-2",), ("box-1", "box-2")], [(), ("box-1",), ("box-1", "box-3")]
        ):
            known = report(*members, authority=authority, newest=newest, donors=donors)
            for instance, force, escrow, discard in itertools.product(
                [None, 1, 2, 3], [False, True], [False, True], [None, 2]
            ):
                yield known, RepairRequest(instance, force=force, escrow=escrow, discard_branch=discard)


def test_in_every_state_the_newest_is_safe_and_commits_are_captured_or_given_up_by_name() -> None:
    checked = 0
    for known, request in everything():
        found = decide(known, request)
        checked += 1
        if isinstance(found, Refusal):
            assert found.message
            assert found.hint
            continue
        by_name = {one.member: one for one in known.assessments}
        for target in found.targets:
            one = by_name[target.member]
            assert known.authority is not Authority.UNDETERMINABLE
            if target.remediation is Remediation.BOOTSTRAP:
                assert known.authority is Authority.MAJORITY_LOST
                assert (request.instance, request.force, request.escrow) == (target.ordinal, True, True)
                assert (target.capture, bool(target.gives_up)) == (True, True)
                continue
            assert known.authority is not Authority.MAJORITY_LOST
            assert target.member not in known.primaries
            assert request.instance in {None, target.ordinal}
            if request.instance is None:
                assert known.authority is Authority.PROVABLE
            if not target.remediation.overwrites:
                continue
            assert known.newest != (target.member,)
            assert set(known.donors) - {target.member}
            if known.authority is Authority.DIVERGED:
                assert request.force
            if one.branch is not None and one.branch.commits != 0:
                assert target.capture or request.discard_branch == target.ordinal
                assert not target.capture or request.escrow or request.discard_branch is None
                assert target.gives_up
    assert checked == 20 * 20 * 5 * 9 * 32


def test_a_refusal_without_force_is_never_bolder_with_less_known() -> None:
    """Hiding who holds the newest data closes every gate."""
    for known, request in itertools.islice(everything(), 0, None, 97):
        hidden = report(
            *known.assessments, authority=Authority.UNDETERMINABLE, newest=known.newest, donors=known.donors
        )
        assert rule_of(decide(hidden, request)) is Rule.UNDETERMINABLE
