"""``hasteward repair``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hasteward.cli.triage import data_of, depth_of
from hasteward.cli.verb import CLUSTER, REPOSITORY, WORK_CODES, Answer, Verb
from hasteward.domain.errors import ExitCode

if TYPE_CHECKING:
    from hasteward.cli.session import Session


def _run(session: Session) -> Answer:
    from hasteward.domain.capability import Capability

    settings = session.settings
    # an engine that cannot heal yet still says what it would do
    engine = session.engine(Capability.PLAN if session.dry_run else Capability.HEAL)
    cluster = session.cluster()
    escrow = not settings.flag("no_escrow")
    repository = session.wiring.repository if escrow else None

    from hasteward.cli import preflight
    from hasteward.cli.render import human
    from hasteward.cli.render.shapes import RepairData, TreatedData
    from hasteward.domain.repair import RepairRequest
    from hasteward.pipelines.repair import repair

    needed = (Capability.TRIAGE, Capability.PLAN, Capability.HEAL, *([Capability.DUMP] if escrow else []))
    preflight.require(session, engine.info, *needed, store=escrow)
    request = RepairRequest(
        instance=settings.integer("instance"),
        force=settings.flag("force"),
        escrow=escrow,
        discard_branch=settings.integer("discard_branch"),
    )
    context = replace(session.wiring.context(), depth=depth_of(settings))
    result = repair(engine, context, cluster, repository, request)
    data = RepairData(
        cluster=session.cluster_data(),
        treated=tuple(
            TreatedData(one.member, one.ordinal, one.remediation.value, one.reason) for one in result.treated
        ),
        skipped=result.skipped,
        waiting=result.waiting,
        snapshots=result.snapshots,
        settled=result.settled,
        before=None if result.before is None else data_of(result.before),
        after=None if result.after is None else data_of(result.after),
        dry_run=result.dry_run,
        plan=session.journal.plan,
    )
    return Answer(data, human.repair, ExitCode.OK if result.dry_run or result.well else ExitCode.UNHEALTHY)


VERB = Verb(
    _run,
    "Reads every member first, as `triage --deep` does, then treats those that need it, one after the other,"
    " the least destructive way that works. What only a member holds is captured and proven before it is"
    " overwritten. A run that dies is finished, or taken back, by the next one; `hasteward undo` takes it"
    " back alone.",
    settings=(*CLUSTER, *REPOSITORY, "deep", "no_escrow", "discard_branch", "yes"),
    exit_codes={
        **WORK_CODES,
        ExitCode.REPOSITORY_LOCKED: "it is locked",
        ExitCode.UNHEALTHY: "the cluster is not healthy (yet), or not known to be",
        ExitCode.UNPROVEN: "what had to be saved first was not proven, so nothing was overwritten",
    },
    notes={
        "instance": "Treat only this member, which is then the one to be overwritten; where a majority is"
        " lost for good, the one to go on with.",
        "force": "With -i: overwrite a member of a cluster that has diverged, or one that is healthy; go on"
        " with what is left where a majority is lost.",
    },
    observed=True,
)
