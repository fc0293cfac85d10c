"""PostgreSQL clusters that know every member's true log, and what triage would read of them.

The model plays: writes, log without commits, replication up to some point, promotions (also of two members
apart, who then give their timelines the same number), a volume that is lost, a status that names somebody
else. What is shown is made from the true logs, some of it hidden, and beside it stands what may lie: whether
pods are ready and containers run, what logs say, slots, fences, whom the status lists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

from hasteward.domain.reading import Absent, Known, Reading, Unread
from hasteward.domain.repair import RepairRequest
from hasteward.domain.report import Authority
from hasteward_cnpg.analyse.authority import leader_of, needs_comparison
from hasteward_cnpg.evidence import (
    ClaimState,
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
    Slot,
    Tally,
    Trouble,
)
from hasteward_cnpg.facts.names import slot_name

NAMES = ("pg-1", "pg-2", "pg-3")
STEP = 10
Event = tuple[str, str, str, int]


@dataclass
class Log:
    """One member: records are (timeline, id, commit?); equal prefixes are equal logs."""

    records: list[tuple[int, int, bool]] = field(default_factory=list)
    timeline: int = 1
    forks: list[Fork] = field(default_factory=list)
    writer: bool = False
    #: its volume is lost, and all it held
    gone: bool = False

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

    def play(self, event: Event) -> None:
        kind, name, other, amount = event
        if kind in {"write", "noise"}:
            name = self._whichever(name, writes=True)
        elif kind == "replicate":
            name = self._whichever(name, writes=False)
        log, source = self.logs[name], self.logs[other]
        if kind == "lose" and name != self.named:
            self.logs[name] = Log(gone=True)
            self.follows.pop(name, None)
        elif kind == "name" and not log.gone:
            self.named = name
        elif log.gone or source.gone:
            return
        elif kind in {"write", "noise"} and log.writer:
            for _ in range(amount):
                self.number += 1
                log.records.append((log.timeline, self.number, kind == "write"))
        elif kind == "replicate" and not log.writer and name != other:
            self._replicate(name, other, amount)
        elif kind == "promote" and not log.writer:
            log.forks.append(Fork(log.timeline, log.end))
            log.timeline += 1
            log.writer = True
            self.follows.pop(name, None)
            self.number += 1
            log.records.append((log.timeline, self.number, False))  # the end-of-recovery record

    def _whichever(self, name: str, *, writes: bool) -> str:
        """The member, or another one that can: else most of what is drawn would do nothing."""
        able = [one for one in (name, *NAMES) if self.logs[one].writer is writes and not self.logs[one].gone]
        return able[0] if able else name

    def _replicate(self, name: str, other: str, amount: int) -> None:
        """A standby takes on what continues its own log."""
        log, source = self.logs[name], self.logs[other]
        if source.records[: len(log.records)] != log.records:
            return
        log.records = source.records[: len(log.records) + amount * 2]
        at = len(log.records) * STEP
        log.forks = [fork for fork in source.forks if fork.at.position <= at]
        left = [fork for fork in source.forks if fork.at.position > at]
        log.timeline = left[0].timeline if left else source.timeline
        self.follows[name] = other

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


def played(events: Sequence[Event]) -> World:
    world = start()
    for event in events:
        world.play(event)
    return world


# --- what is drawn ----------------------------------------------------------------------------------------

KINDS = (*["write"] * 4, *["noise"] * 2, *["replicate"] * 5, *["promote"] * 3, "name", "lose")

#: a cluster as most are, before anything happens to it
BEGINNING: tuple[Event, ...] = (
    ("write", "pg-1", "pg-1", 2),
    ("replicate", "pg-2", "pg-1", 2),
    ("replicate", "pg-3", "pg-1", 2),
)

POD = PodFacts(
    "Running", terminating=False, container=ContainerState.RUNNING, reason="", ready=True, restarts=0
)
#: how a pod is told to be: true, or not; a server is asked where its container is said to run
PODS: tuple[Reading[PodFacts], ...] = (
    Known(POD, "pods"),
    Known(replace(POD, ready=False), "pods"),
    Known(replace(POD, ready=False, restarts=7, age=3.0), "pods"),
    Known(replace(POD, terminating=True), "pods"),
    Unread("the list of pods timed out"),
    Known(
        replace(POD, container=ContainerState.WAITING, reason="CrashLoopBackOff", ready=False, restarts=7),
        "pods",
    ),
    Known(replace(POD, container=ContainerState.TERMINATED, ready=False), "pods"),
    Absent("there is no such pod"),
)
SILENT = PODS[5:]
TROUBLES: tuple[frozenset[Trouble], ...] = (
    frozenset(),
    frozenset(),
    *(frozenset({one}) for one in Trouble),
    frozenset(Trouble),
)
#: a slot as the primary tells of it: none, with all the log that is needed, past the member's end, lost
SLOTS = ("none", "kept", "ahead", "lost")


@dataclass(frozen=True)
class Sight:
    """How one member is seen, what may lie about it, and what is hidden; `open` is the same, unhidden."""

    running: bool = True
    streaming: bool = True
    hidden: bool = False
    tally: bool = True
    mark: bool = True
    claim: bool = True
    pod: Reading[PodFacts] = PODS[0]
    troubles: frozenset[Trouble] = frozenset()
    slot: str = "kept"
    listed: bool = True
    fenced: bool = False

    @property
    def open(self) -> Sight:
        return replace(self, hidden=False, tally=True, mark=True, claim=True)


@dataclass(frozen=True)
class Drawn:
    """A cluster and how it is seen; `later` happens between the look and the first act."""

    events: tuple[Event, ...]
    later: tuple[Event, ...]
    sights: tuple[Sight, ...]
    request: RepairRequest
    #: whom the status names as the primary to be; "" for the one that is
    target: str = ""
    paused: bool = False


class Dice:
    """A number, taken apart: many small draws out of a single one of Hypothesis, which is slow at many."""

    def __init__(self, number: int) -> None:
        self._left = number

    def below(self, limit: int) -> int:
        """0 to `limit` - 1; with the dice used up, 0."""
        self._left, found = divmod(self._left, limit)
        return found

    def seldom(self) -> bool:
        return self.below(12) == 7

    def event(self) -> Event:
        kind, name, other = self.below(len(KINDS)), self.below(3), self.below(3)
        return KINDS[kind], NAMES[name], NAMES[other], 1 + self.below(3)

    def sight(self) -> Sight:
        """Most members are seen whole and nobody lies of them: else nearly no cluster would be."""
        seen = Sight(running=self.below(4) > 0, streaming=self.below(3) > 0)
        if self.below(3):
            return seen
        return replace(
            seen,
            hidden=self.seldom(),
            tally=not self.seldom(),
            mark=not self.seldom(),
            claim=not self.seldom(),
            pod=PODS[self.below(len(PODS))],
            troubles=TROUBLES[self.below(len(TROUBLES))],
            slot=SLOTS[self.below(len(SLOTS))],
            listed=not self.seldom(),
            fenced=self.seldom(),
        )


def drawn_from(data: bytes) -> Drawn:
    dice = Dice(int.from_bytes(data))
    events = (*BEGINNING[: dice.below(len(BEGINNING) + 1)], *(dice.event() for _ in range(dice.below(11))))
    request = RepairRequest(
        instance=(None, None, 1, 2, 3)[dice.below(5)],
        force=bool(dice.below(2)),
        escrow=dice.below(5) > 0,
        discard_branch=(1, 2, 3)[dice.below(3)] if dice.seldom() else None,
    )
    return Drawn(
        events,
        tuple(dice.event() for _ in range(dice.below(5))),
        (dice.sight(), dice.sight(), dice.sight()),
        request,
        target=NAMES[dice.below(3)] if dice.seldom() else "",
        paused=dice.seldom(),
    )


#: of bytes every one is drawn alike (of a large number Hypothesis mostly draws the low digits)
DATA = st.binary(min_size=48, max_size=48)
DRAWN = DATA.map(drawn_from)


# --- what is shown ----------------------------------------------------------------------------------------


def shown(
    world: World, sights: Sequence[Sight], *, target: str = "", paused: bool = False, whom: str = ""
) -> Evidence:
    """What triage would have read; with `whom`, what is read once more of that member and the primary."""
    by_name = dict(zip(NAMES, sights, strict=True))
    names = [name for name in NAMES if not whom or name in {whom, world.named}]
    members = tuple(member(world, name, by_name) for name in names)
    cluster = ClusterFacts(
        instances=3,
        instance_names=tuple(name for name in NAMES if by_name[name].listed) or (world.named,),
        current_primary=world.named,
        target_primary=target or world.named,
        phase="",
        fenced=frozenset(name for name in NAMES if by_name[name].fenced),
        fence_note="",
        hibernated=False,
        reconciliation_off=paused,
    )
    evidence = Evidence(Known(cluster, "api"), Known(3, "api"), members)
    for other in (lambda seen: seen.member(world.named), leader_of):
        found = other(evidence)
        if found is not None:
            compared = tuple(compare_shown(world, one, found, by_name) for one in evidence.members)
            evidence = replace(evidence, members=compared)
    return evidence


def member(world: World, name: str, sights: Mapping[str, Sight]) -> MemberEvidence:
    log, sight = world.logs[name], sights[name]
    server: Reading[ServerFacts] = Unread("it is down")
    files: Reading[FileFacts] = Unread("hidden")
    claim: Reading[ClaimState] = Known(ClaimState.BOUND, "claims")
    if log.gone:
        claim, files = Known(ClaimState.LOST, "claims"), Unread("its volume is lost")
        if name in world.follows or not sight.running:
            claim, files = Absent("there is no claim"), Absent("there is no claim")
    if not sight.claim:
        claim = Unread("the list of claims timed out")
    if log.gone:
        files = files if sight.claim else Unread("the list of claims timed out")
    elif sight.hidden:
        pass
    elif sight.running and sight.pod not in SILENT:
        server = Known(server_of(world, name, sights), "psql")
    elif sight.claim:
        state = "in production" if log.writer else "in archive recovery"
        control = ControlFacts("7", state, log.timeline, Lsn(0), Lsn(0), 16)
        files = Known(FileFacts(control, log.position), "files")
    return MemberEvidence(
        name,
        named=sight.listed,
        pod=sight.pod,
        server=server,
        claim=claim,
        files=files,
        troubles=sight.troubles,
    )


def server_of(world: World, name: str, sights: Mapping[str, Sight]) -> ServerFacts:
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
        slots=tuple(slot for one in NAMES for slot in slots_of(world, one, sights[one].slot)),
        databases=(),
        ancestors=tuple(log.forks),
    )


def slots_of(world: World, name: str, kind: str) -> tuple[Slot, ...]:
    """What the primary keeps for a member; it may say anything, and nothing is proven by it."""
    if kind == "none":
        return ()
    restart = Lsn(world.logs[name].end.position + (STEP if kind == "ahead" else 0))
    status = "lost" if kind == "lost" else "reserved"
    return (Slot(slot_name(name), "physical", active=False, restart=restart, database="", wal_status=status),)


def compare_shown(
    world: World, one: MemberEvidence, reference: MemberEvidence, sights: Mapping[str, Sight]
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
