"""Flag over environment over file over default, and for every value where it came from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from hasteward.config.file import ConfigFile, no_options, read, require_in_file
from hasteward.config.settings import BY_NAME, Kind, Setting, Value
from hasteward.config.values import from_text, from_toml
from hasteward.domain.errors import InvalidInput

#: what `config show` prints instead of a secret
HIDDEN = "***"


class Origin(StrEnum):
    """Where a value came from, strongest first."""

    FLAG = "flag"
    ENVIRONMENT = "environment"
    FILE = "file"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Resolved:
    """A value and its origin. `place` is the flag, the variable or the file."""

    setting: Setting
    value: Value
    origin: Origin
    place: str = ""

    @property
    def shown(self) -> Value:
        """The value, or ``***`` for a secret that is set."""
        return HIDDEN if self.setting.secret and self.value else self.value


Given = Mapping[str, str | bool | tuple[str, ...] | None]


class Settings:
    """The settings of one run, read by name; asking for one that the verb does not have is our mistake."""

    def __init__(self, resolved: Iterable[Resolved], file: ConfigFile) -> None:
        self._resolved = {one.setting.name: one for one in resolved}
        self.file = file

    def __contains__(self, name: str) -> bool:
        return name in self._resolved

    def all(self) -> tuple[Resolved, ...]:
        """Every value, in the order of the table."""
        return tuple(self._resolved.values())

    def resolved(self, name: str) -> Resolved:
        """One value with its origin."""
        return self._resolved[name]

    def text(self, name: str) -> str:
        """A text or a choice; "" when it is not set."""
        value = self._resolved[name].value
        return "" if value is None else str(value)

    def required(self, name: str) -> str:
        """A text that must be set; InvalidInput naming the flag and the variable if it is not."""
        found = self.text(name)
        if not found:
            setting = BY_NAME[name]
            raise InvalidInput(
                f"{setting.flag} is required", hint=f"give {setting.ways}", code="setting.missing"
            )
        return found

    def options(self) -> dict[str, Value]:
        """The options of the engine that was chosen, by name."""
        return {name: one.value for name, one in self._resolved.items() if one.setting.engine}

    def flag(self, name: str) -> bool:
        """A boolean."""
        return bool(self._resolved[name].value)

    def integer(self, name: str) -> int | None:
        """A whole number; None when it is not set."""
        value = self._resolved[name].value
        return value if isinstance(value, int) else None

    def seconds(self, name: str) -> float:
        """A deadline."""
        value = self._resolved[name].value
        assert isinstance(value, int | float)  # noqa: S101  every deadline has a default
        return float(value)

    def items(self, name: str) -> tuple[str, ...]:
        """What was given several times, or the words of a command."""
        value = self._resolved[name].value
        return value if isinstance(value, tuple) else ()


_NO_ENGINES: Mapping[str, Sequence[Setting]] = {}


def resolve(
    names: Iterable[str],
    given: Given,
    environ: Mapping[str, str],
    engines: Mapping[str, Sequence[Setting]] = _NO_ENGINES,
    known_options: Callable[[], Mapping[str, bool]] = no_options,
) -> Settings:
    """Resolve the settings called `names`, and the options of the engine that they choose.

    `engines` holds every installed engine's options that the verb takes, `known_options` the names of all
    (with whether each is a secret), which may stand in the file. Raises InvalidInput for values and files
    that cannot be used, and for a flag that belongs to another engine.
    """
    config = _one(BY_NAME["config"], given, environ, ConfigFile())
    file = read(str(config.value or ""), environ, known_options)
    wanted = set(names)
    core = [setting for setting in BY_NAME.values() if setting.name in wanted]
    engine = str(_one(BY_NAME["engine"], given, environ, file).value or "")
    options = _options(engine, given, engines)
    return Settings([_one(setting, given, environ, file) for setting in (*core, *options)], file)


def _options(engine: str, given: Given, engines: Mapping[str, Sequence[Setting]]) -> list[Setting]:
    """The options of `engine`; of every engine, each name once, when none is chosen."""
    if not engine:
        return list({one.name: one for settings in engines.values() for one in settings}.values())
    if engine not in engines:
        return []  # which engines there are is said when it is asked for
    chosen = list(engines[engine])
    names = {one.name for one in chosen}
    for owner, settings in engines.items():
        for one in settings:
            if one.name not in names and given.get(one.name) not in (None, ()):
                raise InvalidInput(
                    f"{one.flag} is an option of engine {owner}, not of {engine}", code="option.other_engine"
                )
    return chosen


def _one(setting: Setting, given: Given, environ: Mapping[str, str], file: ConfigFile) -> Resolved:
    flag = given.get(setting.name)
    if flag not in (None, ()):
        value = from_text(setting, flag, setting.flag) if isinstance(flag, str) else flag
        return Resolved(setting, value, Origin.FLAG, setting.flag)
    for variable in setting.env:
        text = environ.get(variable)
        # an empty variable is no text, but it is a "no"
        if text or (text is not None and setting.kind is Kind.BOOLEAN):
            return Resolved(setting, from_text(setting, text, variable), Origin.ENVIRONMENT, variable)
    if setting.engine and setting.name in file.options:
        require_in_file(setting, file.path)
        value = from_toml(setting, file.options[setting.name], f"{setting.name} in {file.path}")
        return Resolved(setting, value, Origin.FILE, str(file.path))
    if setting.name in file.values:
        return Resolved(setting, file.values[setting.name], Origin.FILE, str(file.path))
    return Resolved(setting, setting.default, Origin.DEFAULT)
