"""``hasteward restore``."""

from __future__ import annotations

import shlex
from functools import partial
from typing import TYPE_CHECKING

from hasteward.cli.backup import require_dump
from hasteward.cli.verb import CLUSTER, REPOSITORY, WORK_CODES, Answer, Verb
from hasteward.domain.errors import ExitCode
from hasteward.domain.option import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from hasteward.cli.session import Session
    from hasteward.config.setting import Setting
    from hasteward.domain.cluster import ClusterRef
    from hasteward.domain.snapshot import Snapshot
    from hasteward.pipelines.catalog import Catalog
    from hasteward.pipelines.restore import RestoreResult
    from hasteward.plugins import Engine

#: settings that lead to a place, beside the engine's own
_PLACE = ("via", "kubeconfig", "context")


def _allowed_to_extract(session: Session, engine: Engine, cluster: ClusterRef, catalog: Catalog) -> None:
    """A capture of files needs more rights than a dump; they are asked for before anything begins."""
    from hasteward.cli import preflight
    from hasteward.domain.capability import Capability
    from hasteward.pipelines.extract import choose, is_capture

    settings = session.settings
    layout, instance = engine.layout(settings.options()), settings.integer("instance")
    reference = settings.text("snapshot")
    entry = choose(engine, catalog, reference, layout, cluster=cluster, instance=instance)
    if is_capture(engine, entry):
        preflight.require(session, engine.info, Capability.EXTRACT)


def _restored(
    session: Session, engine: Engine, cluster: ClusterRef, found: Callable[[], list[Snapshot]]
) -> RestoreResult:
    from hasteward.cli import preflight
    from hasteward.domain.capability import Capability
    from hasteward.pipelines.catalog import Begun
    from hasteward.pipelines.restore import RestoreRequest, restore
    from hasteward.ports.context import RestoreOptions

    settings, catalog = session.settings, Begun(found)
    preflight.require(session, engine.info, Capability.RESTORE)
    if engine.info.capture is not None and settings.integer("instance") is not None:
        _allowed_to_extract(session, engine, cluster, catalog)
    request = RestoreRequest(
        snapshot=settings.text("snapshot"),
        options=RestoreOptions(
            instance=settings.integer("instance"),
            databases=settings.items("database"),
            keep_old=settings.flag("keep_old"),
            force=settings.flag("force"),
            as_superuser=settings.flag("as_superuser"),
        ),
        agreed=settings.flag("yes") and not session.dry_run,
    )
    context, repository = session.wiring.context(), session.wiring.repository
    return restore(engine, context, cluster, repository, request, catalog=catalog)


def _run(session: Session) -> Answer:
    from hasteward.domain.capability import Capability, Supported

    settings = session.settings
    require_dump(settings)
    engine = session.engine(Capability.RESTORE)
    cluster = session.cluster()
    # the store takes half a second to open for each question: what it holds is asked beside all others
    with session.wiring.repository.listing() as found:
        result = _restored(session, engine, cluster, found)

    from hasteward.cli.render import human
    from hasteward.cli.render.shapes import RestoreData

    data = RestoreData(
        cluster=session.cluster_data(),
        snapshot=result.snapshot,
        restored=result.outcome.restored,
        kept=result.outcome.kept,
        checks=result.outcome.checks,
        undo=_undo(session) if result.outcome.kept and engine.puts_back is not None else "",
        seconds=result.seconds,
        dry_run=result.dry_run,
        plan=session.journal.plan,
    )
    looks = isinstance(engine.info.capability(Capability.TRIAGE), Supported)
    return Answer(data, partial(human.restore, looks=looks))


def _undo(session: Session) -> str:
    """The command that takes this run back: it needs what was said on this command line to find the place."""
    from hasteward.config.resolve import Origin

    cluster = session.cluster()
    words = ["hasteward", "undo", session.run.id, "-e", cluster.engine, "-c", cluster.name]
    words += ["-n", cluster.namespace]
    for one in session.settings.all():
        wanted = one.setting.engine or one.setting.name in _PLACE
        if not wanted or one.origin is not Origin.FLAG or one.setting.secret:
            continue
        values = one.value if isinstance(one.value, tuple) and one.setting.kind is Kind.LIST else (one.value,)
        for value in values:
            words += _words(one.setting, value)
    return shlex.join(words)


def _words(setting: Setting, value: object) -> list[str]:
    if isinstance(value, bool):
        return [setting.flag if value else setting.flag.replace("--", "--no-", 1)]
    if isinstance(value, tuple):
        return [setting.flag, shlex.join(value)]
    return [setting.flag, str(value)]


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
