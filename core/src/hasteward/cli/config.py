"""``hasteward config show``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasteward.cli.verb import Answer, Verb
from hasteward.config.settings import SETTINGS
from hasteward.domain.errors import ExitCode

if TYPE_CHECKING:
    from hasteward.cli.session import Session


def _run(session: Session) -> Answer:
    from hasteward.cli.render import human
    from hasteward.cli.render.shapes import ConfigData, SettingData

    rows = tuple(
        SettingData(
            name=one.setting.name,
            flag=one.setting.flag,
            env=one.setting.env,
            value=one.shown,
            origin=one.origin.value,
            place=one.place,
        )
        for one in session.settings.all()
    )
    file = session.settings.file.path
    return Answer(ConfigData(str(file) if file else "", rows, _password(session)), human.config)


def _password(session: Session) -> str:
    from hasteward.config.password import chosen
    from hasteward.domain.errors import InvalidInput

    try:
        found = chosen(session.settings)
    except InvalidInput as error:
        return f"nowhere: {error.message}"
    return f"{found.setting.name} ({found.place})"


VERB = Verb(
    _run,
    "Takes every flag of every command, so that you can see what it would be worth. Secrets are not shown.",
    settings=tuple(setting.name for setting in SETTINGS),
    exit_codes={ExitCode.INVALID: "a value or the file is invalid"},
    every_option=True,
)
