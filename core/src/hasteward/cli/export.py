"""``hasteward export``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasteward.cli.verb import CLUSTER, REPOSITORY, STORE_CODES, Answer, Verb
from hasteward.domain.errors import ExitCode, InvalidInput

if TYPE_CHECKING:
    from hasteward.cli.session import Session
    from hasteward.domain.snapshot import SnapshotFilter
    from hasteward.plugins import Engine
    from hasteward.ports.repository import Repository


def _engine(session: Session) -> Engine:
    """Exporting asks nothing of the engine but the name of its file, which one that cannot dump lacks."""
    from hasteward.domain.capability import Capability

    return session.engine(Capability.DUMP)


def _planned(session: Session, repository: Repository, wanted: SnapshotFilter, name: str) -> bool:
    from hasteward.cli.render.units import size
    from hasteward.domain.plan import Plan, Reversal, Step
    from hasteward.pipelines.catalog import find

    repository.open()
    snapshot = find(repository, session.settings.text("snapshot"), wanted).snapshot
    steps = (
        Step(f"read snapshot {snapshot.short_id} ({snapshot.path}, {size(snapshot.size)}) and check it"),
        Step(f"write {'standard output' if name == '-' else name}", Reversal.REVERSIBLE),
    )
    return session.approve(Plan("export a snapshot", steps))


def _run(session: Session) -> Answer:
    from hasteward.cli import output_file
    from hasteward.cli.render.console import Mode

    settings = session.settings
    name = settings.required("file")
    engine = _engine(session)
    cluster = session.cluster()
    to_stdout = name == output_file.STDOUT
    if to_stdout and session.console.mode is not Mode.HUMAN:
        raise InvalidInput(
            f"-o - and --output {session.console.mode} both want standard output",
            hint="name a file: -o FILE",
            code="setting.conflict",
        )
    force = settings.flag("force")
    output_file.check(name, force=force)
    repository = session.wiring.repository

    from hasteward.cli.render import human
    from hasteward.cli.render.shapes import ExportData
    from hasteward.pipelines.export import ExportResult, export
    from hasteward.pipelines.restore import wanted_snapshot

    wanted = wanted_snapshot(engine.layout(settings.options()), cluster, settings.integer("instance"))
    dry_run = session.dry_run
    if dry_run:
        _planned(session, repository, wanted, name)
        result = ExportResult("", "", 0, 0, proven=False, seconds=0.0)
    else:
        context = session.wiring.context()
        with output_file.opened(name, session.run.id, force=force) as output:
            result = export(context, repository, settings.text("snapshot"), wanted, output)
    data = ExportData(
        cluster=session.cluster_data(),
        snapshot=result.snapshot,
        path=result.path,
        file=name,
        compressed=not to_stdout and output_file.compressed(name),
        size=result.size,
        sections=result.sections,
        proven=result.proven,
        seconds=result.seconds,
        dry_run=dry_run,
        plan=session.journal.plan,
    )
    return Answer(data, human.export, to_stderr=to_stdout and not dry_run)


VERB = Verb(
    _run,
    "The file appears under its name only when every byte of it was compared with the proof. Plain SQL;"
    " compressed if the name ends in .gz.",
    settings=(*CLUSTER, *REPOSITORY, "snapshot", "file"),
    exit_codes={
        **STORE_CODES,
        ExitCode.INVALID: "a value is wrong, no such snapshot, or the file exists",
        ExitCode.UNPROVEN: "the stored bytes are not the proven ones",
    },
    notes={
        "instance": "The diverged capture of this member.",
        "force": "Replace the file if it exists.",
    },
    observed=True,
)
