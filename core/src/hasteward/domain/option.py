"""What can be set, as data: the kinds of values, and the options that an engine adds to the command line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


class Kind(StrEnum):
    """How the text of a value is read."""

    TEXT = "text"
    CHOICE = "choice"
    INTEGER = "integer"
    SECONDS = "seconds"
    BOOLEAN = "boolean"
    LIST = "list"
    #: a program and its arguments: words as a shell would split them, or in the file a list; no shell runs it
    COMMAND = "command"


Value = str | int | float | bool | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class OptionSpec:
    """An option of one engine. Its flag, variable and key in the configuration file follow from `name`.

    ``db_type`` is given as ``--db-type``, ``HASTEWARD_DB_TYPE`` or ``db_type = ...``, in this order of
    strength, and reaches every hook in ``context.options["db_type"]``, read as `kind` says. A text that does
    not match `form` as a whole (a regular expression) is refused and repeated nowhere: where a place is asked
    for, somebody may give the secret itself. What the values mean together is the engine's to check. `verbs`
    limits it to some commands; empty means every command that is about one cluster. `in_file` is False for
    what must be said anew for every run.

    Engines may use the same name for options of their own: the one that ``--engine`` chooses says how its
    value is read. They must agree on whether it is a yes or no, a list, or one value.
    """

    name: str
    help: str
    kind: Kind = Kind.TEXT
    default: Value = None
    choices: tuple[str, ...] = ()
    metavar: str = ""
    form: str = ""
    secret: bool = False
    in_file: bool = True
    verbs: tuple[str, ...] = ()

    @property
    def env(self) -> str:
        """``HASTEWARD_DB_TYPE``."""
        return f"HASTEWARD_{self.name.upper()}"

    @property
    def shape(self) -> Kind:
        """What the command line must know before it knows the engine."""
        return self.kind if self.kind in {Kind.BOOLEAN, Kind.LIST} else Kind.TEXT

    @property
    def problem(self) -> str:
        """Why it cannot be used, in words; "" when it can."""
        if not _NAME.fullmatch(self.name):
            return f"option {self.name!r} is not named in small letters, digits and single underscores"
        if (self.kind is Kind.CHOICE) != bool(self.choices):
            return f"option {self.name!r} has choices and another kind, or the other way round"
        if self.kind is Kind.CHOICE and self.default is not None and self.default not in self.choices:
            return f"the default of option {self.name!r} is none of its choices"
        return ""
