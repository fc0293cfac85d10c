"""``hasteward backup``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasteward.cli.verb import CLUSTER, REPOSITORY, WORK_CODES, Answer, Verb
from hasteward.domain.errors import ExitCode, InvalidInput

if TYPE_CHECKING:
    from hasteward.cli.session import Session
    from hasteward.config.resolve import Settings


def require_dump(settings: Settings) -> None:
    """The one method there is."""
    if settings.text("method") != "dump":
        raise InvalidInput(
            f"--method {settings.text('method')} is not available in this release",
            hint="use --method dump",
            code="method.unavailable",
        )


def _run(session: Session) -> Answer:
    from hasteward.domain.capability import Capability

    require_dump(session.settings)
    engine = session.engine(Capability.DUMP)
    cluster = session.cluster()
    repository = session.wiring.repository

    from hasteward.cli import preflight
    from hasteward.cli.render import human
    from hasteward.cli.render.shapes import BackupData
    from hasteward.domain.snapshot import SnapshotType
    from hasteward.pipelines.backup import BackupOptions, backup

    preflight.require(session, engine.info, Capability.DUMP)
    instance = session.settings.integer("instance")
    kind = SnapshotType.BACKUP if instance is None else SnapshotType.DIVERGED
    options = BackupOptions(type=kind, instance=instance)
    result = backup(engine, session.wiring.context(), cluster, repository, options)
    data = BackupData(
        cluster=session.cluster_data(),
        snapshot=result.snapshot,
        manifest=result.manifest,
        path=result.path,
        type=kind.value,
        member=result.member,
        size=result.size,
        added=result.added,
        sections=result.sections,
        seconds=result.seconds,
        dry_run=result.dry_run,
        shrunk_from=result.shrunk_from,
        plan=session.journal.plan,
    )
    return Answer(data, human.backup, ExitCode.OK if result.shrunk_from is None else ExitCode.PARTIAL)


VERB = Verb(
    _run,
    "The snapshot comes to exist only after every section of the dump was proven where it was made and"
    " here. Whatever goes wrong before that, the repository holds nothing of it.",
    settings=(*CLUSTER, *REPOSITORY, "method"),
    exit_codes={
        **WORK_CODES,
        ExitCode.PARTIAL: "saved and proven, but far smaller than the backups before it",
        ExitCode.REPOSITORY_LOCKED: "it is locked",
        ExitCode.UNPROVEN: "not proven, nothing saved",
    },
    notes={
        "instance": "Capture this member, as a snapshot of type `diverged`.",
        "force": "Override safety checks; a backup has none that can be overridden.",
    },
    observed=True,
)
