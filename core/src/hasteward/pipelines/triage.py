"""Triage: ask the engine how the cluster is. Nothing is created or changed, but for ``--deep=stop``."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from hasteward.domain.capability import Capability
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError, Refused, RunFailed
from hasteward.domain.events import PhaseStarted, StepDone, Warned
from hasteward.domain.plan import Plan, Reversal, Step
from hasteward.domain.repair import RepairPlan, RepairRequest
from hasteward.domain.report import Authority, TriageReport
from hasteward.kit.journal import StoredJournal, start
from hasteward.pipelines.gates import flags
from hasteward.pipelines.leased import leased_on_approval
from hasteward.pipelines.treating import Job, heal, recorded, take_back
from hasteward.plugins import Engine
from hasteward.ports.context import Depth, Direction, EngineContext

#: how long a server may take until it answers, once it was let go
_STARTING_SECONDS = 60.0
_PAUSE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Looked:
    """The report, and whether it was agreed to stop those members that can be read only then."""

    report: TriageReport
    agreed: bool = True


def triage(engine: Engine, context: EngineContext, cluster: ClusterRef) -> TriageReport:
    """The engine's report on `cluster`; with `Depth.STOP` that of `stop_to_look`."""
    report = look(engine, context, cluster)
    if context.depth < Depth.STOP:
        return report
    return stop_to_look(engine, context, cluster, report).report


def look(engine: Engine, context: EngineContext, cluster: ClusterRef) -> TriageReport:
    """One look, which changes nothing."""
    spec = engine.require(Capability.TRIAGE)
    context.reporter.emit(PhaseStarted("triage", f"reading {cluster}"))
    return spec.triage(context=context, cluster=cluster)


def look_at_started(engine: Engine, context: EngineContext, cluster: ClusterRef) -> TriageReport:
    """The same where a server was let go a moment ago: it may not answer yet, and what cannot be told is
    looked at again.
    """
    deadline = context.clock.monotonic() + _STARTING_SECONDS
    report = look(engine, context, cluster)
    while report.authority is Authority.UNDETERMINABLE and context.clock.monotonic() < deadline:
        again = "a server that was let go a moment ago may still be starting: looking again"
        context.reporter.emit(StepDone("triage", f"{report.authority_reason}; {again}"))
        context.clock.sleep(_PAUSE_SECONDS)
        report = look(engine, context, cluster)
    return report


def stop_to_look(engine: Engine, context: EngineContext, cluster: ClusterRef, before: TriageReport) -> Looked:
    """Stop the members whose data can be read only then, read them, and let them go again.

    The report is the one made afterwards; what was read meanwhile is told. Killed on the way, it leaves a
    journal: `hasteward undo` lets them go.
    """
    plan = _plan(engine, context, cluster, before)
    if not plan.treatments:
        return Looked(before)
    with contextlib.ExitStack() as stack:
        job = Job(engine, context, cluster, None, RepairRequest(escrow=False))
        job.under(leased_on_approval(context, cluster, stack))
        if not job.context.approve(_words(cluster, plan)):
            return Looked(before, agreed=False)
        _read_stopped(job, plan)
    return Looked(look_at_started(engine, context, cluster))


def _plan(engine: Engine, context: EngineContext, cluster: ClusterRef, before: TriageReport) -> RepairPlan:
    """The engine's plan, held to be one that can be taken back; none, with the reason, where it has none."""
    spec = engine.stops
    if spec is None:
        context.reporter.emit(
            Warned("triage.no_stop", f"engine {engine.info.name} stops no server to look: --deep is done")
        )
        return RepairPlan(())
    try:
        plan = spec.plan_stop(context=context, cluster=cluster, report=before)
    except Refused as error:
        context.reporter.emit(Warned("triage.not_stopped", f"nobody is stopped to look: {error.message}"))
        return RepairPlan(())
    for treatment in plan.treatments:
        if any(act.reversal is Reversal.FORWARD_ONLY for act in treatment.acts):
            raise RunFailed(
                f"the engine would stop {treatment.target.member} in a way that cannot be taken back",
                code="plan.forward_only",
            )
    return plan


def _members(plan: RepairPlan) -> str:
    return ", ".join(treatment.target.member for treatment in plan.treatments)


def _words(cluster: ClusterRef, plan: RepairPlan) -> Plan:
    """All that is done; none of it stays."""
    acts = [act for treatment in plan.treatments for act in treatment.acts]
    steps = [Step(act.text, act.reversal) for act in acts]
    members = _members(plan)
    return Plan(
        f"stop {members} of {cluster.namespace}/{cluster.name} to look",
        (*steps, Step(f"read {members}"), Step("take all that back")),
        notes=(*(f"{one.target.member}: {one.target.reason}" for one in plan.treatments), *plan.notes),
    )


def _read_stopped(job: Job, plan: RepairPlan) -> None:
    """Tell what is read while they are stopped; whatever happens, they are let go or the command is named."""
    records = tuple(recorded(job, treatment) for treatment in plan.treatments)
    journal = start(job.context, job.cluster, records)
    try:
        for place in range(len(journal.records)):
            heal(job, journal.treatment(place), Direction.FORWARD)
        # it tells of a fence too, which is ours: what counts is who holds what
        seen = look(job.engine, job.context, job.cluster).authority_reason
        job.context.reporter.emit(StepDone("triage", f"while {_members(plan)} was stopped: {seen}"))
    finally:
        take_back(job, journal)
        _close(job, journal)


def _close(job: Job, journal: StoredJournal) -> None:
    """All is taken back; a journal that stays all the same is in the way of every repair."""
    try:
        journal.remove()
    except (HastewardError, KeyboardInterrupt):
        text = f"the journal is still there; go on with: hasteward undo {flags(job.cluster)}"
        job.context.reporter.emit(Warned("undo.unfinished", text))
        raise
