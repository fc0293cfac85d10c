"""``hasteward init``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasteward.cli.verb import REPOSITORY, STORE_CODES, Answer, Verb
from hasteward.domain.errors import ExitCode, InvalidInput, RepositoryMissing

if TYPE_CHECKING:
    from hasteward.cli.session import Session


def _run(session: Session) -> Answer:
    from hasteward.cli.render import human
    from hasteward.cli.render.lines import plan_data
    from hasteward.cli.render.shapes import InitData
    from hasteward.domain.plan import Plan, Reversal, Step

    repository = session.wiring.repository
    location = session.settings.text("backups_path")
    plan = Plan(
        "create a repository",
        (
            Step("see that there is none yet"),
            Step("create it and remember its id on this machine", Reversal.REVERSIBLE),
        ),
    )
    if session.dry_run:
        session.approve(plan)
        try:
            found = repository.open()
        except RepositoryMissing:
            return Answer(InitData("", location, dry_run=True, plan=plan_data(plan)), human.init)
        raise InvalidInput(
            f"there is already a repository at {found.location}",
            hint="use it as it is, or choose another --backups-path",
            code="repository.exists",
        )
    info = repository.init()
    return Answer(InitData(info.id, info.location, dry_run=False, plan=plan_data(plan)), human.init)


VERB = Verb(
    _run,
    "Nothing but this command ever creates a repository, so a missing volume or a misspelt path is an error"
    " everywhere else.",
    settings=(*REPOSITORY, "dry_run"),
    exit_codes={
        **{code: text for code, text in STORE_CODES.items() if code is not ExitCode.NO_REPOSITORY},
        ExitCode.INVALID: "a value is wrong, or there is one already",
    },
    observed=True,
)
