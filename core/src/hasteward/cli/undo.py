"""``hasteward undo``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasteward.cli.verb import CLUSTER, Answer, Argument, Verb
from hasteward.domain.errors import ExitCode

if TYPE_CHECKING:
    from hasteward.cli.session import Session


def _run(session: Session) -> Answer:
    from hasteward.domain.capability import Capability

    engine = session.engine(Capability.HEAL)
    cluster = session.cluster()

    from hasteward.cli import preflight
    from hasteward.cli.render import human
    from hasteward.cli.render.shapes import UndoData
    from hasteward.pipelines.repair import undo

    preflight.require(session, engine.info, Capability.HEAL, store=False)
    result = undo(engine, session.wiring.context(), cluster, session.arguments.get("run", ""))
    data = UndoData(
        cluster=session.cluster_data(),
        run=result.run,
        undone=result.undone,
        dry_run=result.dry_run,
        plan=session.journal.plan,
    )
    return Answer(data, human.undo)


VERB = Verb(
    _run,
    "Takes back what a repair did that was killed or failed half way: fences, helper pods, switches. Past an"
    " act that only goes forward it refuses and names the command that finishes instead.",
    settings=CLUSTER,
    exit_codes={
        ExitCode.INVALID: "a value is wrong, or the unfinished repair is another run's",
        ExitCode.DEPENDENCY: "the API or a right is missing",
        ExitCode.REFUSED: "it cannot be taken back any more, or another run is at work",
    },
    argument=Argument("run", required=False),
    notes={
        "instance": "Accepted; the journal says which member it is about.",
        "force": "Accepted; nothing overrides a refusal of undo.",
    },
    observed=True,
)
