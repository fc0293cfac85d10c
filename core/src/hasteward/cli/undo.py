"""``hasteward undo``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from hasteward.cli.verb import CLUSTER, Answer, Argument, Verb
from hasteward.domain.errors import ExitCode

if TYPE_CHECKING:
    from hasteward.cli.session import Session


def _run(session: Session) -> Answer:
    from hasteward.domain.capability import Capability, Supported

    engine = session.engine()
    cluster = session.cluster()

    from hasteward.cli import preflight
    from hasteward.cli.render import human
    from hasteward.cli.render.shapes import UndoData
    from hasteward.pipelines.undo import capabilities, undo

    preflight.require(session, engine.info, *capabilities(engine), store=False)
    result = undo(engine, session.wiring.context(), cluster, session.arguments.get("run", ""))
    data = UndoData(
        cluster=session.cluster_data(),
        run=result.run,
        undone=result.undone,
        kept=result.kept,
        dry_run=result.dry_run,
        plan=session.journal.plan,
    )
    looks = isinstance(engine.info.capability(Capability.TRIAGE), Supported)
    return Answer(data, partial(human.undo, looks=looks))


VERB = Verb(
    _run,
    "Takes back what a repair did that was killed or failed half way: fences, helper pods, switches. Past an"
    " act that only goes forward it refuses and names the command that finishes instead. When no repair is"
    " unfinished, it takes back the last restore: what that had replaced and kept becomes live again, and"
    " what was live is kept in its place. RUN names another run than the last one.",
    settings=(*CLUSTER, "yes"),
    exit_codes={
        ExitCode.INVALID: "a value is wrong, or the unfinished repair is another run's",
        ExitCode.DEPENDENCY: "the API or a right is missing",
        ExitCode.REFUSED: "it cannot be taken back any more, nobody agreed, or another run is at work",
    },
    argument=Argument("run", required=False),
    notes={
        "instance": "Accepted; the journal says which member it is about.",
        "force": "Accepted; nothing overrides a refusal of undo.",
    },
    observed=True,
)
