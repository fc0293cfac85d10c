"""Raft clusters whose truth is hidden from the engine: what it plans never loses an acknowledged entry.

A cluster is drawn with its truth: who lives, who sees whom, who really leads, who only believes to, who was
taken out and may hold what nobody else has. The evidence is what such a cluster shows, some of it unread.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vault_kit import CLUSTER

from hasteward.domain.errors import Refused
from hasteward.domain.reading import Absent, Known, Unread
from hasteward.domain.repair import RepairPlan, RepairRequest
from hasteward.domain.report import Authority
from hasteward.pipelines.gates import Decision, decide
from hasteward_vault.analyse import analyse
from hasteward_vault.diagnose import report
from hasteward_vault.evidence import (
    Evidence,
    MemberEvidence,
    Peer,
    PodFacts,
    Raft,
    SetFacts,
    Status,
    Volume,
    Watched,
)
from hasteward_vault.plan import Kind, repair_plan


@dataclass(frozen=True)
class Node:
    """The truth about one server."""

    name: str
    alive: bool
    side: int
    sealed: bool
    #: a voter, or one that was taken out and may hold entries of its own
    voter: bool
    #: believes to lead although it lost its majority
    deluded: bool
    readable: bool
    applied: int


@dataclass(frozen=True)
class Truth:
    """The truth about a cluster. `dead` are voters whose pods are gone for good."""

    nodes: tuple[Node, ...]
    dead: tuple[str, ...]
    #: peers outside of the set that live and are heard of
    outside: tuple[str, ...]
    autopilot: bool

    @property
    def voters(self) -> list[str]:
        return [node.name for node in self.nodes if node.voter] + [*self.dead, *self.outside]

    def works(self, node: Node) -> bool:
        return node.voter and node.alive and not node.sealed

    def side(self, side: int) -> list[Node]:
        return [node for node in self.nodes if self.works(node) and node.side == side]

    @property
    def leader(self) -> Node | None:
        """Who really leads: one of a side that is a majority of all voters (who is outside is on side 0)."""
        for side in (0, 1):
            there = self.side(side)
            count = len(there) + (len(self.outside) if side == 0 else 0)
            if there and count >= len(self.voters) // 2 + 1:
                return max(there, key=lambda node: (node.applied, node.name))
        return None


@st.composite
def truths(draw: st.DrawFn) -> Truth:
    count = draw(st.sampled_from([3, 5]))
    nodes = tuple(
        Node(
            name=f"bao-{number}",
            alive=draw(st.booleans()) or draw(st.booleans()),
            side=int(draw(st.integers(0, 3)) == 0),
            sealed=draw(st.integers(0, 4)) == 0,
            voter=draw(st.integers(0, 4)) > 0,
            deluded=draw(st.integers(0, 3)) == 0,
            readable=draw(st.integers(0, 4)) > 0,
            applied=draw(st.integers(40, 60)),
        )
        for number in range(count)
    )
    dead = ("bao-8",) if draw(st.integers(0, 2)) == 0 else ()
    outside = ("elsewhere",) if draw(st.integers(0, 4)) == 0 else ()
    return Truth(nodes, dead, outside, draw(st.integers(0, 4)) > 0)


def status(truth: Truth, node: Node) -> Status:
    leader = truth.leader
    follows = leader.name if leader is not None and leader.side == node.side and node.voter else ""
    active = node is leader or (node.deluded and (leader is None or leader.side != node.side) and node.voter)
    if active:
        follows = node.name
    return Status(
        initialized=True,
        sealed=node.sealed,
        version="2",
        storage="raft",
        seal="shamir",
        shares=1,
        threshold=1,
        cluster_id="" if node.sealed else "c",
        active=active and not node.sealed,
        active_since="t" if active else "",
        leader_cluster_address=follows,
        committed=None if node.sealed else node.applied,
        applied=None if node.sealed else node.applied,
    )


def raft(truth: Truth, node: Node) -> Raft:
    """The leader's view is true; a deluded one remembers that all was well."""
    leads = node is truth.leader
    peers = tuple(
        Peer(name, f"{name}.x:8201", voter=True, leader=leads and name == node.name) for name in truth.voters
    )
    near = {other.name for other in truth.nodes if truth.works(other) and other.side == node.side}
    near |= set(truth.outside) if node.side == 0 else set()
    watched = tuple(
        Watched(
            name,
            healthy=name in near or not leads,
            alive=True,
            contact=0.1 if name in near or not leads else 900.0,
            term=3,
            index=50,
            version="2",
        )
        for name in truth.voters
    )
    return Raft(peers, Known(watched, "a") if truth.autopilot else Unread("403"), Unread("403"))


def evidence(truth: Truth) -> Evidence:
    members = []
    for number, node in enumerate(truth.nodes):
        pod = PodFacts(
            "Running", terminating=False, running=node.alive, reason="", restarts=0, address="", uid="u"
        )
        unread = Unread("no answer")
        member = MemberEvidence(
            node.name, number, Known(pod, "api"), unread, unread, Absent("it does not claim to lead")
        )
        if node.alive and node.readable:
            said = status(truth, node)
            volume = Known(Volume(100, 90), "df")
            member = replace(member, status=Known(said, "exec"), volume=volume)
            if said.active:
                member = replace(member, raft=Known(raft(truth, node), "exec"))
        members.append(member)
    facts = SetFacts("bao", len(truth.nodes), {}, "openbao", "/data", "data")
    return Evidence(facts, Known(len(members), "api"), tuple(members))


def planned(shown: Evidence, request: RepairRequest) -> RepairPlan:
    """What the pipeline would do; nothing when a gate or the engine refuses."""
    found = report(CLUSTER, shown)
    decision = decide(found, request)
    if not isinstance(decision, Decision):
        return RepairPlan(())
    try:
        return repair_plan(CLUSTER, shown, analyse(shown), decision.targets)
    except Refused:
        return RepairPlan(())


requests = st.builds(
    RepairRequest,
    instance=st.none() | st.integers(0, 8),
    force=st.booleans(),
    escrow=st.booleans(),
)


def check(truth: Truth, request: RepairRequest) -> None:
    shown = evidence(truth)
    plan = planned(shown, request)
    leader = truth.leader
    if analyse(shown).authority is Authority.PROVABLE:
        assert leader is not None
        assert analyse(shown).leader == leader.name, "nobody else is ever taken for the leader"
    if not plan.treatments:
        return
    assert leader is not None, "without a leader nothing is treated, force or not"
    voters = set(truth.voters)
    working = {node.name for node in truth.side(leader.side)}
    working |= set(truth.outside) if leader.side == 0 else set()
    for treatment in plan.treatments:
        name = treatment.target.member
        kinds = [act.kind for act in treatment.acts]
        assert name != leader.name, "who holds everything is never overwritten nor stopped"
        for act in treatment.acts:
            if act.kind == Kind.REMOVE_PEER:
                removed = act.args["peer"]
                assert removed not in truth.outside, "who is heard of is never taken out as dead"
                voters.discard(removed)
                working.discard(removed)
        if Kind.RESTART in kinds:
            assert name not in working, "who follows is not stopped"
        if Kind.WIPE in kinds:
            node = next(node for node in truth.nodes if node.name == name)
            alone = not node.voter
            assert not alone or kinds.index(Kind.CAPTURE) < kinds.index(Kind.WIPE), (
                "captured before it is lost"
            )
            assert not alone or request.escrow
        assert len(voters & working) >= len(voters) // 2 + 1, "a majority is left after every step"


@settings(max_examples=2000, deadline=None)
@given(truths(), requests)
def test_no_plan_loses_an_acknowledged_entry(truth: Truth, request: RepairRequest) -> None:
    check(truth, request)


@pytest.mark.long
@pytest.mark.timeout(1800)
@settings(max_examples=100_000, deadline=None)
@given(truths(), requests)
def test_no_plan_of_a_hundred_thousand_loses_an_acknowledged_entry(
    truth: Truth, request: RepairRequest
) -> None:
    check(truth, request)


@settings(max_examples=500, deadline=None)
@given(truths(), requests, st.integers(0, 4))
def test_hiding_a_member_never_makes_a_plan_bolder(truth: Truth, request: RepairRequest, hidden: int) -> None:
    """Whoever is treated with less known was treated with more known too.

    Not where escrow is declined: then a stray that is seen, and would be lost, stops the whole run, also for
    members that it is not about.
    """
    less = replace(
        truth,
        nodes=tuple(
            replace(node, readable=node.readable and number != hidden)
            for number, node in enumerate(truth.nodes)
        ),
    )
    bold = {t.target.member for t in planned(evidence(less), request).treatments}
    full = {t.target.member for t in planned(evidence(truth), request).treatments}
    if request.escrow and not request.force:
        assert bold <= full
    check(less, request)


def test_the_model_does_plan_something() -> None:
    """A model in which nothing is ever done would prove nothing."""
    whole = Truth(
        tuple(
            Node(
                f"bao-{n}",
                alive=True,
                side=0,
                sealed=False,
                voter=n < 2,
                deluded=False,
                readable=True,
                applied=50,
            )
            for n in range(3)
        ),
        ("bao-8",),
        ("elsewhere",),
        autopilot=True,
    )
    plan = planned(evidence(whole), RepairRequest())

    assert [treatment.target.member for treatment in plan.treatments] == ["bao-2", "bao-8"]
