"""``hasteward get backups``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasteward.cli.verb import REPOSITORY, STORE_CODES, Answer, Verb
from hasteward.config.resolve import Origin
from hasteward.domain.errors import InvalidInput

if TYPE_CHECKING:
    from hasteward.cli.session import Session


def _namespace(session: Session) -> str:
    """Which namespace is meant, "" for all."""
    chosen = session.settings
    if not chosen.flag("all_namespaces"):
        return chosen.text("namespace")
    if chosen.resolved("namespace").origin is Origin.FLAG:
        raise InvalidInput(
            "--namespace and --all-namespaces exclude each other",
            hint="leave one of them out",
            code="setting.conflict",
        )
    return ""


def _run(session: Session) -> Answer:
    from hasteward.cli.render import human
    from hasteward.cli.render.shapes import BackupsData, SnapshotData
    from hasteward.domain.snapshot import SnapshotFilter
    from hasteward.pipelines.catalog import backups

    chosen = session.settings
    kind = chosen.text("type")
    wanted = SnapshotFilter(
        engine=chosen.text("engine"),
        namespace=_namespace(session),
        cluster=chosen.text("cluster"),
        type="" if kind == "all" else kind,
    )
    repository = session.wiring.repository
    info = repository.open()
    rows = tuple(
        SnapshotData(
            id=entry.snapshot.id,
            time=entry.snapshot.time,
            type=entry.snapshot.tags.type,
            engine=entry.snapshot.tags.engine,
            namespace=entry.snapshot.tags.namespace,
            cluster=entry.snapshot.tags.cluster,
            path=entry.snapshot.path,
            size=entry.snapshot.size,
            proven=entry.proven,
            job=entry.snapshot.tags.job,
            run=entry.snapshot.tags.run,
            reason=entry.snapshot.tags.reason,
        )
        for entry in backups(repository, wanted)
    )
    return Answer(BackupsData(info.id, rows), human.backups)


VERB = Verb(
    _run,
    "Newest first. A snapshot is proven when its manifest vouches for every byte; snapshots of other tools"
    " are listed and can be exported.",
    settings=(*REPOSITORY, "engine", "cluster", "namespace", "type", "all_namespaces"),
    exit_codes=STORE_CODES,
    notes={
        "engine": "Only of this engine.",
        "cluster": "Only of this cluster.",
        "namespace": "Only of this namespace.",
    },
)
