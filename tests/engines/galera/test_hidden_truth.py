# ruff: noqa: C901, PLR0912  a model of what happens to a cluster is a list of what can happen
"""Galera clusters whose truth is hidden from the engine: nothing it plans loses an acknowledged transaction.

The model plays: writes, crashes, stops in order, partitions, a power failure, somebody who forces a minority
to go on or starts a cluster from the wrong member, members that come back by IST or SST, transfers that are
never finished. Every transaction has a number of its own, so what a member really holds is known; (UUID,
seqno), views and files are what Galera makes of it. Some of that is hidden. What was acknowledged and lies on
one member alone may be given up only with force, and only after a capture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import pytest
from galera_kit import CLUSTER
from hypothesis import given, settings
from hypothesis import strategies as st

from hasteward.domain.errors import Refused
from hasteward.domain.reading import Absent, Known, Reading, Unread
from hasteward.domain.repair import RepairPlan, RepairRequest
from hasteward.domain.report import Authority
from hasteward.pipelines.gates import Decision, decide
from hasteward_galera.analyse import Choice, analyse, choose
from hasteward_galera.diagnose import report
from hasteward_galera.evidence import (
    ClaimFacts,
    ClusterFacts,
    Evidence,
    FileFacts,
    Grastate,
    MemberEvidence,
    PodFacts,
    Position,
    Recovered,
    ServerFacts,
    SetFacts,
    View,
    Volume,
)
from hasteward_galera.plan import Kind, repair_plan
from hasteward_galera.resources import ZERO

PHANTOM = "11111111-0000-0000-0000-000000000000"


@dataclass
class Node:
    """The truth about one member. `data` is everything it holds, in order: transactions, and view changes."""

    name: str
    uuid: str = "u0"
    data: list[int] = field(default_factory=list)
    up: bool = False
    #: the component it is in; -1 for none (it is not Primary)
    component: int = -1
    #: the name of this start of its process, and the processes of its last Primary component
    process: str = ""
    view: frozenset[str] = frozenset()
    #: how it stopped: grastate holds a seqno, or -1
    clean: bool = False
    safe: bool = False
    zero: bool = False
    garbage: bool = False
    wiped: bool = False
    #: enough that a member which is down is taken for one that does not come up by itself
    restarts: int = 5

    @property
    def seqno(self) -> int:
        return len(self.data)


@dataclass
class World:
    """A cluster and everything that happened to it."""

    nodes: list[Node]
    #: negative numbers are view changes, which nobody mourns
    number: int = 0
    starts: int = 0
    components: int = 0

    @classmethod
    def of(cls, count: int) -> World:
        world = cls([Node(f"db-{n}") for n in range(count)])
        world.bootstrap(world.nodes[0])
        for one in world.nodes[1:]:
            world.join(one)
        return world

    def acknowledged(self, node: Node) -> set[int]:
        return {number for number in node.data if number > 0} if not node.garbage else set()

    def members(self, component: int) -> list[Node]:
        return [one for one in self.nodes if one.up and component >= 0 and one.component == component]

    def fresh(self) -> int:
        self.number += 1
        return self.number

    def start(self, node: Node) -> None:
        self.starts += 1
        node.up, node.process, node.component = True, f"{node.name}/{self.starts}", -1
        node.clean = node.safe = False

    def change(self, members: Sequence[Node]) -> None:
        """A new view: it has a number of its own, and everybody in it writes down who is."""
        mark = -self.fresh()
        view = frozenset(one.process for one in members)
        for one in members:
            one.data.append(mark)
            one.view = view

    def bootstrap(self, node: Node) -> None:
        """Somebody makes this member a cluster, whatever it holds."""
        if not node.up:
            self.start(node)
        if node.garbage or node.wiped or node.zero:
            node.uuid, node.data = f"u{self.fresh()}", []
            node.garbage = node.wiped = node.zero = False
        self.components += 1
        node.component = self.components
        self.change([node])

    def join(self, node: Node) -> None:
        """It comes back to a component: by IST if that continues its data, else whole."""
        found = [one for one in self.nodes if one.up and one.component >= 0]
        if not found or node.component >= 0:
            return
        donor = found[0]
        ahead = node.uuid == donor.uuid and node.seqno > donor.seqno and not node.garbage and not node.wiped
        if ahead and not node.zero:
            return  # it refuses: its state is past the group's
        continues = node.data == donor.data[: len(node.data)] and node.uuid == donor.uuid
        if not node.up or not continues:
            # a whole transfer takes a start of the server. (Galera does not look at what went apart under one
            # UUID: it may let such a member in by IST, and then no number tells; see the documentation.)
            self.start(node)
        node.uuid, node.data = donor.uuid, list(donor.data)
        node.garbage = node.wiped = node.zero = False
        node.component = donor.component
        self.change(self.members(donor.component))

    def leave(self, node: Node, *, clean: bool) -> None:
        was = self.members(node.component)
        alone = len(was) == 1 and node.component >= 0
        node.up, node.clean = False, clean and not (node.garbage or node.zero)
        node.safe = node.clean and alone
        rest = [one for one in was if one is not node]
        if not rest:
            node.component = -1
            return
        node.component = -1
        # who stops in order is not counted any more; of a crash the rest must be a majority
        if clean or 2 * len(rest) > len(was):
            self.change(rest)
        else:
            for one in rest:
                one.component = -1

    def cut(self, node: Node) -> None:
        """A partition: the larger side goes on, the smaller is no longer Primary."""
        was = self.members(node.component)
        rest = [one for one in was if one is not node]
        if not rest:
            return
        node.component = -1
        if 2 * len(rest) > len(was):
            self.change(rest)
        else:
            for one in rest:
                one.component = -1

    def power(self, spared: int, lost: int) -> None:
        """The power fails: everybody is down at once, and all but one lose what was not on their disk yet.

        Then somebody starts the cluster again, from one that lost something, and another one joins it.
        """
        for number, node in enumerate(self.nodes):
            if not node.up:
                continue
            node.up, node.component = False, -1
            if number != spared % len(self.nodes):
                node.data = node.data[: max(1, len(node.data) - lost)]
        rest = [node for number, node in enumerate(self.nodes) if number != spared % len(self.nodes)]
        self.bootstrap(rest[0])
        self.join(rest[1])

    def play(self, event: tuple[str, int, int]) -> None:
        kind, which, amount = event
        node = self.nodes[which % len(self.nodes)]
        if kind == "write" and node.up and node.component >= 0:
            for _ in range(amount):
                number = self.fresh()
                for one in self.members(node.component):
                    one.data.append(number)
        elif kind == "crash" and node.up:
            self.leave(node, clean=False)
        elif kind == "stop" and node.up:
            self.leave(node, clean=True)
        elif kind == "cut" and node.component >= 0:
            self.cut(node)
        elif kind == "force" and node.component < 0:
            self.bootstrap(node)
        elif kind == "join":
            self.join(node)
        elif kind == "wait" and not node.up:
            # it starts and finds nobody: the mark of a stop in order is gone, and its view stays
            self.start(node)
            if amount > 1:
                self.leave(node, clean=False)
        elif kind == "abort" and not node.up:
            # a transfer into it is broken off: what it had is gone, and Galera says so in grastate.dat
            node.garbage, node.zero, node.clean, node.data = True, True, False, []
            node.view = frozenset()
        elif kind == "wipe" and not node.up:
            node.wiped, node.data, node.clean, node.view = True, [], False, frozenset()
        elif kind == "edit" and not node.up and not node.garbage:
            node.zero, node.clean = True, False  # somebody resets grastate.dat; InnoDB still knows
        elif kind == "flag" and not node.up:
            node.safe = True
        elif kind == "patient":
            node.restarts = 0
        elif kind == "power":
            self.power(which, amount)


def uuid(node: Node) -> str:
    return f"{node.uuid}-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Sight:
    """What of one member is hidden. `names` says whether views come with names."""

    server: bool = True
    files: bool = True
    recovered: bool = True
    view: bool = True


def view_of(node: Node) -> View | None:
    if not node.view:
        return None
    return View(uuid(node), node.view, frozenset(one.partition("/")[0] for one in node.view))


def member(world: World, node: Node, sight: Sight) -> MemberEvidence:
    pod = PodFacts(
        phase="Running",
        terminating=False,
        running=node.up,
        ready=node.up,
        reason="",
        restarts=node.restarts,
        uid="p",
        node="n",
    )
    server: Reading[ServerFacts] = Unread("no answer")
    files: Reading[FileFacts] = Unread("hidden")
    recovered: Reading[Recovered] = Unread("hidden")
    if node.up and sight.server:
        server = Known(facts(world, node, sight), "exec")
    elif not node.up and sight.files:
        files, recovered = files_of(node, sight)
    return MemberEvidence(
        name=node.name,
        ordinal=int(node.name[3:]),
        pod=Known(pod, "api"),
        claim=Known(ClaimFacts("Bound", "c"), "api"),
        server=server,
        files=files,
        recovered=recovered,
        volume=Known(Volume(100, 90), "df"),
    )


def files_of(node: Node, sight: Sight) -> tuple[Reading[FileFacts], Reading[Recovered]]:
    if node.wiped:
        return Absent("empty"), Absent("empty")
    at = Position(uuid(node), node.seqno)
    # gvwstate.dat is there after a crash in a component, and goes with a stop in order
    kept = view_of(node) if not node.clean and not node.garbage else None
    saved = Grastate(
        ZERO if node.zero else uuid(node),
        node.seqno if node.clean else -1,
        node.safe,
        at if node.clean else None,
    )
    files = Known(
        FileFacts(saved, kept if not node.zero else None, transfer=node.garbage, schemas=("shop",)), "files"
    )
    if not sight.recovered:
        return files, Unread("it failed")
    found = Recovered(None if node.garbage else at, view_of(node) if sight.view else None)
    if not sight.view:
        return files, Unread("its view could not be read")
    return files, Known(found, "wsrep-recover")


def facts(world: World, node: Node, sight: Sight) -> ServerFacts:
    primary = node.component >= 0
    known = not (node.garbage or node.wiped or node.zero) or primary
    return ServerFacts(
        version="11",
        uuid=uuid(node) if known else ZERO,
        seqno=node.seqno if known else -1,
        primary=primary,
        state="Synced" if primary else "Initialized",
        ready=primary,
        connected=True,
        size=len(world.members(node.component)),
        node=node.process,
        position=Position(uuid(node), node.seqno) if known else None,
        view=view_of(node) if sight.view else None,
    )


def shown(world: World, sights: Sequence[Sight]) -> Evidence:
    cluster = ClusterFacts(
        replicas=len(world.nodes),
        image="i",
        suspended=False,
        primary="db-0",
        conditions={},
        recovery_enabled=True,
        forced_pod="",
        shared_volume=False,
        secret=("s", "k"),
    )
    members = tuple(member(world, one, sight) for one, sight in zip(world.nodes, sights, strict=False))
    found = SetFacts(len(world.nodes), 0, deletes_claims=False)
    return Evidence(cluster, Known(found, "api"), Known(3, "api"), members)


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


EVENTS = st.tuples(
    st.sampled_from(
        [
            *("write",) * 5,
            *("crash", "stop", "cut", "force", "join") * 2,
            *("wait", "abort", "wipe", "edit", "flag", "patient", "power", "power"),
        ]
    ),
    st.integers(0, 4),
    st.integers(1, 3),
)
WORLDS = st.tuples(st.sampled_from([3, 3, 3, 5]), st.lists(EVENTS, max_size=16))
SEEN = (Sight(),) * 5
BLIND = st.tuples(*(st.builds(Sight, *(st.booleans() | st.just(True),) * 4) for _ in range(5)))  # noqa: FBT003
REQUESTS = st.builds(
    RepairRequest, instance=st.none() | st.integers(0, 4), force=st.booleans(), escrow=st.booleans()
)


def play(drawn: tuple[int, list[tuple[str, int, int]]]) -> World:
    world = World.of(drawn[0])
    for event in drawn[1]:
        world.play(event)
    return world


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
