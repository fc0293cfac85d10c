"""The one table of settings. Options, `hasteward config show` and the reference page are made from it.

A setting's name is the long flag with underscores; the same word is its key in the configuration file.
"""

from __future__ import annotations

from typing import Any

from hasteward.config.setting import Setting
from hasteward.domain.option import Kind, Value

__all__ = ["BY_NAME", "OBSERVED", "SETTINGS", "Kind", "Setting", "Value"]

#: the commands that observers are told of
OBSERVED = ("triage", "repair", "undo", "backup", "restore", "export", "init")


def _machine(name: str, kind: Kind, text: str, metavar: str = "", **more: Any) -> Setting:
    """What belongs to the machine and not to a run: no flag, a variable of the setting's own name."""
    env = (f"HASTEWARD_{name.upper()}",)
    return Setting(name, kind, text, env=env, metavar=metavar, common=False, has_flag=False, **more)


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "engine",
        Kind.TEXT,
        "Engine that owns the cluster; see `hasteward engines`.",
        short="-e",
        env=("HASTEWARD_ENGINE",),
        metavar="ENGINE",
    ),
    Setting(
        "cluster",
        Kind.TEXT,
        "Name of the database cluster's custom resource.",
        short="-c",
        env=("HASTEWARD_CLUSTER",),
        metavar="NAME",
    ),
    Setting(
        "namespace",
        Kind.TEXT,
        "Kubernetes namespace of the cluster.",
        short="-n",
        env=("HASTEWARD_NAMESPACE",),
        metavar="NAME",
    ),
    Setting(
        "instance",
        Kind.INTEGER,
        "Number of one member of the cluster.",
        short="-i",
        env=("HASTEWARD_INSTANCE",),
        metavar="N",
        in_file=False,
    ),
    Setting(
        "backups_path",
        Kind.TEXT,
        "Restic repository: a path or a URL.",
        env=("HASTEWARD_BACKUPS_PATH",),
        metavar="PATH",
    ),
    Setting(
        "restic_password_file",
        Kind.TEXT,
        "File that holds the repository's password (recommended).",
        env=("RESTIC_PASSWORD_FILE", "HASTEWARD_RESTIC_PASSWORD_FILE"),
        metavar="FILE",
    ),
    Setting(
        "restic_password_command",
        Kind.COMMAND,
        "Program that prints the repository's password; the first line counts.",
        env=("RESTIC_PASSWORD_COMMAND", "HASTEWARD_RESTIC_PASSWORD_COMMAND"),
        metavar="COMMAND",
    ),
    Setting(
        "restic_password_secret",
        Kind.TEXT,
        "Kubernetes Secret that holds the repository's password, and its key.",
        env=("HASTEWARD_RESTIC_PASSWORD_SECRET",),
        metavar="NAMESPACE/NAME/KEY",
    ),
    Setting(
        "restic_password",
        Kind.TEXT,
        "Password of the repository. Other users can read a flag; prefer a file or the environment.",
        env=("RESTIC_PASSWORD", "HASTEWARD_RESTIC_PASSWORD"),
        metavar="PASSWORD",
        secret=True,
    ),
    Setting(
        "require_mount",
        Kind.BOOLEAN,
        "Refuse a local repository that does not lie on a mounted volume.",
        env=("HASTEWARD_REQUIRE_MOUNT",),
        default=False,
    ),
    Setting(
        "kubeconfig",
        Kind.TEXT,
        "Kubernetes configuration file.",
        env=("KUBECONFIG",),
        metavar="FILE",
    ),
    Setting(
        "context",
        Kind.TEXT,
        "Context of the kubeconfig to use.",
        env=("HASTEWARD_CONTEXT",),
        metavar="NAME",
    ),
    Setting(
        "via",
        Kind.TEXT,
        "Words to put before every command instead of using Kubernetes: '' for this host, 'docker exec -i"
        " NAME', 'ssh HOST'. For engines that can do without.",
        env=("HASTEWARD_VIA",),
        metavar="PREFIX",
        in_file=False,
    ),
    Setting(
        "force",
        Kind.BOOLEAN,
        "Override the safety checks that can be overridden.",
        short="-f",
        env=("HASTEWARD_FORCE",),
        default=False,
        in_file=False,
    ),
    Setting(
        "yes",
        Kind.BOOLEAN,
        "Agree to what the plan takes out of service.",
        short="-y",
        env=("HASTEWARD_YES",),
        default=False,
        common=False,
        in_file=False,
    ),
    Setting(
        "dry_run",
        Kind.BOOLEAN,
        "Check and plan as the real run would, print the plan, change nothing.",
        default=False,
        in_file=False,
    ),
    Setting(
        "deep",
        Kind.CHOICE,
        "Also read what does not answer, by read-only helper pods; `stop` may stop a database to look.",
        env=("HASTEWARD_DEEP",),
        default="no",
        choices=("no", "yes", "stop"),
        bare="yes",
        common=False,
        in_file=False,
    ),
    Setting(
        "no_escrow",
        Kind.BOOLEAN,
        "Save nothing before the repair.",
        env=("HASTEWARD_NO_ESCROW",),
        default=False,
        common=False,
        in_file=False,
    ),
    Setting(
        "discard_branch",
        Kind.INTEGER,
        "Give up what only member N holds, without capturing it.",
        metavar="N",
        common=False,
        in_file=False,
    ),
    Setting(
        "method",
        Kind.CHOICE,
        "`dump`: into the repository; `native`: by the database's own operator, where it keeps them.",
        short="-m",
        env=("HASTEWARD_BACKUP_METHOD",),
        default="dump",
        choices=("dump", "native"),
        common=False,
    ),
    Setting(
        "snapshot",
        Kind.TEXT,
        "Snapshot id, or `latest`: the newest proven one.",
        env=("HASTEWARD_SNAPSHOT",),
        default="latest",
        metavar="ID",
        common=False,
        in_file=False,
    ),
    Setting(
        "raw",
        Kind.BOOLEAN,
        "With -i: the captured files of the member as they are, a tar, and no dump made of them.",
        default=False,
        common=False,
        in_file=False,
    ),
    Setting(
        "database",
        Kind.LIST,
        "Only this database; may be given several times.",
        metavar="NAME",
        default=(),
        common=False,
        in_file=False,
    ),
    Setting(
        "keep_old",
        Kind.BOOLEAN,
        "Keep what is replaced beside what is live.",
        default=True,
        common=False,
        negated=True,
    ),
    Setting(
        "as_superuser",
        Kind.BOOLEAN,
        "Run everything in the dump with all rights of the database: only if you trust who wrote into it.",
        default=False,
        common=False,
        in_file=False,
    ),
    Setting(
        "file",
        Kind.TEXT,
        "File to write; `-` is standard output. A name ending in .gz is compressed.",
        short="-o",
        metavar="FILE",
        common=False,
        in_file=False,
    ),
    Setting(
        "type",
        Kind.CHOICE,
        "Type of snapshots.",
        short="-t",
        default="all",
        choices=("backup", "diverged", "all"),
        common=False,
        in_file=False,
    ),
    Setting(
        "all_namespaces",
        Kind.BOOLEAN,
        "All namespaces, whatever the environment or the configuration file says.",
        short="-A",
        default=False,
        common=False,
        in_file=False,
    ),
    Setting(
        "stall_timeout",
        Kind.SECONDS,
        "Seconds without progress after which a stream is given up.",
        env=("HASTEWARD_STALL_TIMEOUT",),
        default=300.0,
        metavar="SECONDS",
    ),
    Setting(
        "heal_timeout",
        Kind.SECONDS,
        "Seconds to wait for a member to become healthy.",
        env=("HASTEWARD_HEAL_TIMEOUT",),
        default=600.0,
        metavar="SECONDS",
    ),
    Setting(
        "delete_timeout",
        Kind.SECONDS,
        "Seconds to wait for an object to be gone.",
        env=("HASTEWARD_DELETE_TIMEOUT",),
        default=300.0,
        metavar="SECONDS",
    ),
    Setting(
        "output",
        Kind.CHOICE,
        "Form of the answer on standard output.",
        env=("HASTEWARD_OUTPUT",),
        default="human",
        choices=("human", "json", "jsonl"),
    ),
    Setting(
        "log_format",
        Kind.CHOICE,
        "Form of what is said on standard error.",
        env=("HASTEWARD_LOG_FORMAT",),
        default="text",
        choices=("text", "json"),
    ),
    Setting(
        "report",
        Kind.TEXT,
        "File to write the run report to: the JSON answer and every event, also when the run fails.",
        env=("HASTEWARD_REPORT",),
        metavar="FILE",
        in_file=False,
    ),
    _machine(
        "pre_hook", Kind.COMMAND, "Program to run before a run; unless it ends with 0, the run is refused."
    ),
    _machine("post_hook", Kind.COMMAND, "Program to run at the end of a run, however it ended."),
    _machine("error_hook", Kind.COMMAND, "Program to run at the end of a run whose status is not 0."),
    _machine("hook_timeout", Kind.SECONDS, "Seconds after which such a program is ended.", default=60.0),
    _machine(
        "hook_verbs",
        Kind.LIST,
        "Commands for which programs are run and notices are sent.",
        default=("backup", "restore", "repair", "undo"),
        choices=OBSERVED,
    ),
    _machine("ping_url", Kind.TEXT, "URL to ask when a backup starts, is done or fails.", secret=True),
    _machine("notice_url", Kind.TEXT, "URL to send the run report to when a run has ended.", secret=True),
    _machine(
        "notice_when",
        Kind.CHOICE,
        "Which runs a notice is sent of.",
        default="failure",
        choices=("failure", "always"),
    ),
    _machine(
        "notice_timeout", Kind.SECONDS, "Seconds to wait for the receiver of a ping or notice.", default=10.0
    ),
    Setting(
        "no_color",
        Kind.BOOLEAN,
        "Plain text, also on a terminal.",
        env=("NO_COLOR",),
        default=False,
    ),
    Setting(
        "verbose",
        Kind.BOOLEAN,
        "Say more on standard error; show where an internal error came from.",
        short="-v",
        env=("HASTEWARD_VERBOSE",),
        default=False,
    ),
    Setting(
        "config",
        Kind.TEXT,
        "Configuration file (TOML). Default: hasteward/config.toml below XDG_CONFIG_HOME.",
        env=("HASTEWARD_CONFIG",),
        metavar="FILE",
        in_file=False,
    ),
)

BY_NAME: dict[str, Setting] = {setting.name: setting for setting in SETTINGS}
