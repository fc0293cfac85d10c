"""Repair: triage, gates, plan, escrow, and then one treatment after the other, with one journal for all.

Killed at any moment, a run leaves the cluster as it was, or healed, or with a journal in it: then the next
`repair` finishes what cannot be taken back, or takes back the rest and begins afresh; `hasteward undo` takes
back alone, where nothing has passed its point of no return.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

from hasteward.domain.capability import Capability
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError, InvalidInput, Refused, RunFailed
from hasteward.domain.events import StepDone, Warned
from hasteward.domain.plan import Plan, Reversal, Step
from hasteward.domain.repair import (
    CAPTURE,
    RepairPlan,
    RepairRequest,
    Target,
    words,
)
from hasteward.domain.report import Authority, TriageReport
from hasteward.kit.helperpod import end_helper, left_helpers
from hasteward.kit.journal import StoredJournal, unfinished
from hasteward.pipelines import escrow
from hasteward.pipelines.gates import Refusal, Rule, decide, flags
from hasteward.pipelines.leased import leased_on_approval
from hasteward.pipelines.treating import (
    Job,
    end,
    goes_on,
    late_steps,
    leftover_plan,
    same,
    settle,
    take_back,
    treat,
)
from hasteward.pipelines.triage import look, look_at_started, stop_to_look
from hasteward.plugins import Engine
from hasteward.ports.context import Depth, EngineContext
from hasteward.ports.repository import Repository


@dataclass(frozen=True, slots=True)
class RepairResult:
    """What became of it. `before` and `after` are the reports; `after` is None when nothing was done.

    `settled` is the id of a dead run whose treatments were finished or taken back first.
    """

    before: TriageReport | None
    after: TriageReport | None
    treated: tuple[Target, ...] = ()
    skipped: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    snapshots: tuple[str, ...] = ()
    settled: str = ""
    dry_run: bool = False

    @property
    def well(self) -> bool:
        """Whether the cluster was healthy when it was looked at last; True too when nobody looked."""
        last = self.after or self.before
        return last is None or last.healthy


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
    job = Job(engine, context, cluster, repository, request)
    left = unfinished(context, cluster)
    if left is None:
        return _stopped_first(job) if context.depth is Depth.STOP else _afresh(job, None)
    settled = settle(job, left)
    if not settled.agreed:
        return RepairResult(None, None, dry_run=True)
    job = Job(engine, context, cluster, repository, request)
    if request.instance is not None and request.instance in {one.ordinal for one in settled.treated}:
        # the member that was asked for has been treated just now; once more would be once too often
        after = _triage(job) if settled.journal is None else _finished(job, settled.journal)
        return RepairResult(None, after, treated=settled.treated, settled=left.run, dry_run=after is None)
    return replace(_afresh(job, settled.journal, settled=True), settled=left.run)


def _triage(job: Job) -> TriageReport:
    return look(job.engine, job.context, job.cluster)


def _stopped_first(job: Job) -> RepairResult:
    """What can be read only from a stopped server is read before anything is decided."""
    looked = stop_to_look(job.engine, job.context, job.cluster, _triage(job))
    if not looked.agreed:
        return RepairResult(looked.report, None, dry_run=True)
    return _afresh(job, None, seen=looked.report)


def _afresh(
    job: Job, carried: StoredJournal | None, *, settled: bool = False, seen: TriageReport | None = None
) -> RepairResult:
    """`carried` is the journal of an earlier run that has something left to be done at the end; `seen` is a
    report that was made just now, else one is made here.
    """
    with contextlib.ExitStack() as stack:
        job.under(leased_on_approval(job.context, job.cluster, stack))
        before = seen or (look_at_started(job.engine, job.context, job.cluster) if settled else _triage(job))
        decision = decide(before, job.request)
        if isinstance(decision, Refusal):
            raise refused(decision)
        result = RepairResult(before, None, skipped=decision.skipped, waiting=decision.waiting)
        left = left_helpers(job.context, job.cluster)
        if not decision.targets and carried is None:
            return result if _swept(job.context, job.cluster, left) else replace(result, dry_run=True)
        plan = _planned(job, before, decision.targets)
        first = escrow.steps(job.engine, job.cluster, decision.targets, wanted=job.request.escrow)
        plan = replace(plan, waits=(*plan.waits, *decision.waiting))
        title = f"repair {job.cluster.namespace}/{job.cluster.name}"
        if not job.context.approve(words(title, plan, before=first, after=late_steps(carried))):
            return replace(result, dry_run=True)
        job.engine.require(Capability.HEAL)
        _sweep(job.context, job.cluster, left)
        _save_first(job, before, decision.targets, wanted=bool(first))
        after = _through(job, plan, carried)
    return replace(result, after=after, treated=decision.targets, snapshots=tuple(job.escrow.snapshots))


def _finished(job: Job, carried: StoredJournal) -> TriageReport | None:
    """Do what an earlier run could not do yet; None when that is not agreed to."""
    with contextlib.ExitStack() as stack:
        job.under(leased_on_approval(job.context, job.cluster, stack))
        if not job.context.approve(Plan(f"finish what run {carried.run} began", late_steps(carried))):
            return None
        return _through(job, RepairPlan(()), carried)


def _through(job: Job, plan: RepairPlan, carried: StoredJournal | None) -> TriageReport:
    """Treat, look again, and end the run."""
    journal = treat(job, plan, carried)
    try:
        after = _triage(job)
        end(job, journal)
    except (HastewardError, KeyboardInterrupt) as error:
        goes_on(job, "everybody has been treated, and the journal of the run is still there", error)
        raise
    return after


def _planned(job: Job, before: TriageReport, targets: tuple[Target, ...]) -> RepairPlan:
    if not targets:
        return RepairPlan(())
    plan = job.engine.require(Capability.PLAN).plan(
        context=job.context, cluster=job.cluster, report=before, targets=targets
    )
    _hold_to(plan, targets)
    return plan


def _swept(context: EngineContext, cluster: ClusterRef, left: list[str]) -> bool:
    """Take away the helper pods that dead runs left, if that is agreed to; True when none is left."""
    if not left:
        return True
    title = f"tidy up after dead runs on {cluster.namespace}/{cluster.name}"
    if not context.approve(Plan(title, _removals(left))):
        return False
    _sweep(context, cluster, left)
    return True


def _removals(left: list[str]) -> tuple[Step, ...]:
    return tuple(
        Step(f"delete helper pod {name}, which another run left", Reversal.READ_ONLY) for name in left
    )


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


def _save_first(job: Job, report: TriageReport, targets: tuple[Target, ...], *, wanted: bool) -> None:
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
    if run and run != journal.run:
        raise InvalidInput(
            f"the unfinished repair of {cluster} is that of run {journal.run}, not of {run}",
            hint=f"hasteward undo {journal.run} {flags(cluster)}",
            code="undo.other_run",
        )
    barrier = journal.point_of_no_return
    if barrier is not None:
        raise Refused(
            f"it cannot be taken back any more: {barrier.act.text} has begun, which only goes forward",
            hint=f"finish it: hasteward repair {flags(cluster)}",
            code="undo.forward_only",
        )
    plan = leftover_plan(cluster, journal, only_back=True)
    left = left_helpers(context, cluster)
    plan = replace(plan, steps=(*_removals(left), *plan.steps))
    job = Job(engine, context, cluster, None, RepairRequest(escrow=False))
    with contextlib.ExitStack() as stack:
        job.under(leased_on_approval(context, cluster, stack))
        if not job.context.approve(plan):
            return UndoResult(journal.run, (), dry_run=True)
        journal = same(job, journal)
        _sweep(job.context, cluster, left)
        take_back(job, journal)
        journal.remove()
    return UndoResult(journal.run, tuple(step.text for step in plan.steps))
