from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from hasteward.cli.parser import load_verb, settings_of
from hasteward.cli.verb import VERBS
from hasteward.config.settings import BY_NAME, OBSERVED

#: the README's table of global flags: flag, short form, variable
README = {
    "--engine": ("-e", "HASTEWARD_ENGINE"),
    "--cluster": ("-c", "HASTEWARD_CLUSTER"),
    "--namespace": ("-n", "HASTEWARD_NAMESPACE"),
    "--backups-path": ("", "HASTEWARD_BACKUPS_PATH"),
    "--restic-password": ("", "RESTIC_PASSWORD"),
    "--instance": ("-i", "HASTEWARD_INSTANCE"),
    "--force": ("-f", "HASTEWARD_FORCE"),
    "--method": ("-m", "HASTEWARD_BACKUP_METHOD"),
    "--snapshot": ("", "HASTEWARD_SNAPSHOT"),
    "--heal-timeout": ("", "HASTEWARD_HEAL_TIMEOUT"),
    "--delete-timeout": ("", "HASTEWARD_DELETE_TIMEOUT"),
    "--no-escrow": ("", "HASTEWARD_NO_ESCROW"),
    "--verbose": ("-v", "HASTEWARD_VERBOSE"),
}
EVERYWHERE = {"--verbose"}
CLUSTER = EVERYWHERE | {
    "--engine",
    "--cluster",
    "--namespace",
    "--instance",
    "--force",
    "--heal-timeout",
    "--delete-timeout",
}
STORE = {"--backups-path", "--restic-password"}
FLAGS = {
    "triage": CLUSTER,
    "backup": CLUSTER | STORE | {"--method"},
    "restore": CLUSTER | STORE | {"--method", "--snapshot"},
    "repair": CLUSTER | STORE | {"--no-escrow"},
    "undo": CLUSTER,
    "export": CLUSTER | STORE | {"--snapshot"},
    "get backups": EVERYWHERE | STORE | {"--engine", "--cluster", "--namespace"},
    "init": EVERYWHERE | STORE,
    "doctor": EVERYWHERE | STORE | {"--namespace"},
    "engines": EVERYWHERE,
    "config show": set(README),
    "completion": EVERYWHERE,
    "version": EVERYWHERE,
}
FURTHER = {
    "repair": ("--dry-run", "--deep", "--discard-branch", "--yes"),
    "undo": ("[RUN]", "--dry-run"),
    "triage": ("--deep", "--dry-run", "--kubeconfig", "--context", "--output"),
    "backup": ("--dry-run", "--kubeconfig", "--context", "--require-mount", "--stall-timeout"),
    "restore": ("--yes", "-y", "--database", "--keep-old", "--no-keep-old", "--restic-password-file"),
    "export": ("-o", "--file"),
    "get backups": ("-t", "--type", "-A", "--all-namespaces"),
    "init": ("--require-mount",),
}

PROBE = """
import sys
from hasteward.cli.main import main
code = main(sys.argv[1:])
heavy = {"pydantic", "rich", "kubernetes", "websocket", "yaml", "hasteward.pipelines", "hasteward.wiring"}
verbs = {name for name in sys.modules if name.startswith("hasteward.cli.")}
print("LOADED", code, sorted(heavy & set(sys.modules)), file=sys.stderr)
print("VERBS", *sorted(verbs), file=sys.stderr)
"""


@pytest.mark.parametrize("command", VERBS)
def test_help_lists_every_flag_of_the_readme_with_its_variable(command: str, cli: Any) -> None:
    done = cli(*command.split(), "--help")

    assert done.code == 0
    assert done.err == ""
    words = " ".join(done.out.split())
    for flag in FLAGS[command]:
        short, variable = README[flag]
        assert f"{short}, {flag}" in words if short else flag in words
        assert variable in words
    for flag in FURTHER.get(command, ()):
        assert flag in words


@pytest.mark.parametrize("command", VERBS)
def test_every_option_comes_from_the_table(command: str, cli: Any) -> None:
    out = " ".join(cli(*command.split(), "--help").out.split())

    for setting in settings_of(load_verb(command)):
        assert (setting.flag in out) or not setting.has_flag
        assert all(name in out for name in setting.env) is setting.has_flag


def test_observers_are_told_of_the_verbs_that_can_be_chosen_for_hooks() -> None:
    assert {name for name in VERBS if load_verb(name).observed} == set(OBSERVED)


@pytest.mark.parametrize(
    ("command", "statuses"),
    [
        ("triage", [0, 1, 2, 3, 4, 20, 21, 130]),
        ("backup", [0, 1, 2, 3, 4, 5, 10, 11, 12, 21, 22, 130]),
        ("restore", [0, 1, 2, 3, 4, 10, 12, 21, 22, 130]),
        ("repair", [0, 1, 2, 3, 4, 10, 11, 12, 20, 21, 22, 130]),
        ("undo", [0, 1, 2, 3, 4, 21, 130]),
        ("export", [0, 1, 2, 3, 4, 10, 12, 21, 22, 130]),
        ("get backups", [0, 1, 2, 3, 4, 10, 12, 21, 130]),
        ("init", [0, 1, 2, 3, 4, 12, 21, 130]),
    ],
)
def test_help_tells_how_a_command_can_end(command: str, statuses: list[int], cli: Any) -> None:
    text = " ".join(cli(*command.split(), "--help").out.partition("Exit status: ")[2].split())

    assert [int(part.split()[0]) for part in text.split("; ")] == statuses


def test_help_does_not_promise_what_is_not_there(cli: Any) -> None:
    assert "prune" not in cli("--help").out


def test_defaults_are_shown() -> None:
    assert BY_NAME["heal_timeout"].default == 600
    assert BY_NAME["delete_timeout"].default == 300
    assert BY_NAME["stall_timeout"].default == 300
    assert BY_NAME["snapshot"].default == "latest"
    assert BY_NAME["method"].default == "dump"


def test_root_help_lists_every_command_and_those_of_plugins(cli: Any) -> None:
    done = cli("--help")

    names = {command.split()[0] for command in VERBS} | {"extra"}
    listed = {line.split()[0] for line in done.out.partition("Commands:")[2].splitlines() if line[:3].strip()}
    assert done.code == 0
    assert all(f"\n  {name} " in done.out for name in names), listed
    assert "Something more." in done.out


@pytest.mark.parametrize("argv", [(), ("-h",), ("get",), ("get", "-h"), ("config",)])
def test_a_group_alone_shows_its_help(argv: tuple[str, ...], cli: Any) -> None:
    done = cli(*argv)

    assert done.code == 0
    assert "Commands:" in done.out
    assert done.err == ""


@pytest.mark.parametrize(
    ("argv", "own"),
    [
        (["--help"], set()),
        (["backup", "--help"], {"backup"}),
        (["get", "backups", "--help"], {"get_backups"}),
        (["restore", "--help"], {"restore", "backup"}),
        (["doctor", "--help"], {"doctor"}),
    ],
)
def test_help_loads_nothing_heavy_and_no_other_verb(argv: list[str], own: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *argv], capture_output=True, text=True, check=False, timeout=30
    )

    assert "LOADED 0 []" in done.stderr
    loaded = next(line for line in done.stderr.splitlines() if line.startswith("VERBS")).split()[1:]
    verbs = {entry.module for entry in VERBS.values()}
    assert {name.rpartition(".")[2] for name in loaded} & verbs == own


def test_version_needs_not_even_typer() -> None:
    script = PROBE.replace("heavy = {", 'heavy = {"typer", "pluggy", ')
    done = subprocess.run(
        [sys.executable, "-c", script, "--version"], capture_output=True, text=True, check=False, timeout=30
    )

    assert "LOADED 0 []" in done.stderr
    assert done.stdout.startswith("hasteward ")
