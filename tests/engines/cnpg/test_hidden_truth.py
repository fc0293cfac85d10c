"""Verdicts against a model that knows every member's true log.

The model plays: writes, log without commits, replication up to some point, promotions (also of two members
apart, who then give their timelines the same number). What triage is shown is made from the true logs, with
some of it hidden. A verdict may say "undeterminable"; it may never say more than is true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from hasteward.domain.reading import Absent, Known, Reading, Unread
from hasteward.domain.report import Authority
from hasteward_cnpg.analyse.authority import Verdict, judge, leader_of, needs_comparison
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
