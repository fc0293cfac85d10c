"""What a verb is, and the list of them. Importing this costs nothing; a verb's module loads when chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hasteward.domain.errors import ExitCode

if TYPE_CHECKING:
    from hasteward.cli.render.console import Paint
    from hasteward.cli.session import Session

#: settings that every verb has
BASIC = ("output", "log_format", "report", "no_color", "verbose", "config")
#: settings of verbs that observers are told of
OBSERVING = (
    "pre_hook",
    "post_hook",
    "error_hook",
    "hook_timeout",
    "hook_verbs",
    "ping_url",
    "notice_url",
    "notice_when",
    "notice_timeout",
)
#: settings of verbs that are about one cluster; all of them are taken, also where one has no effect
CLUSTER = (
    "engine",
    "cluster",
    "namespace",
    "instance",
    "force",
    "dry_run",
    "via",
    "kubeconfig",
    "context",
    "stall_timeout",
    "heal_timeout",
    "delete_timeout",
)
#: settings of verbs that open the repository
REPOSITORY = (
    "backups_path",
    "restic_password_file",
    "restic_password_command",
    "restic_password_secret",
    "restic_password",
    "require_mount",
    "stall_timeout",
    # a Secret is read from there
    "kubeconfig",
    "context",
)
#: how every verb that opens the repository can end; nothing but `backup` takes a lock in it
STORE_CODES: Mapping[ExitCode, str] = {
    ExitCode.INVALID: "a value is wrong or names nothing that exists",
    ExitCode.DEPENDENCY: "restic is missing or the repository cannot be reached",
    ExitCode.NO_REPOSITORY: "no repository",
    ExitCode.WRONG_PASSWORD: "wrong password",
    ExitCode.REFUSED: "refused, nothing touched (the error's code in --output json tells why)",
}
#: and those that work on a cluster beside it
WORK_CODES: Mapping[ExitCode, str] = {
    **STORE_CODES,
    ExitCode.DEPENDENCY: "restic, the repository, the API or a right is missing",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a verb has found or done: `data` for scripts, `human` makes text for people of it.

    `to_stderr` is for the one case in which standard output carries the data itself.
    """

    data: Any
    human: Callable[[Any, Paint], Iterable[str]]
    exit_code: ExitCode = ExitCode.OK
    to_stderr: bool = False


@dataclass(frozen=True, slots=True)
class Argument:
    """A word after the verb; without `choices` any word will do."""

    name: str
    choices: tuple[str, ...] = ()
    required: bool = True


@dataclass(frozen=True, slots=True)
class Verb:
    """One command. `notes` replaces a setting's help where the verb gives it a narrower meaning.

    Observers are told of the runs of a verb that is `observed`.
    `every_option` takes the engines' options whatever verbs they are meant for.
    """

    run: Callable[[Session], Answer]
    details: str
    settings: tuple[str, ...] = ()
    exit_codes: Mapping[ExitCode, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    argument: Argument | None = None
    observed: bool = False
    every_option: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of ``hasteward --help``; `module` holds ``VERB``."""

    module: str
    help: str


VERBS: dict[str, Entry] = {
    "triage": Entry("triage", "Say how a cluster is and what that rests on."),
    "backup": Entry("backup", "Back a cluster up into a restic repository."),
    "restore": Entry("restore", "Bring a proven snapshot back to life."),
    "repair": Entry("repair", "Heal the members that are not well, the least destructive way."),
    "undo": Entry("undo", "Take back an unfinished repair, or the last restore."),
    "export": Entry("export", "Write a snapshot to a file, checked byte by byte."),
    "get backups": Entry("get_backups", "List the snapshots of a repository."),
    "init": Entry("init", "Create a repository; nothing else ever does."),
    "doctor": Entry("doctor", "Check that everything that is needed is there."),
    "engines": Entry("engines", "List the installed engines and what they can do."),
    "config show": Entry("config", "Print every setting and where it came from."),
    "completion": Entry("completion", "Print the completion script of a shell."),
    "version": Entry("version", "Print the version."),
}

GROUPS: dict[str, str] = {
    "get": "List what there is.",
    "config": "Look at the configuration.",
}
