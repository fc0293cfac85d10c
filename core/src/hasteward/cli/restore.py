"""``hasteward restore``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasteward.cli.backup import require_dump
from hasteward.cli.verb import CLUSTER, REPOSITORY, WORK_CODES, Answer, Verb
from hasteward.domain.errors import ExitCode

if TYPE_CHECKING:
    from hasteward.cli.session import Session
    from hasteward.domain.cluster import ClusterRef
    from hasteward.plugins import Engine


def _allowed_to_extract(session: Session, engine: Engine, cluster: ClusterRef) -> None:
    """A capture of files needs more rights than a dump; they are asked for before anything begins."""
    from hasteward.cli import preflight
    from hasteward.domain.capability import Capability
    from hasteward.pipelines.catalog import find
    from hasteward.pipelines.extract import is_capture, wanted_snapshots

    settings = session.settings
    layout = engine.layout(settings.options())
    wanted = wanted_snapshots(engine, layout, cluster, settings.integer("instance"))
    if is_capture(engine, find(session.wiring.repository, settings.text("snapshot"), *wanted)):
        preflight.require(session, engine.info, Capability.EXTRACT)


def _run(session: Session) -> Answer:
    from hasteward.domain.capability import Capability

    settings = session.settings
    require_dump(settings)
    engine = session.engine(Capability.RESTORE)
    cluster = session.cluster()
    repository = session.wiring.repository

    from hasteward.cli import preflight
    from hasteward.cli.render import human
    from hasteward.cli.render.shapes import RestoreData
    from hasteward.pipelines.restore import RestoreRequest, restore
    from hasteward.ports.context import RestoreOptions

    preflight.require(session, engine.info, Capability.RESTORE)
    if engine.info.capture is not None and settings.integer("instance") is not None:
        _allowed_to_extract(session, engine, cluster)
    request = RestoreRequest(
        snapshot=settings.text("snapshot"),
        options=RestoreOptions(
            instance=settings.integer("instance"),
            databases=settings.items("database"),
            keep_old=settings.flag("keep_old"),
            force=settings.flag("force"),
            as_superuser=settings.flag("as_superuser"),
        ),
    )
    result = restore(engine, session.wiring.context(), cluster, repository, request)
    data = RestoreData(
        cluster=session.cluster_data(),
        snapshot=result.snapshot,
        restored=result.outcome.restored,
        kept=result.outcome.kept,
        checks=result.outcome.checks,
        seconds=result.seconds,
        dry_run=result.dry_run,
        plan=session.journal.plan,
    )
    return Answer(data, human.restore)


VERB = Verb(
    _run,
    "Only proven snapshots are restored. The new data is built beside the old, checked, and made live in one"
    " act; until then nothing of what is live has changed.",
    settings=(*CLUSTER, *REPOSITORY, "method", "snapshot", "yes", "database", "keep_old", "as_superuser"),
    exit_codes={**WORK_CODES, ExitCode.UNPROVEN: "the stored bytes are not the proven ones"},
    notes={
        "instance": "Restore from the diverged capture of this member. Of its files a dump is made first, in"
        " a scratch server that is gone afterwards."
    },
    observed=True,
)
