"""What a repair is asked for, whom it will treat, and the acts that do it. Values only.

A repair is a list of *acts*, each declared reversible or forward-only. An act is data (a kind and its
arguments, never a secret), so that a process which did not begin it can finish it or take it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hasteward.domain.plan import Plan, Reversal, Step
from hasteward.domain.report import Remediation

#: an act of this kind takes back the reversible act whose `id` its argument ``of`` names
RELEASE = "release"
#: an act of this kind saves what a member holds into the repository and proves it
CAPTURE = "capture"


@dataclass(frozen=True, slots=True)
class RepairRequest:
    """`instance` is the member to overwrite; None asks for every member that needs it.

    `escrow` is False for ``--no-escrow``; `discard_branch` names the member whose own commits are given up
    without a capture.
    """

    instance: int | None = None
    force: bool = False
    escrow: bool = True
    discard_branch: int | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A member that the gates let through.

    `capture` says that its own branch MUST be captured and proven after its server is proven to be gone;
    `gives_up` says in words what no longer exists on it afterwards.
    """

    member: str
    ordinal: int
    remediation: Remediation
    reason: str
    capture: bool = False
    gives_up: str = ""


@dataclass(frozen=True, slots=True)
class Act:
    """One act, in the order of execution. `id` is unique within its treatment; `args` hold no secret."""

    id: str
    kind: str
    member: str
    text: str
    reversal: Reversal
    args: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Treatment:
    """Everything that is done to one member.

    `preconditions` are facts by name (a pod's UID, a timeline, a position) as they were when the plan was
    made; an act that destroys reads them again and stops when one differs.
    """

    target: Target
    acts: tuple[Act, ...]
    preconditions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RepairPlan:
    """What a repair is about to do. `waits` tells which members recover by themselves, and how."""

    treatments: tuple[Treatment, ...]
    waits: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class ActState(StrEnum):
    """How far an act has come. A dead run leaves at most one act `DOING`."""

    PENDING = "pending"
    DOING = "doing"
    DONE = "done"
    #: not possible yet; it is done when the other treatments of the run are over
    POSTPONED = "postponed"
    #: taken back as a part of going forward, by an act of kind `RELEASE`
    RELEASED = "released"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Entry:
    """An act in the journal. `memo` is what the act noted down before it began: what undo will need."""

    act: Act
    state: ActState = ActState.PENDING
    memo: Mapping[str, str] = field(default_factory=dict)

    @property
    def begun(self) -> bool:
        """Whether the world may bear its mark."""
        return self.state in {ActState.DOING, ActState.DONE}

    @property
    def over(self) -> bool:
        """Whether its treatment has nothing more to do about it; what was put off is done by the run."""
        return self.state in {ActState.DONE, ActState.RELEASED, ActState.POSTPONED}


@dataclass(frozen=True, slots=True)
class Record:
    """One treatment in the journal, as it is stored. `job` groups the snapshots of the run that began it."""

    run: str
    job: str
    target: Target
    preconditions: Mapping[str, str]
    entries: tuple[Entry, ...]

    @property
    def point_of_no_return(self) -> Entry | None:
        """The first forward-only act that may have begun: past it there is no undo, only an end."""
        return next((e for e in self.entries if e.begun and e.act.reversal is Reversal.FORWARD_ONLY), None)

    @property
    def begun(self) -> bool:
        """Whether the world may bear its mark."""
        return any(entry.begun for entry in self.entries)

    @property
    def over(self) -> bool:
        """Whether nothing is left of it, but for what was put off."""
        return all(entry.over for entry in self.entries)

    @property
    def postponed(self) -> tuple[Entry, ...]:
        """What is still to be done of a treatment that is over otherwise."""
        return tuple(entry for entry in self.entries if entry.state is ActState.POSTPONED)

    @property
    def forward(self) -> bool:
        """Whether a process that finds it goes on with it; else it takes it back, and begins afresh."""
        return self.over or self.point_of_no_return is not None


def words(
    title: str, repair: RepairPlan, *, before: tuple[Step, ...] = (), after: tuple[Step, ...] = ()
) -> Plan:
    """The plan as it is shown and agreed to; `before` are the steps of the escrow."""
    steps = list(before)
    for treatment in repair.treatments:
        steps += [Step(act.text, act.reversal) for act in treatment.acts]
    reasons = tuple(
        f"{t.target.member}: {t.target.remediation}, because {t.target.reason}" for t in repair.treatments
    )
    return Plan(
        title=title,
        steps=(*steps, *after),
        gives_up=tuple(t.target.gives_up for t in repair.treatments if t.target.gives_up),
        notes=(*reasons, *repair.waits, *repair.notes),
    )
