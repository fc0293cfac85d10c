"""What a setting is; those of the tool are in `settings`, engines bring further ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hasteward.domain.option import Kind, OptionSpec, Value


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that can be set.

    `env` is tried in order. `common` settings may also stand before the verb. `in_file` is False for what
    must be said anew for every run. `negated` gives a boolean a ``--no-`` form. `bare` is the value of a flag
    that stands alone. `has_flag` is False for what belongs to the machine and not to a run, or must not be
    seen in a list of processes. `engine` names the engine whose option it is, and `verbs` the commands that
    take it (empty: every one that is about a cluster). A text must match `form`, or is refused and not shown.
    """

    name: str
    kind: Kind
    help: str
    short: str = ""
    env: tuple[str, ...] = ()
    default: Value = None
    choices: tuple[str, ...] = ()
    metavar: str = ""
    form: str = ""
    secret: bool = False
    common: bool = True
    in_file: bool = True
    negated: bool = False
    bare: str = ""
    has_flag: bool = True
    engine: str = ""
    verbs: tuple[str, ...] = ()

    @property
    def flag(self) -> str:
        """``--long-name``, "" if there is none."""
        return "--" + self.name.replace("_", "-") if self.has_flag else ""

    @property
    def ways(self) -> str:
        """For messages: every way to give it, ``--engine (-e) or HASTEWARD_ENGINE``."""
        flag = f"{self.flag} ({self.short})" if self.short else self.flag
        return " or ".join(way for way in (flag, *self.env) if way)


def engine_settings(options: Mapping[str, Iterable[OptionSpec]]) -> dict[str, tuple[Setting, ...]]:
    """The options of every engine as settings, by the engine's name."""
    return {engine: tuple(_setting(engine, one) for one in specs) for engine, specs in options.items()}


def _setting(engine: str, spec: OptionSpec) -> Setting:
    return Setting(
        spec.name,
        spec.kind,
        spec.help,
        env=(spec.env,),
        default=() if spec.kind is Kind.LIST and spec.default is None else spec.default,
        choices=spec.choices,
        metavar=spec.metavar,
        form=spec.form,
        secret=spec.secret,
        common=False,
        in_file=spec.in_file,
        engine=engine,
        verbs=spec.verbs,
    )
