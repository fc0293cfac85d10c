"""Repair: triage, gates, plan, escrow, and then one treatment after the other, each with its journal.

Killed at any moment, a run leaves the cluster as it was, or healed, or with a journal in it: then the next
`repair` finishes what cannot be taken back, or takes back the rest and begins afresh; `hasteward undo` takes
back alone.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace

from hasteward.domain.capability import Capability
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError, InvalidInput, Refused, RunFailed
from hasteward.domain.events import PhaseStarted, StepDone, Warned
from hasteward.domain.plan import Plan, Reversal, Step
from hasteward.domain.repair import (
    CAPTURE,
    ActState,
    Entry,
    Record,
    RepairPlan,
    RepairRequest,
    Target,
    Treatment,
    words,
)
from hasteward.domain.report import Authority, TriageReport
from hasteward.kit.helperpod import end_helper, left_helpers
from hasteward.kit.journal import StoredJournal, start, unfinished
from hasteward.pipelines import escrow
from hasteward.pipelines.escrow import Escrow
from hasteward.pipelines.gates import Refusal, Rule, decide, flags
from hasteward.pipelines.leased import leased_on_approval
from hasteward.plugins import Engine
from hasteward.ports.context import Depth, Direction, EngineContext, Order
from hasteward.ports.repository import Repository


@dataclass(frozen=True, slots=True)
class RepairResult:
    """What became of it. `before` and `after` are the reports; `after` is None when nothing was done.

    `settled` is the id of a dead run whose treatment was finished or taken back first.
    """

    before: TriageReport | None
    after: TriageReport | None
    treated: tuple[Target, ...] = ()
    skipped: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    snapshots: tuple[str, ...] = ()
    settled: str = ""
    dry_run: bool = False


@dataclass(slots=True)
class _Job:
    """One invocation, for the functions below."""

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


def repair(
    engine: Engine,
    context: EngineContext,
    cluster: ClusterRef,
    repository: Repository | None,
    request: RepairRequest,
) -> RepairResult:
    """Repair `cluster`. `repository` is None only with ``--no-escrow``.

    An engine that plans and does not heal shows its plan; it is refused when the plan is agreed to.
    """
    for capability in (Capability.TRIAGE, Capability.PLAN):
        engine.require(capability)
    if repository is not None:
        repository.open()
    context = replace(context, depth=max(context.depth, Depth.DEEP))
    job = _Job(engine, context, cluster, repository, request)
    left = unfinished(context, cluster)
    settled = ""
    if left is not None:
        if not _settle(job, left):
            return RepairResult(None, None, dry_run=True)
        settled, done = left.record.run, left.record.target
        job = _Job(engine, context, cluster, repository, request)
        if _direction(left.record) is Direction.FORWARD and request.instance == done.ordinal:
            # the member that was asked for has been treated just now; once more would be once too often
            return RepairResult(None, _triage(job), treated=(done,), settled=settled)
    return replace(_afresh(job), settled=settled)


def _triage(job: _Job) -> TriageReport:
    job.context.reporter.emit(PhaseStarted("triage", f"reading {job.cluster}"))
    return job.engine.require(Capability.TRIAGE).triage(context=job.context, cluster=job.cluster)


def _afresh(job: _Job) -> RepairResult:
    with contextlib.ExitStack() as stack:
        job.under(leased_on_approval(job.context, job.cluster, stack))
        before = _triage(job)
        decision = decide(before, job.request)
        if isinstance(decision, Refusal):
            raise refused(decision)
        result = RepairResult(before, None, skipped=decision.skipped, waiting=decision.waiting)
        left = left_helpers(job.context, job.cluster)
        if not decision.targets:
            return result if _swept(job.context, job.cluster, left) else replace(result, dry_run=True)
        plan = job.engine.require(Capability.PLAN).plan(
            context=job.context, cluster=job.cluster, report=before, targets=decision.targets
        )
        _hold_to(plan, decision.targets)
        first = escrow.steps(job.engine, job.cluster, decision.targets, wanted=job.request.escrow)
        plan = replace(plan, waits=(*plan.waits, *decision.waiting))
        title = f"repair {job.cluster.namespace}/{job.cluster.name}"
        if not job.context.approve(words(title, plan, before=first)):
            return replace(result, dry_run=True)
        job.engine.require(Capability.HEAL)
        _sweep(job.context, job.cluster, left)
        _save_first(job, before, decision.targets, wanted=bool(first))
        after = _treat_all(job, plan)
    return replace(result, after=after, treated=decision.targets, snapshots=tuple(job.escrow.snapshots))


def _swept(context: EngineContext, cluster: ClusterRef, left: list[str]) -> bool:
    """Take away the helper pods that dead runs left, if that is agreed to; True when none is left."""
    if not left:
        return True
    steps = tuple(
        Step(f"delete helper pod {name}, which another run left", Reversal.READ_ONLY) for name in left
    )
    if not context.approve(Plan(f"tidy up after dead runs on {cluster.namespace}/{cluster.name}", steps)):
        return False
    _sweep(context, cluster, left)
    return True


def _sweep(context: EngineContext, cluster: ClusterRef, left: list[str]) -> None:
    """Those of a look that goes on at this moment too: it will read less, and say so."""
    for name in left:
        end_helper(context, cluster.namespace, name)
        context.reporter.emit(StepDone("helper", f"deleted helper pod {name}, which another run left"))


def refused(refusal: Refusal) -> HastewardError:
    """A closed gate as the error that the person reads."""
    kind = InvalidInput if refusal.rule is Rule.UNKNOWN_MEMBER else Refused
    return kind(refusal.message, hint=refusal.hint, code=f"gate.{refusal.rule}")


def _hold_to(plan: RepairPlan, targets: tuple[Target, ...]) -> None:
    """An engine's plan is held to what the gates let through: nobody else, and captures before any loss."""
    if tuple(treatment.target for treatment in plan.treatments) != targets:
        raise RunFailed(
            "the engine's plan is not about the members that the gates let through", code="plan.other"
        )
    for treatment in plan.treatments:
        acts = treatment.acts
        losses = [place for place, act in enumerate(acts) if act.reversal is Reversal.FORWARD_ONLY]
        captures = [place for place, act in enumerate(acts) if act.kind == CAPTURE]
        if treatment.target.capture and (not captures or (losses and losses[0] < captures[0])):
            raise RunFailed(
                f"the engine's plan would overwrite {treatment.target.member} before its branch is captured",
                code="plan.no_capture",
            )


def _save_first(job: _Job, report: TriageReport, targets: tuple[Target, ...], *, wanted: bool) -> None:
    if not wanted:
        if not job.request.escrow:
            job.context.reporter.emit(
                Warned("escrow.none", "nothing is saved before the repair (--no-escrow)")
            )
        return
    job.escrow.cluster_dump(_branch_kept(report, targets))
    for target in targets:
        if target.capture:
            job.escrow.diverged_dump(target)


def _branch_kept(report: TriageReport, targets: tuple[Target, ...]) -> int | None:
    """Whom a backup of a diverged cluster is read from: the person has said which branch is given up."""
    if report.authority is not Authority.DIVERGED:
        return None
    given_up = {target.member for target in targets}
    kept = [name for name in report.donors if name not in given_up]
    return next((one.ordinal for one in report.assessments if one.member in kept), None)


def _treat_all(job: _Job, plan: RepairPlan) -> TriageReport:
    """One treatment after the other; the last journal goes only after the final triage."""
    *earlier, final = plan.treatments
    for treatment in earlier:
        _one(job, treatment).remove()
    journal = _one(job, final)
    after = _triage(job)
    journal.remove()
    return after


def _one(job: _Job, treatment: Treatment) -> StoredJournal:
    journal = start(job.context, job.cluster, _record(job, treatment))
    _treat(job, journal)
    return journal


def _record(job: _Job, treatment: Treatment) -> Record:
    entries = tuple(Entry(act) for act in treatment.acts)
    run = job.context.run
    return Record(run.id, run.job, treatment.target, treatment.preconditions, entries)


def _heal(job: _Job, journal: StoredJournal, direction: Direction) -> None:
    job.engine.require(Capability.HEAL).heal(
        context=job.context,
        cluster=job.cluster,
        order=Order(journal=journal, captures=job.escrow, direction=direction),
    )
    if direction is Direction.FORWARD and not journal.record.finished:
        done = sum(entry.state in {ActState.DONE, ActState.RELEASED} for entry in journal.record.entries)
        total = len(journal.record.entries)
        raise RunFailed(
            f"the engine stopped after {done} of {total} acts without an error", code="heal.short"
        )


def _treat(job: _Job, journal: StoredJournal) -> None:
    """Forward; on any error back, where there still is a way back."""
    member = journal.record.target.member
    try:
        _heal(job, journal, Direction.FORWARD)
    except (HastewardError, KeyboardInterrupt) as error:
        barrier = journal.record.point_of_no_return
        if barrier is not None:
            text = f"the repair of {member} has passed the point of no return ({barrier.act.text})"
            hint = f"finish it: hasteward repair {flags(job.cluster)}"
            job.context.reporter.emit(Warned("repair.unfinished", f"{text}; {hint}"))
            if isinstance(error, HastewardError):
                raise RunFailed(f"{error.message}; {text}", hint=hint, code="repair.unfinished") from error
            raise
        _take_back(job, journal)
        job.context.reporter.emit(StepDone("undo", f"everything done to {member} was taken back"))
        raise


def _take_back(job: _Job, journal: StoredJournal) -> None:
    """All of it, or the command that goes on with it."""
    try:
        _heal(job, journal, Direction.BACK)
    except (HastewardError, KeyboardInterrupt):
        text = f"what was done to {journal.record.target.member} is not taken back yet"
        hint = f"hasteward undo {flags(job.cluster)}"
        job.context.reporter.emit(Warned("undo.unfinished", f"{text}; go on with: {hint}"))
        raise
    journal.remove()


# --- what a dead run left ---------------------------------------------------------------------------------


def leftover_plan(cluster: ClusterRef, record: Record, direction: Direction) -> Plan:
    """In words, what finishing a dead run's treatment, or taking it back, will do."""
    where = f"{cluster.namespace}/{cluster.name}"
    if direction is Direction.FORWARD:
        rest = [e.act for e in record.entries if e.state in {ActState.PENDING, ActState.DOING}]
        title = f"finish what run {record.run} began on {record.target.member} of {where}"
        return Plan(title, tuple(Step(act.text, act.reversal) for act in rest))
    begun = [entry.act for entry in record.entries if entry.begun]
    title = f"take back what run {record.run} began on {record.target.member} of {where}"
    back = [act for act in reversed(begun) if act.reversal is Reversal.REVERSIBLE]
    return Plan(title, tuple(Step(f"take back: {act.text}", Reversal.REVERSIBLE) for act in back))


def _direction(record: Record) -> Direction:
    """Past the point of no return only forward; else back, and afresh."""
    forward = record.finished or record.point_of_no_return is not None
    return Direction.FORWARD if forward else Direction.BACK


def _settle(job: _Job, journal: StoredJournal) -> bool:
    """Bring a dead run's treatment to its end. False when the plan was not approved."""
    record = journal.record
    direction = _direction(record)
    with contextlib.ExitStack() as stack:
        job.under(leased_on_approval(job.context, job.cluster, stack))
        if not job.context.approve(leftover_plan(job.cluster, record, direction)):
            return False
        journal = _same(job, journal)
        if direction is Direction.FORWARD:
            _heal(job, journal, direction)
            journal.remove()
        else:
            _take_back(job, journal)
    return True


def _same(job: _Job, journal: StoredJournal) -> StoredJournal:
    """The journal again, now that the Lease is held; Refused when its own run was alive and went on."""
    again = unfinished(job.context, job.cluster)
    if again is None or again.record != journal.record:
        raise Refused(
            f"the repair of {job.cluster} by run {journal.record.run} went on meanwhile",
            hint=f"hasteward triage {flags(job.cluster)}",
            code="journal.changed",
        )
    return again


@dataclass(frozen=True, slots=True)
class UndoResult:
    """`run` is the run whose acts were taken back, `undone` what they were; both empty if there was none.

    `kept` is where that stayed which was live until then.
    """

    run: str
    undone: tuple[str, ...]
    kept: tuple[str, ...] = ()
    dry_run: bool = False


def undo(engine: Engine, context: EngineContext, cluster: ClusterRef, run: str = "") -> UndoResult:
    """Take back what an unfinished repair of `cluster` did; `run`, if given, must be that run's id.

    Raises Refused past a forward-only act, with the command that finishes instead.
    """
    engine.require(Capability.HEAL)
    journal = unfinished(context, cluster)
    if journal is None:
        with contextlib.ExitStack() as stack:
            leased = leased_on_approval(context, cluster, stack)
            done = _swept(leased, cluster, left_helpers(leased, cluster))
        return UndoResult("", (), dry_run=not done)
    record = journal.record
    if run and run != record.run:
        raise InvalidInput(
            f"the unfinished repair of {cluster} is that of run {record.run}, not of {run}",
            hint=f"hasteward undo {record.run} {flags(cluster)}",
            code="undo.other_run",
        )
    barrier = record.point_of_no_return
    if barrier is not None:
        raise Refused(
            f"it cannot be taken back any more: {barrier.act.text} has begun, which only goes forward",
            hint=f"finish it: hasteward repair {flags(cluster)}",
            code="undo.forward_only",
        )
    plan = leftover_plan(cluster, record, Direction.BACK)
    job = _Job(engine, context, cluster, None, RepairRequest(escrow=False))
    with contextlib.ExitStack() as stack:
        job.under(leased_on_approval(context, cluster, stack))
        if not job.context.approve(plan):
            return UndoResult(record.run, (), dry_run=True)
        _take_back(job, _same(job, journal))
    return UndoResult(record.run, tuple(step.text for step in plan.steps))
