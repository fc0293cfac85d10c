"""``hasteward export``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasteward.cli.verb import CLUSTER, REPOSITORY, STORE_CODES, Answer, Verb
from hasteward.domain.errors import ExitCode, InvalidInput

if TYPE_CHECKING:
    from hasteward.cli.session import Session
    from hasteward.domain.snapshot import Snapshot, SnapshotEntry
    from hasteward.plugins import Engine
    from hasteward.ports.repository import Repository


def _engine(session: Session) -> Engine:
    """Exporting asks nothing of the engine but the name of its file, which one that cannot dump lacks."""
    from hasteward.domain.capability import Capability

    return session.engine(Capability.DUMP)


def _chosen(session: Session, engine: Engine, repository: Repository) -> SnapshotEntry | None:
    """What is to be written out: a dump, the one made of a member's files, or these; None in a dry run that
    would have to make it first.
    """
    from hasteward.cli import preflight
    from hasteward.domain.capability import Capability
    from hasteward.pipelines.catalog import find
    from hasteward.pipelines.extract import choose, extract, is_capture, wanted_snapshot

    settings, cluster = session.settings, session.cluster()
    instance, capture, raw = settings.integer("instance"), engine.info.capture, settings.flag("raw")
    if raw and (instance is None or capture is None):
        raise InvalidInput(
            "--raw is for the captured files of one member"
            if capture is not None
            else f"--raw: engine {engine.info.name} captures no files",
            hint="name the member: -i N" if capture is not None else "leave --raw away",
            code="setting.conflict",
        )
    reference = settings.text("snapshot")
    repository.open()
    if raw and capture is not None:
        return find(repository, reference, wanted_snapshot(capture, cluster, instance))
    layout = engine.layout(settings.options())
    entry = choose(engine, repository, reference, layout, cluster=cluster, instance=instance)
    if not is_capture(engine, entry):
        return entry
    preflight.require(session, engine.info, Capability.EXTRACT)
    return extract(engine, session.wiring.context(), cluster, repository, entry)


def _planned(session: Session, snapshot: Snapshot, name: str) -> bool:
    from hasteward.cli.render.units import size
    from hasteward.domain.plan import Plan, Reversal, Step

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
    session.cluster()
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
    from hasteward.domain.snapshot import SnapshotFilter
    from hasteward.pipelines.export import ExportResult, export

    entry = _chosen(session, engine, repository)
    dry_run = session.dry_run
    if dry_run or entry is None:
        if entry is not None:
            _planned(session, entry.snapshot, name)
        result = ExportResult("", "", 0, 0, proven=False, seconds=0.0)
    else:
        context = session.wiring.context()
        with output_file.opened(name, session.run.id, force=force) as output:
            result = export(context, repository, entry.snapshot.id, SnapshotFilter(), output)
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
    settings=(*CLUSTER, *REPOSITORY, "snapshot", "file", "raw"),
    exit_codes={
        **STORE_CODES,
        ExitCode.INVALID: "a value is wrong, no such snapshot, or the file exists",
        ExitCode.UNPROVEN: "the stored bytes are not the proven ones",
    },
    notes={
        "instance": "The diverged capture of this member. Of its files a dump is made first, in a scratch"
        " server that is gone afterwards; an engine that makes none names --raw.",
        "force": "Replace the file if it exists.",
    },
    observed=True,
)
