"""commands.md and configuration.md, from the tables that the command line is made of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pieces import anchor, code, table

from hasteward.cli.parser import VerbCommand, load_verb, settings_of
from hasteward.cli.verb import BASIC, VERBS
from hasteward.config.settings import SETTINGS, Kind, Setting


def commands() -> Iterator[str]:
    """Every command: its help, its options, its exit codes."""
    yield "# Commands"
    yield "What `--help` says, in one page. Options may stand before or after the command."
    yield "An option that is not given is taken from its environment variable, then from the"
    yield "[configuration file](configuration.md), then from its default."
    yield ""
    rows = [
        (f"[`hasteward {name}`](#{anchor('hasteward ' + name)})", entry.help) for name, entry in VERBS.items()
    ]
    yield from table(("command", "what it does"), rows)
    yield "Plugins may add commands of their own: the distribution `hasteward-lab` adds `hasteward lab`,"
    yield "a cluster in a box ([tutorial](../tutorial/first-backup-and-restore.md); `hasteward lab --help`)."
    yield "`hasteward --version` is short for `hasteward version`."
    yield ""
    yield "## Options of every command"
    yield ""
    yield from options([one for one in SETTINGS if one.name in BASIC], {})
    yield "`-h`, `--help` prints the command's help."
    yield ""
    for name in VERBS:
        yield from command_section(name)


def command_section(name: str) -> Iterator[str]:
    """One command."""
    verb = load_verb(name)
    own = [one for one in settings_of(verb) if one.name not in BASIC and one.has_flag]
    words = f" {'|'.join(verb.argument.choices)}" if verb.argument else ""
    yield f"## hasteward {name}"
    yield ""
    yield f"`hasteward {name}{words}{' [OPTIONS]' if own else ''}`"
    yield ""
    yield VERBS[name].help
    yield ""
    yield verb.details
    yield ""
    if own:
        yield from options(own, verb.notes)
    else:
        yield "No options but [those of every command](#options-of-every-command)."
        yield ""
    statuses = re.findall(r"(\d+) ([^;]+?)(?=[;.]\s|\.$)", VerbCommand(name, verb).epilog or "")
    yield from table(("exit status", "when"), list(statuses))


def options(settings: list[Setting], notes: Mapping[str, str]) -> Iterator[str]:
    """The options of a command as a table."""
    rows = [
        (flag_cell(one), notes.get(one.name, "") or one.help, env_cell(one), default_cell(one))
        for one in settings
    ]
    yield from table(("option", "meaning", "environment", "default"), rows)


def flag_cell(setting: Setting) -> str:
    """``-o``, ``--file FILE``."""
    value = setting.metavar or "|".join(setting.choices)
    if setting.kind is Kind.BOOLEAN:
        long = code(setting.flag) + (f", `--no-{setting.flag[2:]}`" if setting.negated else "")
    else:
        long = code(f"{setting.flag} {value}")
    return f"{code(setting.short)}, {long}" if setting.short else long


def env_cell(setting: Setting) -> str:
    """The variables, first choice first."""
    return ", ".join(map(code, setting.env))


def default_cell(setting: Setting) -> str:
    """The default, where there is one."""
    match setting.default:
        case None | ():
            return ""
        case tuple():
            return ", ".join(map(code, setting.default))
        case bool():
            return "yes" if setting.default else "no"
        case float():
            return code(int(setting.default))
        case _:
            return code(setting.default)


CONFIGURATION = """\
A setting is taken from the first of these that has it:

1. its flag,
2. its environment variable (of two, the first named one that is set),
3. its key in the configuration file,
4. its default.

`hasteward config show` prints every setting, what it is worth now, and where that came from;
a secret is shown as `***`.

## The file

TOML, one key per setting, no tables: its name in the table below, which is the long flag with `_` for `-`.
The file is `--config FILE`, else `HASTEWARD_CONFIG`, else `hasteward/config.toml` below `XDG_CONFIG_HOME`,
else `~/.config/hasteward/config.toml`.
A file that was named must exist; the default one need not.

```toml
backups_path = "/backups/restic"
restic_password_file = "/etc/hasteward/password"
require_mount = true
stall_timeout = 120
```

An unknown key, a wrong type, or a setting that a file may not hold is an error (exit status 3).
A file that holds `restic_password`, `ping_url` or `notice_url` and can be read by others brings a warning.

## Options of engines

An engine may add options of its own; `hasteward backup --help` shows those of every installed engine.
They are set like all others: `--db-type`, `HASTEWARD_DB_TYPE`, or `db_type` in the file.
The engine that `--engine` chooses says how a value is read; a flag of another engine is an error.

## Values

* **boolean**: in the file `true` or `false`; in a variable 1, t, true, yes, on or 0, f, false, no, off.
  An empty variable is a no. `NO_COLOR` is a yes whatever its value, unless it is empty.
* **seconds**: a number above 0, a fraction too.
* **integer**: a whole number, 0 or more.
* **list**: give the flag several times; separate by commas in a variable; in the file a list of texts.
* **command**: a program and its arguments, split into words as a shell does, or in the file a list of texts.
  No shell runs it: `|`, `$NAME` and `~` mean nothing.
* An empty variable of any other kind counts as not set.

## Settings
"""


def configuration() -> Iterator[str]:
    """Precedence, the file, and every setting."""
    yield "# Configuration"
    yield CONFIGURATION
    rows = [
        (
            code(one.name),
            ", ".join(map(code, filter(None, (one.flag, one.short)))) or "none",
            env_cell(one),
            "yes" if one.in_file else "no",
            ", ".join(map(code, one.choices)) or one.kind.value,
            default_cell(one),
        )
        for one in SETTINGS
    ]
    yield from table(("setting", "flag", "environment", "in the file", "value", "default"), rows)
    yield from (f"* `{one.name}`: {one.help}" for one in SETTINGS)
