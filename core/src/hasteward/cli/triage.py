"""``hasteward triage``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hasteward.cli.verb import CLUSTER, Answer, Verb
from hasteward.domain.errors import ExitCode

if TYPE_CHECKING:
    from hasteward.cli.render.shapes import TriageData
    from hasteward.cli.session import Session
    from hasteward.config.resolve import Settings
    from hasteward.domain.report import TriageReport
    from hasteward.ports.context import Depth


def data_of(report: TriageReport) -> TriageData:
    """The report as scripts read it."""
    from hasteward.cli.render.shapes import (
        BranchData,
        ClusterData,
        DiagnosisData,
        MemberData,
        TriageData,
    )

    cluster = report.cluster
    return TriageData(
        cluster=ClusterData(cluster.engine, cluster.namespace, cluster.name),
        healthy=report.healthy,
        authority=report.authority.value,
        authority_reason=report.authority_reason,
        members=tuple(
            MemberData(
                member=one.member,
                role=one.role,
                health=one.health.value,
                evidence=one.evidence,
                missing=one.missing,
                details=dict(one.details),
                ordinal=one.ordinal,
                remediation=one.remediation.value,
                reason=one.reason,
                branch=None if one.branch is None else BranchData(one.branch.text, one.branch.commits),
            )
            for one in report.assessments
        ),
        diagnoses=tuple(
            DiagnosisData(one.id, one.severity.value, one.summary, one.evidence, one.remedy, one.member)
            for one in report.diagnoses
        ),
        details=dict(report.details),
        newest=report.newest,
        primaries=report.primaries,
        donors=report.donors,
        plan=None,
    )


def depth_of(settings: Settings) -> Depth:
    """How far triage may go, from ``--deep``."""
    from hasteward.ports.context import Depth

    return {"no": Depth.PLAIN, "yes": Depth.DEEP, "stop": Depth.STOP}[settings.text("deep")]


def _run(session: Session) -> Answer:
    from hasteward.domain.capability import Capability

    engine = session.engine(Capability.TRIAGE)
    cluster = session.cluster()

    from hasteward.cli import preflight
    from hasteward.cli.render import human
    from hasteward.pipelines.triage import triage
    from hasteward.ports.context import Depth

    depth = depth_of(session.settings)
    if depth is Depth.STOP and engine.stops is not None:
        preflight.require(session, engine.info, Capability.TRIAGE, Capability.HEAL, store=False)
    else:
        preflight.warn(session, engine.info, Capability.TRIAGE)
    context = replace(session.wiring.context(), depth=depth)
    report = triage(engine, context, cluster)
    code = ExitCode.OK if report.healthy else ExitCode.UNHEALTHY
    data = replace(data_of(report), plan=session.journal.plan if session.dry_run else None)
    return Answer(data, human.triage, code)


VERB = Verb(
    _run,
    "Reads through the API and changes nothing, in a dry run and otherwise. What could not be read is said"
    " to be not known; it never counts against a member. Rights that are missing bring a warning. With --deep"
    " it may create read-only helper pods on volumes that nobody uses. With --deep=stop it also stops a"
    " server that runs and does not answer, never the primary, reads its files and lets it go again: it shows"
    " the plan, takes the cluster's Lease and needs the rights of a repair. If it dies meanwhile, `hasteward"
    " undo` lets the server go.",
    settings=(*CLUSTER, "deep"),
    exit_codes={
        ExitCode.INVALID: "a value is wrong or the cluster does not exist",
        ExitCode.DEPENDENCY: "the API cannot be reached or does not know you",
        ExitCode.UNHEALTHY: "not healthy, or not known to be",
        ExitCode.REFUSED: "with --deep=stop: another run is at work, or the cluster changed meanwhile",
    },
    notes={
        "instance": "Accepted; triage always looks at every member.",
        "force": "Accepted; triage has nothing to override.",
        "dry_run": "With --deep=stop: show whom it would stop. Otherwise triage changes nothing anyway.",
    },
    observed=True,
)
