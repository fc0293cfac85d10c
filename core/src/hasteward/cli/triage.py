"""``hasteward triage``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasteward.cli.verb import CLUSTER, Answer, Verb
from hasteward.domain.errors import ExitCode

if TYPE_CHECKING:
    from hasteward.cli.render.shapes import TriageData
    from hasteward.cli.session import Session
    from hasteward.domain.report import TriageReport


def data_of(report: TriageReport) -> TriageData:
    """The report as scripts read it."""
    from hasteward.cli.render.shapes import ClusterData, DiagnosisData, MemberData, TriageData

    cluster = report.cluster
    return TriageData(
        cluster=ClusterData(cluster.engine, cluster.namespace, cluster.name),
        healthy=report.healthy,
        authority=report.authority.value,
        authority_reason=report.authority_reason,
        members=tuple(
            MemberData(one.member, one.role, one.health.value, one.evidence, one.missing, dict(one.details))
            for one in report.assessments
        ),
        diagnoses=tuple(
            DiagnosisData(one.id, one.severity.value, one.summary, one.evidence, one.remedy, one.member)
            for one in report.diagnoses
        ),
        details=dict(report.details),
    )


def _run(session: Session) -> Answer:
    from hasteward.domain.capability import Capability

    engine = session.engine(Capability.TRIAGE)
    cluster = session.cluster()

    from hasteward.cli import preflight
    from hasteward.cli.render import human
    from hasteward.pipelines.triage import triage

    preflight.warn(session, engine.info, Capability.TRIAGE)
    report = triage(engine, session.wiring.context(), cluster)
    code = ExitCode.OK if report.healthy else ExitCode.UNHEALTHY
    return Answer(data_of(report), human.triage, code)


VERB = Verb(
    _run,
    "Reads through the API and changes nothing, in a dry run and otherwise. What could not be read is said"
    " to be not known; it never counts against a member. Rights that are missing bring a warning.",
    settings=CLUSTER,
    exit_codes={
        ExitCode.INVALID: "a value is wrong or the cluster does not exist",
        ExitCode.DEPENDENCY: "the API cannot be reached or does not know you",
        ExitCode.UNHEALTHY: "not healthy, or not known to be",
    },
    notes={
        "instance": "Accepted; triage always looks at every member.",
        "force": "Accepted; triage has nothing to override.",
        "dry_run": "Accepted; triage changes nothing anyway.",
    },
    observed=True,
)
