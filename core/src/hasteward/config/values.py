"""Reading one value: from a flag's text, a variable's text or a file's TOML. Pure."""

from __future__ import annotations

import math
import re
import shlex

from hasteward.config.settings import Kind, Setting, Value
from hasteward.domain.errors import InvalidInput

_TRUE = frozenset({"1", "t", "true", "yes", "on"})
_FALSE = frozenset({"0", "f", "false", "no", "off", ""})
#: the convention of no-color.org: any value at all, but an empty one
_ANY_VALUE_IS_TRUE = "NO_COLOR"


def _invalid(setting: Setting, place: str, wanted: str, got: object) -> InvalidInput:
    shown = "the value given" if setting.secret else repr(got)
    return InvalidInput(f"{place}: {shown} is not {wanted}", code="setting.invalid")


def parse_boolean(text: str) -> bool | None:
    """True or False as scripts write them, None for anything else."""
    word = text.strip().lower()
    if word in _TRUE:
        return True
    return False if word in _FALSE else None


def from_text(setting: Setting, text: str, place: str) -> Value:
    """The value that `text` stands for; `place` names where it was found, for messages."""
    match setting.kind:
        case Kind.BOOLEAN:
            return _boolean(setting, text, place)
        case Kind.INTEGER:
            if not (text.isascii() and text.isdigit()):
                raise _invalid(setting, place, "a whole number", text)
            return int(text)
        case Kind.SECONDS:
            return _seconds(setting, text, place)
        case Kind.CHOICE:
            if text not in setting.choices:
                raise _invalid(setting, place, f"one of {', '.join(setting.choices)}", text)
        case Kind.LIST:
            return _words(setting, [word.strip() for word in text.split(",") if word.strip()], place)
        case Kind.COMMAND:
            return _command(setting, text, place)
        case Kind.TEXT:
            _check_form(setting, text, place)
    return text


def _check_form(setting: Setting, text: str, place: str) -> None:
    if setting.form and not re.fullmatch(setting.form, text):
        wanted = f"a {setting.metavar or 'text'} as it has to be: {setting.help}"
        raise InvalidInput(f"{place}: the value given is not {wanted}", code="setting.form")


def _boolean(setting: Setting, text: str, place: str) -> bool:
    value = bool(text) if place == _ANY_VALUE_IS_TRUE else parse_boolean(text)
    if value is None:
        raise _invalid(setting, place, "a yes or no (1, true, yes, on, 0, false, no, off)", text)
    return value


def _words(setting: Setting, words: list[str], place: str) -> tuple[str, ...]:
    """One value in a variable: separated by commas. Flags are given several times and do not come here."""
    for word in words:
        if setting.choices and word not in setting.choices:
            raise _invalid(setting, place, f"one of {', '.join(setting.choices)}", word)
    return tuple(words)


def _command(setting: Setting, text: str, place: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError:
        raise _invalid(setting, place, "a command whose quotes are closed", text) from None


def _seconds(setting: Setting, given: str | float, place: str) -> float:
    try:
        number = float(given)
    except ValueError:
        raise _invalid(setting, place, "a number of seconds", given) from None
    if not math.isfinite(number) or number <= 0:
        raise _invalid(setting, place, "a number of seconds above 0", given)
    return number


def from_toml(setting: Setting, raw: object, place: str) -> Value:
    """The value of a key of the configuration file."""
    match setting.kind, raw:
        case Kind.BOOLEAN, bool():
            return raw
        case Kind.BOOLEAN, _:
            raise _invalid(setting, place, "true or false", raw)
        case Kind.INTEGER, int() if not isinstance(raw, bool) and raw >= 0:
            return raw
        case Kind.INTEGER, _:
            raise _invalid(setting, place, "a whole number", raw)
        case Kind.SECONDS, int() | float() if not isinstance(raw, bool):
            return _seconds(setting, raw, place)
        case Kind.SECONDS, _:
            raise _invalid(setting, place, "a number of seconds", raw)
        case ((Kind.TEXT | Kind.CHOICE | Kind.COMMAND), str()):
            return from_text(setting, raw, place)
        case ((Kind.LIST | Kind.COMMAND), list()) if all(isinstance(word, str) for word in raw):
            return tuple(raw) if setting.kind is Kind.COMMAND else _words(setting, raw, place)
        case ((Kind.LIST | Kind.COMMAND), _):
            raise _invalid(setting, place, "a list of texts in quotes", raw)
        case _:
            raise _invalid(setting, place, "text in quotes", raw)
