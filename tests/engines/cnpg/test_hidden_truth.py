"""Verdicts against a model that knows every member's true log.

The model plays: writes, log without commits, replication up to some point, promotions (also of two members
apart, who then give their timelines the same number). What triage is shown is made from the true logs, with
some of it hidden. A verdict may say "undeterminable"; it may never say more than is true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import Refused
from hasteward.domain.reading import Absent, Known, Reading, Unread
from hasteward.domain.repair import CAPTURE, RepairPlan, RepairRequest
from hasteward.domain.report import Authority
from hasteward.pipelines.gates import Refusal, decide
from hasteward_cnpg.analyse.authority import Standing, Verdict, judge, leader_of, needs_comparison
from hasteward_cnpg.analyse.remedy import may_be_overwritten
from hasteward_cnpg.diagnose import report
from hasteward_cnpg.evidence import (
    ClusterFacts,
    Comparison,
    ContainerState,
    ControlFacts,
    Evidence,
    FileFacts,
    Fork,
    Lsn,
    MemberEvidence,
    PodFacts,
    Position,
    Receiver,
    ServerFacts,
    Tally,
)
from hasteward_cnpg.facts.grounds import Grounds, MemberGrounds, Room
from hasteward_cnpg.facts.objects import HelperFacts
from hasteward_cnpg.plan.repair import repair_plan

NAMES = ("pg-1", "pg-2", "pg-3")
STEP = 10


@dataclass
class Log:
    """One member: records are (timeline, id, commit?); equal prefixes are equal logs."""

    records: list[tuple[int, int, bool]] = field(default_factory=list)
    timeline: int = 1
    forks: list[Fork] = field(default_factory=list)
    writer: bool = False

    @property
    def end(self) -> Lsn:
        return Lsn(len(self.records) * STEP)

    @property
    def commits(self) -> set[int]:
        return {number for _, number, commit in self.records if commit}

    @property
    def position(self) -> Position:
        return Position(self.timeline, self.end, tuple(self.forks))

    def past(self, fork: Lsn) -> int:
        return sum(commit for _, _, commit in self.records[fork.position // STEP :])


@dataclass
class World:
    """Three members and everything that happened to them."""

    logs: dict[str, Log]
    named: str = "pg-1"
    follows: dict[str, str] = field(default_factory=dict)
    number: int = 0

    def play(self, event: tuple[str, str, str, int]) -> None:
        kind, name, other, amount = event
        log, source = self.logs[name], self.logs[other]
        if kind in {"write", "noise"} and log.writer:
            for _ in range(amount):
                self.number += 1
                log.records.append((log.timeline, self.number, kind == "write"))
        elif kind == "replicate" and not log.writer and name != other:
            # a standby takes on what continues its own log
            if source.records[: len(log.records)] == log.records:
                log.records = source.records[: len(log.records) + amount * 2]
                at = len(log.records) * STEP
                log.forks = [fork for fork in source.forks if fork.at.position <= at]
                left = [fork for fork in source.forks if fork.at.position > at]
                log.timeline = left[0].timeline if left else source.timeline
                self.follows[name] = other
        elif kind == "promote" and not log.writer:
            log.forks.append(Fork(log.timeline, log.end))
            log.timeline += 1
            log.writer = True
            self.follows.pop(name, None)
            self.number += 1
            log.records.append((log.timeline, self.number, False))  # the end-of-recovery record
        elif kind == "name":
            self.named = name

    def truth(self) -> Authority:
        everything = set().union(*(log.commits for log in self.logs.values()))
        if self.logs[self.named].commits == everything:
            return Authority.PROVABLE
        if any(log.commits == everything for log in self.logs.values()):
            return Authority.LEADER_NOT_PRIMARY
        return Authority.DIVERGED


def start() -> World:
    logs = {name: Log() for name in NAMES}
    logs["pg-1"].writer = True
    return World(logs)


EVENTS = st.tuples(
    st.sampled_from(["write", "write", "noise", "replicate", "replicate", "replicate", "promote", "name"]),
    st.sampled_from(NAMES),
    st.sampled_from(NAMES),
    st.integers(1, 3),
)


@dataclass(frozen=True)
class Sight:
    """How one member is seen: by a running server or by its files, and what of it is hidden."""

    running: bool
    hidden: bool
    tally: bool
    mark: bool
    streaming: bool


YES, NO = st.just(True), st.just(False)  # noqa: FBT003  hypothesis has no other way
SIGHTS = st.builds(Sight, st.booleans(), NO, YES, YES, st.booleans())
BLIND = st.builds(Sight, st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.booleans())

POD = PodFacts(
    "Running", terminating=False, container=ContainerState.RUNNING, reason="", ready=True, restarts=0
)


def shown(world: World, sights: Sequence[Sight]) -> Evidence:
    """What triage would have read."""
    by_name = dict(zip(NAMES, sights, strict=True))
    members = tuple(member(world, name, by_name) for name in NAMES)
    cluster = ClusterFacts(3, NAMES, world.named, world.named, "", frozenset(), "", hibernated=False)
    evidence = Evidence(Known(cluster, "api"), Known(3, "api"), members)
    for other in (lambda seen: seen.member(world.named), leader_of):
        found = other(evidence)
        if found is not None:
            compared = tuple(compare_shown(world, one, found, by_name) for one in evidence.members)
            evidence = replace(evidence, members=compared)
    return evidence


def member(world: World, name: str, sights: dict[str, Sight]) -> MemberEvidence:
    log, sight = world.logs[name], sights[name]
    server: Reading[ServerFacts] = Unread("it is down")
    files: Reading[FileFacts] = Unread("hidden")
    if not sight.hidden and sight.running:
        server = Known(server_of(world, name, sights), "psql")
    elif not sight.hidden:
        state = "in production" if log.writer else "in archive recovery"
        control = ControlFacts("7", state, log.timeline, Lsn(0), Lsn(0), 16)
        files = Known(FileFacts(control, log.position), "files")
    return MemberEvidence(name, named=True, pod=Known(POD, "pods"), server=server, files=files)


def server_of(world: World, name: str, sights: dict[str, Sight]) -> ServerFacts:
    log = world.logs[name]
    source = world.follows.get(name, "")
    streams = bool(source) and sights[name].streaming and sights[source].running and source == world.named
    same = streams and world.logs[source].records[: len(log.records)] == log.records
    receiver = Receiver("streaming", world.logs[source].timeline, source) if same and source else None
    return ServerFacts(
        version="17",
        version_number=170000,
        system_id="7",
        in_recovery=not log.writer,
        timeline=log.timeline,
        checkpoint_timeline=1,
        current=log.end if log.writer else None,
        received=None if log.writer else log.end,
        replayed=None if log.writer else log.end,
        last_replay="",
        receiver=receiver,
        standbys=(),
        slots=(),
        databases=(),
        ancestors=tuple(log.forks),
    )


def compare_shown(
    world: World, one: MemberEvidence, reference: MemberEvidence, sights: dict[str, Sight]
) -> MemberEvidence:
    relation = needs_comparison(one, reference)
    if relation is None or one.against(reference.name) is not None:
        return one
    mine, theirs = world.logs[one.name], world.logs[reference.name]
    until = relation.fork.position // STEP
    tallies: list[Reading[Tally]] = []
    for log, extent, name in ((mine, relation.mine, one.name), (theirs, relation.theirs, reference.name)):
        if not sights[name].tally:
            tallies.append(Unread("hidden"))
        elif extent == 0:
            tallies.append(Absent("nothing is there"))
        else:
            tallies.append(Known(Tally(log.past(relation.fork), ""), "pg_waldump"))
    alike: Reading[bool] = Unread("hidden")
    if sights[one.name].mark and sights[reference.name].mark:
        alike = Known(mine.records[:until] == theirs.records[:until], "both logs")
    found = Comparison(reference.name, relation.fork, tallies[0], tallies[1], alike)
    return replace(one, comparisons=(*one.comparisons, found))


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
            for name in verdict.newest:
                assert world.logs[name].commits == everything
        case Authority.DIVERGED:
            assert not any(log.commits == everything for log in world.logs.values())
    if verdict.authority is Authority.PROVABLE:
        for name in verdict.newest:
            assert world.logs[name].commits == everything, name


@settings(max_examples=1000, deadline=None)
@given(st.lists(EVENTS, max_size=14), st.tuples(SIGHTS, SIGHTS, SIGHTS))
def test_what_is_seen_whole_is_judged_as_it_is(
    events: list[tuple[str, str, str, int]], sights: tuple[Sight, ...]
) -> None:
    world = start()
    for event in events:
        world.play(event)

    verdict = judge(shown(world, sights))

    assert_true(world, verdict)
    # two that were promoted apart look alike by their numbers; that they are not is all that can be said
    if "went its own way" not in verdict.reason:
        assert verdict.authority is world.truth(), (verdict.reason, world)


@settings(max_examples=1000, deadline=None)
@given(st.lists(EVENTS, max_size=14), st.tuples(BLIND, BLIND, BLIND))
def test_what_is_hidden_never_makes_a_verdict_bolder(
    events: list[tuple[str, str, str, int]], sights: tuple[Sight, ...]
) -> None:
    world = start()
    for event in events:
        world.play(event)

    assert_true(world, judge(shown(world, sights)))


# --- plans ------------------------------------------------------------------------------------------------

HELPER = HelperFacts(
    "img", "node-1", 26, 26, "pg", wal_volume=False, wal_mount="", pull_secrets=(), tolerations=()
)
MEMBER = MemberGrounds("pod", "claim", active=True, helper=HELPER, room=Known(Room(10**12, 10**12), "df"))
GROUNDS = Grounds("run", dict.fromkeys(NAMES, MEMBER), (1, 30), (), "pg-ca", "pg-replication")
REQUESTS = st.builds(
    RepairRequest,
    instance=st.sampled_from([None, 1, 2, 3]),
    force=st.booleans(),
    escrow=st.booleans(),
    discard_branch=st.sampled_from([None, None, 1, 2, 3]),
)


def planned(world: World, sights: Sequence[Sight], request: RepairRequest) -> RepairPlan | None:
    """What a repair would set out to do; None where a gate or the planner says no."""
    evidence = shown(world, sights)
    cluster = ClusterRef("cnpg", "db", "pg")
    decision = decide(report(cluster, evidence), request)
    if isinstance(decision, Refusal) or not decision.targets:
        return None
    try:
        return repair_plan(cluster, evidence, GROUNDS, decision.targets)
    except Refused:
        return None


def seen_again(world: World, name: str) -> Standing:
    """How the member stands by its files, once nobody writes to them, beside the primary that is named."""
    sight = {
        one: Sight(
            running=one == world.named,
            hidden=one not in {name, world.named},
            tally=True,
            mark=True,
            streaming=False,
        )
        for one in NAMES
    }
    pair = tuple(member(world, one, sight) for one in NAMES if one in {name, world.named})
    cluster = ClusterFacts(3, NAMES, world.named, world.named, "", frozenset(), "", hibernated=False)
    evidence = Evidence(Known(cluster, "api"), Known(2, "api"), pair)
    reference = evidence.member(world.named)
    assert reference is not None
    compared = tuple(compare_shown(world, one, reference, sight) for one in evidence.members)
    return judge(replace(evidence, members=compared)).standing[name]


def assert_nothing_is_lost(
    world: World, plan: RepairPlan, later: Sequence[tuple[str, str, str, int]]
) -> None:
    """Whatever happens until the server is gone: what is overwritten has no commit that is not saved."""
    for event in later:
        world.play(event)
    for treatment in plan.treatments:
        target = treatment.target
        if not target.remediation.overwrites:
            continue
        wanted = treatment.preconditions
        primary = world.logs[world.named]
        if (
            world.named != wanted["primary"]
            or str(primary.timeline) != wanted["timeline"]
            or not primary.writer
        ):
            continue  # an act looks at this before it does anything
        agreed = target.capture or bool(target.gives_up)
        if not may_be_overwritten(seen_again(world, target.member), agreed=agreed, empty=False):
            continue
        captured = any(act.kind == CAPTURE for act in treatment.acts)
        given_up = bool(target.gives_up) and not target.capture
        assert target.member != world.named
        assert captured or given_up or world.logs[target.member].commits <= primary.commits


def _plans_keep(
    events: list[tuple[str, str, str, int]],
    later: list[tuple[str, str, str, int]],
    sights: tuple[Sight, ...],
    request: RepairRequest,
) -> bool:
    world = start()
    for event in events:
        world.play(event)
    plan = planned(world, sights, request)
    if plan is not None:
        assert request.force or not any(t.target.capture for t in plan.treatments)
        assert_nothing_is_lost(world, plan, later)
    return plan is not None


WORLDS = (
    st.lists(EVENTS, max_size=14),
    st.lists(EVENTS, max_size=4),
    st.tuples(BLIND, BLIND, BLIND) | st.tuples(SIGHTS, SIGHTS, SIGHTS),
    REQUESTS,
)


@settings(max_examples=1000, deadline=None)
@given(*WORLDS)
def test_no_plan_with_its_preconditions_discards_a_commit_that_is_not_captured(
    events: list[tuple[str, str, str, int]],
    later: list[tuple[str, str, str, int]],
    sights: tuple[Sight, ...],
    request_: RepairRequest,
) -> None:
    _plans_keep(events, later, sights, request_)


@pytest.mark.long
@pytest.mark.timeout(3600)
@settings(max_examples=100_000, deadline=None)
@given(*WORLDS)
def test_no_plan_discards_a_commit_at_length(
    events: list[tuple[str, str, str, int]],
    later: list[tuple[str, str, str, int]],
    sights: tuple[Sight, ...],
    request_: RepairRequest,
) -> None:
    _plans_keep(events, later, sights, request_)


def test_the_model_reaches_plans_of_every_kind() -> None:
    """Or the above would be content with a planner that always says no."""
    seen = set()
    whole = Sight(running=True, hidden=False, tally=True, mark=True, streaming=True)
    for kind in ("stray", "diverged"):
        world = start()
        world.play(("write", "pg-1", "pg-1", 3))
        for name in ("pg-2", "pg-3"):
            world.play(("replicate", name, "pg-1", 3))
        world.play(("promote", "pg-3", "pg-3", 1))
        if kind == "diverged":
            world.play(("write", "pg-3", "pg-3", 1))
            world.play(("write", "pg-1", "pg-1", 1))
            world.play(("replicate", "pg-2", "pg-1", 3))
        request = RepairRequest(instance=3, force=kind != "stray")
        plan = planned(world, (whole, whole, whole), request)
        assert plan is not None, kind
        seen |= {(kind, act.kind) for treatment in plan.treatments for act in treatment.acts}
    assert {("stray", "rewind"), ("diverged", "capture"), ("diverged", "rewind")} <= seen
