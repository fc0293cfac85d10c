"""Which of the ways to give the repository's password is taken. Pure: nothing is read or run here."""

from __future__ import annotations

from hasteward.config.resolve import Origin, Resolved, Settings
from hasteward.config.settings import BY_NAME
from hasteward.domain.errors import InvalidInput

TEXT = "restic_password"
FILE = "restic_password_file"
COMMAND = "restic_password_command"
SECRET = "restic_password_secret"  # noqa: S105 (the name of a setting)
#: every way; those that say where the password is come before the one that is the password
WAYS = (FILE, COMMAND, SECRET, TEXT)

_STRENGTH = {Origin.FLAG: 3, Origin.ENVIRONMENT: 2, Origin.FILE: 1, Origin.DEFAULT: 0}


def chosen(settings: Settings) -> Resolved:
    """The strongest way that was given: flag over environment over file.

    Of equally strong ones, those that say where it is go before the text, as in restic; two flags, or two
    that say where, exclude each other. Raises InvalidInput, also when there is none.
    """
    given = [settings.resolved(name) for name in WAYS if name in settings and settings.resolved(name).value]
    if not given:
        raise InvalidInput(
            "the password of the repository is not given",
            hint=f"give {BY_NAME[FILE].ways}, or set RESTIC_PASSWORD",
            code="repository.no_password",
        )
    strongest = max(_STRENGTH[one.origin] for one in given)
    given = [one for one in given if _STRENGTH[one.origin] == strongest]
    if given[0].origin is not Origin.FLAG:
        given = [one for one in given if one.setting.name != TEXT] or given
    if len(given) > 1:
        first, second = (_said(one) for one in given[:2])
        raise InvalidInput(
            f"{first} and {second} exclude each other", hint="give one of them", code="setting.conflict"
        )
    return given[0]


def _said(one: Resolved) -> str:
    return f"{one.setting.name} in {one.place}" if one.origin is Origin.FILE else one.place
