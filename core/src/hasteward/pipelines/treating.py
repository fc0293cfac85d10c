"""Treats members by a journal: forward, back, and what a dead run left. `repair` decides whom, and why.

The journal is there from before the first act until every treatment of the run has ended. What is found in it
is finished where it only goes forward, and taken back where it has not come so far.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

from hasteward.domain.capability import Capability
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError, Refused, RunFailed
from hasteward.domain.events import StepDone, Warned
from hasteward.domain.plan import Plan, Reversal, Step
from hasteward.domain.repair import Act, Entry, Record, RepairPlan, RepairRequest, Target, Treatment
from hasteward.kit.journal import StoredJournal, StoredTreatment, start, unfinished
from hasteward.pipelines.escrow import Escrow
from hasteward.pipelines.gates import flags
from hasteward.pipelines.leased import leased_on_approval
from hasteward.plugins import Engine
from hasteward.ports.context import Direction, EngineContext, Order
from hasteward.ports.repository import Repository


@dataclass(slots=True)
class Job:
    """One invocation."""

    engine: Engine
    context: EngineContext
    cluster: ClusterRef
    repository: Repository | None
    request: RepairRequest
    escrow: Escrow = field(init=False)

    def __post_init__(self) -> None:
        self.escrow = Escrow(self.engine, self.context, self.cluster, self.repository)

    def under(self, context: EngineContext) -> None:
        """From now on the Lease is held."""
        self.context = self.escrow.context = context


def treat(job: Job, plan: RepairPlan, carried: StoredJournal | None) -> StoredJournal:
    """One treatment after the other, and then what had to wait for all of them.

    `carried` is the journal of an earlier run, of which only that is left which waited.
    """
    new = tuple(recorded(job, treatment) for treatment in plan.treatments)
    late = () if carried is None else tuple(record for record in carried.records if record.postponed)
    if carried is None:
        journal = start(job.context, job.cluster, new)
    else:
        journal = carried
        journal.under(job.context)
        journal.set((*late, *new))
    for place in range(len(late), len(journal.records)):
        _treat(job, journal, place)
    for place, record in enumerate(journal.records):
        if record.postponed:
            _finish(job, journal.treatment(place))
    return journal


def _finish(job: Job, treatment: StoredTreatment) -> None:
    """What was put off, now that everybody is treated."""
    try:
        heal(job, treatment, Direction.FORWARD)
    except (HastewardError, KeyboardInterrupt) as error:
        goes_on(job, f"the repair of {treatment.record.target.member} is not through", error)
        raise


def end(job: Job, journal: StoredJournal) -> None:
    """Remove the journal, unless something of ours is left that cannot be taken away now."""
    late = [entry.act for record in journal.records for entry in record.postponed]
    left = [act.text for act in late if act.reversal is not Reversal.READ_ONLY]
    if not left:
        journal.remove()
        return
    hint = f"go on with: hasteward repair {flags(job.cluster)}"
    text = f"still to be done: {'; '.join(left)}"
    job.context.reporter.emit(Warned("repair.unfinished", f"{text}; {hint}"))


def late_steps(journal: StoredJournal | None) -> tuple[Step, ...]:
    """What an earlier run could not do yet, in words."""
    records = () if journal is None else journal.records
    acts = [entry.act for record in records for entry in record.postponed]
    return tuple(Step(act.text, act.reversal) for act in acts)


def recorded(job: Job, treatment: Treatment) -> Record:
    """As it stands in the journal before it begins."""
    entries = tuple(Entry(act) for act in treatment.acts)
    run = job.context.run
    return Record(run.id, run.job, treatment.target, treatment.preconditions, entries)


def heal(job: Job, treatment: StoredTreatment, direction: Direction) -> None:
    """Have the engine walk the acts of a treatment; RunFailed if it stops short without an error."""
    job.engine.require(Capability.HEAL).heal(
        context=job.context,
        cluster=job.cluster,
        order=Order(journal=treatment, captures=job.escrow, direction=direction),
    )
    done = sum(entry.over for entry in treatment.record.entries)
    total = len(treatment.record.entries)
    if direction is Direction.FORWARD and done < total:
        raise RunFailed(
            f"the engine stopped after {done} of {total} acts without an error", code="heal.short"
        )


def _treat(job: Job, journal: StoredJournal, place: int) -> None:
    """Forward; on any error back, where there still is a way back."""
    treatment = journal.treatment(place)
    member = treatment.record.target.member
    try:
        heal(job, treatment, Direction.FORWARD)
    except (HastewardError, KeyboardInterrupt) as error:
        barrier = treatment.record.point_of_no_return
        if barrier is not None:
            text = f"the repair of {member} has passed the point of no return ({barrier.act.text})"
            goes_on(job, text, error)
            raise
        _take_back(job, treatment)
        job.context.reporter.emit(StepDone("undo", f"everything done to {member} was taken back"))
        if journal.point_of_no_return is None:
            journal.remove()
            raise
        goes_on(job, f"{member} is as it was, and others of this run have been treated", error)
        raise


def goes_on(job: Job, text: str, error: BaseException) -> None:
    """Say what ends the run; an error of ours says so too."""
    hint = f"finish it: hasteward repair {flags(job.cluster)}"
    job.context.reporter.emit(Warned("repair.unfinished", f"{text}; {hint}"))
    if isinstance(error, HastewardError):
        raise RunFailed(f"{error.message}; {text}", hint=hint, code="repair.unfinished") from error


def _take_back(job: Job, treatment: StoredTreatment) -> None:
    """All of it, or the command that goes on with it."""
    try:
        heal(job, treatment, Direction.BACK)
    except (HastewardError, KeyboardInterrupt):
        text = f"what was done to {treatment.record.target.member} is not taken back yet"
        hint = f"hasteward {'undo' if treatment.stored.point_of_no_return is None else 'repair'}"
        job.context.reporter.emit(
            Warned("undo.unfinished", f"{text}; go on with: {hint} {flags(job.cluster)}")
        )
        raise


def take_back(job: Job, journal: StoredJournal) -> None:
    """Whatever was begun, the last first. Nothing has passed its point of no return."""
    for place in reversed(range(len(journal.records))):
        if journal.records[place].begun:
            _take_back(job, journal.treatment(place))


# --- what a dead run left ---------------------------------------------------------------------------------


def leftover_plan(cluster: ClusterRef, journal: StoredJournal, *, only_back: bool = False) -> Plan:
    """In words, what finishing a dead run's treatments, or taking them back, will do."""
    where = f"{cluster.namespace}/{cluster.name}"
    back: list[Act] = []
    on: list[Act] = []
    for record in journal.records:
        if record.forward and not only_back:
            on += [one.act for one in record.entries if not one.over]
        else:
            acts = [one.act for one in record.entries if one.begun]
            back = [act for act in reversed(acts) if act.reversal is Reversal.REVERSIBLE] + back
    members = ", ".join(dict.fromkeys(one.target.member for one in journal.records if one.begun))
    verb = "finish" if on else "take back"
    steps = [
        *(Step(f"take back: {act.text}", Reversal.REVERSIBLE) for act in back),
        *(Step(act.text, act.reversal) for act in on),
    ]
    return Plan(f"{verb} what run {journal.run} began on {members} of {where}", tuple(steps))


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a dead run's treatments. `treated` are those that were brought to their end.

    `journal` is None unless something in it has to wait until other members are treated.
    """

    agreed: bool
    treated: tuple[Target, ...] = ()
    journal: StoredJournal | None = None


def settle(job: Job, journal: StoredJournal) -> Settled:
    """Finish a dead run's treatments, or take them back; what was never begun is planned afresh."""
    plan = leftover_plan(job.cluster, journal)
    late = any(record.postponed for record in journal.records)
    if late and not plan.steps:
        return Settled(agreed=True, journal=journal)
    with contextlib.ExitStack() as stack:
        job.under(leased_on_approval(job.context, job.cluster, stack))
        if not job.context.approve(plan):
            return Settled(agreed=False)
        journal = same(job, journal)
        treated = tuple(record.target for record in journal.records if record.forward)
        for place, record in enumerate(journal.records):
            if record.begun and not record.forward:
                _take_back(job, journal.treatment(place))
        for place, record in enumerate(journal.records):
            if record.forward and not record.over:
                heal(job, journal.treatment(place), Direction.FORWARD)
        if any(record.postponed for record in journal.records):
            return Settled(agreed=True, treated=treated, journal=journal)
        journal.remove()
    return Settled(agreed=True, treated=treated)


def same(job: Job, journal: StoredJournal) -> StoredJournal:
    """The journal again, now that the Lease is held; Refused when its own run was alive and went on."""
    again = unfinished(job.context, job.cluster)
    if again is None or again.records != journal.records:
        raise Refused(
            f"the repair of {job.cluster} by run {journal.run} went on meanwhile",
            hint=f"hasteward triage {flags(job.cluster)}",
            code="journal.changed",
        )
    return again
