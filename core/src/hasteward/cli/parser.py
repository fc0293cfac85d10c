"""The command line as typer sees it, made from the tables of verbs and settings.

Parsing ends with an `Invocation`; the verb runs outside of typer, which would swallow signals and errors.
Options stay None unless they were given: what they are worth is decided in `config.resolve`.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from hasteward.cli.verb import BASIC, CLUSTER, GROUPS, OBSERVING, VERBS, Verb
from hasteward.config.settings import BY_NAME, SETTINGS, Kind, Setting, engine_settings

if TYPE_CHECKING:
    from hasteward.hookspecs import CommandSpec
    from hasteward.plugins import Plugins

#: typer's name for a command line that cannot be parsed; its home has moved between releases
UsageProblem: type[Exception] = typer.BadParameter.__bases__[0]

#: set by the script that `hasteward completion` prints
_COMPLETION = "_HASTEWARD_COMPLETE"
_WIDTH = {"max_content_width": 100, "help_option_names": ["-h", "--help"]}
_ABOUT = """Triage, backup and restore of database clusters.

Every setting is taken from its flag, else from its environment variable, else from the configuration file;
`hasteward config show` says which. Flags may stand before or after the command."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """What was asked for: the verb, what was given, the words after it, and what engines add to the verb.

    `known_options` names every option of every engine, with whether it is a secret.
    """

    command: str
    verb: Verb
    given: Mapping[str, Any]
    arguments: Mapping[str, str]
    engines: Mapping[str, Sequence[Setting]]
    known_options: Callable[[], Mapping[str, bool]]


@dataclass(frozen=True, slots=True)
class Contributed:
    """A command of a plugin, with everything that follows its name."""

    spec: CommandSpec
    arguments: tuple[str, ...]


#: the installed plugins, loaded when they are first asked for
Installed = Callable[[], "Plugins"]


def no_plugins() -> Plugins:
    """For the reference: the command line as it is without any engine."""
    from hasteward.plugins import Plugins

    return Plugins({}, (), ())


def load_verb(command: str) -> Verb:
    """Import the module of one verb."""
    module = importlib.import_module(f"hasteward.cli.{VERBS[command].module}")
    return cast("Verb", module.VERB)


def settings_of(verb: Verb) -> list[Setting]:
    """Every setting that the verb takes, in the order of the table."""
    names = {*BASIC, *verb.settings}
    if verb.observed:
        names.update(OBSERVING)
    return [setting for setting in SETTINGS if setting.name in names]


def engine_options(command: str, verb: Verb, installed: Installed) -> dict[str, tuple[Setting, ...]]:
    """What each engine adds to the verb; by default its options go to every verb about one cluster."""
    about_one = set(CLUSTER) <= set(verb.settings)
    if not about_one:
        return {}
    added = engine_settings(installed().options)
    return {
        engine: tuple(one for one in settings if not one.verbs or command in one.verbs or verb.every_option)
        for engine, settings in added.items()
    }


def _merged(engines: Mapping[str, Sequence[Setting]]) -> list[Setting]:
    """One flag for each name, with what every engine says of it."""
    found: dict[str, list[Setting]] = {}
    for settings in engines.values():
        for one in settings:
            found.setdefault(one.name, []).append(one)
    return [
        replace(same[0], help=" ".join(f"{one.engine}: {one.help}" for one in same))
        for same in found.values()
    ]


def _option(setting: Setting, note: str = "") -> TyperOption:
    decls = [setting.name, f"{setting.flag}/--no-{setting.flag[2:]}" if setting.negated else setting.flag]
    if setting.short:
        decls.append(setting.short)
    facts = [f"env: {', '.join(setting.env)}"] if setting.env else []
    if setting.default not in (None, False, ()):
        facts.append(f"default: {_shown(setting.default)}")
    text = note or setting.help
    boolean = setting.kind is Kind.BOOLEAN
    return TyperOption(
        param_decls=decls,
        type=None if boolean else str,
        is_flag=boolean,
        default=None,
        multiple=setting.kind is Kind.LIST,
        metavar=None if boolean else (setting.metavar or "|".join(setting.choices)),
        help=f"{text}  [{'; '.join(facts)}]" if facts else text,
        autocompletion=_completer(setting),
    )


def _shown(default: object) -> str:
    if default is True:
        return "yes"
    return str(int(default)) if isinstance(default, float) else str(default)


def _offer(words: Callable[[], Sequence[str]]) -> Callable[[Any, Any, str], list[str]]:
    """A completion that offers the words that begin like what was typed."""
    return lambda _context, _arguments, typed: [word for word in words() if word.startswith(typed)]


def _completer(setting: Setting) -> Callable[[Any, Any, str], list[str]] | None:
    if setting.name == "engine":
        return _offer(_installed_engines)
    return _offer(lambda: setting.choices) if setting.choices else None


def _installed_engines() -> list[str]:
    from hasteward.plugins import installed_entry_points, load

    return sorted(load(installed_entry_points()).engines)


class VerbCommand(TyperCommand):
    """A verb; invoking it answers with what was asked for."""

    def __init__(self, command: str, verb: Verb, installed: Installed = no_plugins) -> None:
        self.command = command
        self.verb = verb
        self.engines = engine_options(command, verb, installed)
        self._installed = installed
        parameters: list[Any] = [
            _option(one, verb.notes.get(one.name, "")) for one in settings_of(verb) if one.has_flag
        ]
        parameters += [_option(one) for one in _merged(self.engines)]
        if verb.argument is not None:
            choices = verb.argument.choices
            parameters.insert(
                0,
                TyperArgument(
                    param_decls=[verb.argument.name],
                    type=str,
                    required=verb.argument.required,
                    metavar="|".join(choices) or f"[{verb.argument.name.upper()}]",
                    autocompletion=_offer(lambda: choices),
                ),
            )
        super().__init__(
            command.rpartition(" ")[2],
            params=parameters,
            help=f"{VERBS[command].help}\n\n{verb.details}".strip(),
            epilog=_epilog(verb),
            context_settings=dict(_WIDTH),
            rich_markup_mode=None,
        )

    def invoke(self, ctx: Any) -> Invocation:
        """Collect what was given, before the verb and after it."""
        given = {name: value for name, value in ctx.params.items() if value not in (None, ())}
        arguments = {}
        if self.verb.argument is not None:
            word = str(given.pop(self.verb.argument.name, ""))
            choices = self.verb.argument.choices
            if choices and word not in choices:
                ctx.fail(f"{word!r} is not one of {', '.join(choices)}.")
            arguments[self.verb.argument.name] = word
        names = {setting.name for setting in settings_of(self.verb)}
        for name, value in ctx.find_root().params.items():
            if value in (None, ()):
                continue
            if name not in names:
                ctx.fail(f"{BY_NAME[name].flag} has no meaning for {self.command!r}.")
            given.setdefault(name, value)
        return Invocation(self.command, self.verb, given, arguments, self.engines, self._known_options)

    def _known_options(self) -> Mapping[str, bool]:
        return {one.name: one.secret for options in self._installed().options.values() for one in options}


def _epilog(verb: Verb) -> str:
    texts: dict[int, str] = {0: "done", 1: "failed", 2: "usage", 130: "interrupted"}
    texts.update({code.value: text for code, text in verb.exit_codes.items()})
    return f"Exit status: {'; '.join(f'{code} {texts[code]}' for code in sorted(texts))}."


class ContributedCommand(TyperCommand):
    """A command that a plugin brings; its arguments, ``--help`` too, are its own affair."""

    def __init__(self, spec: CommandSpec) -> None:
        self.spec = spec
        super().__init__(spec.name, help=spec.help, add_help_option=False, rich_markup_mode=None)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Leave them alone."""
        ctx.args = list(args)
        return args

    def invoke(self, ctx: Any) -> Contributed:
        """Answer with what was asked for."""
        return Contributed(self.spec, tuple(ctx.args))


class Group(TyperGroup):
    """Commands by name; a module is imported when its command is chosen, never to print a list."""

    def __init__(self, prefix: str = "", installed: Installed = no_plugins, **more: Any) -> None:
        self.prefix = prefix
        self._installed = installed
        super().__init__(context_settings=dict(_WIDTH), rich_markup_mode=None, **more)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Alone it shows its help."""
        return super().parse_args(ctx, args or ["--help"])

    def _commands(self) -> Sequence[CommandSpec]:
        """What plugins bring; only the root has them."""
        return () if self.prefix else self._installed().commands

    def _lines(self) -> dict[str, str]:
        """Every name at this level with its help."""
        lines: dict[str, str] = {}
        for command, entry in VERBS.items():
            if command.startswith(self.prefix):
                name, _, deeper = command.removeprefix(self.prefix).partition(" ")
                lines.setdefault(name, GROUPS[name] if deeper else entry.help)
        for spec in self._commands():
            lines.setdefault(spec.name, spec.help)
        return lines

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, core's first."""
        del ctx
        return list(self._lines())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, with its module imported; None if there is none."""
        del ctx
        command = self.prefix + cmd_name
        if command in VERBS:
            return VerbCommand(command, load_verb(command), self._installed)
        if not self.prefix and cmd_name in GROUPS:
            return Group(f"{cmd_name} ", self._installed, name=cmd_name, help=GROUPS[cmd_name])
        return next((ContributedCommand(s) for s in self._commands() if s.name == cmd_name), None)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list, from the table alone."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(self._lines().items()))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As typer does it, and its "did you mean" knows the lazy names too."""
        if self.prefix + args[0] not in VERBS and args[0] not in GROUPS:
            self.commands = cast("dict[str, Any]", dict.fromkeys(self._lines()))
        return super().resolve_command(ctx, args)


def root(installed: Installed) -> Group:
    """The whole command line."""
    common = [setting for setting in SETTINGS if setting.common and setting.has_flag]
    return Group(
        installed=installed,
        name="hasteward",
        help=_ABOUT,
        params=[_option(setting) for setting in common],
    )


def _with_bare_values(arguments: Sequence[str]) -> list[str]:
    """``--deep`` alone as ``--deep=yes``: typer knows no flag whose value may be left away."""
    bare = {setting.flag: f"{setting.flag}={setting.bare}" for setting in SETTINGS if setting.bare}
    return [bare.get(word, word) for word in arguments]


def parse(arguments: Sequence[str], installed: Installed) -> Invocation | Contributed | int:
    """What was asked for, or the exit status once help was shown. Raises `UsageProblem`, SystemExit."""
    if _COMPLETION in os.environ:
        # teaches typer its shells
        from typer.completion import get_completion_inspect_parameters

        get_completion_inspect_parameters()
    result = root(installed).main(
        _with_bare_values(arguments), prog_name="hasteward", complete_var=_COMPLETION, standalone_mode=False
    )
    return result if isinstance(result, Invocation | Contributed) else int(result or 0)
