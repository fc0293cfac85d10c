"""``hasteward backup``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasteward.cli.verb import CLUSTER, REPOSITORY, WORK_CODES, Answer, Verb
from hasteward.domain.errors import ExitCode, InvalidInput

if TYPE_CHECKING:
    from hasteward.cli.session import Session
    from hasteward.config.resolve import Settings
    from hasteward.domain.cluster import ClusterRef
    from hasteward.pipelines.backup import Earlier
    from hasteward.plugins import Engine
    from hasteward.ports.repository import Repository


def require_dump(settings: Settings) -> None:
    """What the database's own operator keeps is not ours to bring back."""
    if settings.text("method") != "dump":
        raise InvalidInput(
            f"--method {settings.text('method')}: what the database's own operator has backed up is restored"
            " by it, into a new cluster",
            hint="leave --method away to restore a snapshot of the repository",
            code="method.unavailable",
        )


def _native(session: Session) -> Answer:
    from hasteward.domain.capability import Capability

    engine = session.engine(Capability.NATIVE)
    cluster = session.cluster()
    if session.settings.integer("instance") is not None:
        raise InvalidInput(
            "--method native and -i exclude each other: the cluster says which member its operator backs up",
            hint="leave -i away",
            code="setting.conflict",
        )

    from hasteward.cli import preflight
    from hasteward.cli.render import human
    from hasteward.cli.render.shapes import BackupData, NativeData
    from hasteward.pipelines.native import native_backup

    preflight.require(session, engine.info, Capability.NATIVE, store=False)
    result = native_backup(engine, session.wiring.context(), cluster)
    made = result.outcome
    data = BackupData(
        cluster=session.cluster_data(),
        snapshot="",
        manifest="",
        path="",
        type="",
        member=made.member,
        size=0,
        added=0,
        sections=0,
        seconds=result.seconds,
        dry_run=made.planned_only,
        shrunk_from=None,
        native=NativeData(made.name, made.method, made.started, made.stopped, dict(made.details)),
        plan=session.journal.plan,
    )
    return Answer(data, human.backup)


def _run(session: Session) -> Answer:
    from hasteward.domain.capability import Capability

    if session.settings.text("method") == "native":
        return _native(session)
    engine = session.engine(Capability.DUMP)
    cluster = session.cluster()
    repository = session.wiring.repository
    # begun with the opening: each takes the store half a second, most of it for the password
    with repository.listing() as earlier:
        return _dump(session, engine, cluster, repository, earlier)


def _dump(
    session: Session, engine: Engine, cluster: ClusterRef, repository: Repository, earlier: Earlier
) -> Answer:
    from hasteward.cli import preflight
    from hasteward.domain.capability import Capability

    preflight.require(session, engine.info, Capability.DUMP)

    from hasteward.cli.render import human
    from hasteward.cli.render.shapes import BackupData
    from hasteward.domain.snapshot import SnapshotType
    from hasteward.pipelines.backup import BackupOptions, backup

    instance = session.settings.integer("instance")
    kind = SnapshotType.BACKUP if instance is None else SnapshotType.DIVERGED
    options = BackupOptions(type=kind, instance=instance)
    result = backup(engine, session.wiring.context(), cluster, repository, options, earlier=earlier)
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
        native=None,
        plan=session.journal.plan,
    )
    return Answer(data, human.backup, ExitCode.OK if result.shrunk_from is None else ExitCode.PARTIAL)


VERB = Verb(
    _run,
    "The snapshot comes to exist only after every section of the dump was proven where it was made and"
    " here. Whatever goes wrong before that, the repository holds nothing of it. With --method native the"
    " database's own operator makes the backup and keeps it, and no repository is needed.",
    settings=(*CLUSTER, *REPOSITORY, "method"),
    exit_codes={
        **WORK_CODES,
        ExitCode.PARTIAL: "saved and proven, but far smaller than the backups before it",
        ExitCode.REPOSITORY_LOCKED: "it is locked",
        ExitCode.UNPROVEN: "not proven, nothing saved",
    },
    notes={
        "instance": "Capture this member, as a snapshot of type `diverged`.",
        "heal_timeout": "With --method native: how long the operator may take to begin.",
        "force": "Override safety checks; a backup has none that can be overridden.",
    },
    observed=True,
)
