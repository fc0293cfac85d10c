# ruff: noqa: C901, PLR0912  a model of what happens to a cluster is a list of what can happen
"""Histories of Galera clusters, with their truth: what every member really holds.

The model plays: writes, crashes, stops in order, partitions, a power failure, somebody who forces a minority
to go on or starts a cluster from the wrong member, members that come back by IST or SST, transfers that are
never finished. Every transaction has a number of its own, so what a member really holds is known; (UUID,
seqno), views and files are what Galera makes of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st

from hasteward.domain.reading import Absent, Known, Reading, Unread
from hasteward.domain.repair import RepairRequest
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
from hasteward_galera.resources import ZERO


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
