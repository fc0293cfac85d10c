"""Every command, in every form of its output, well and badly ended: no secret is in what it says or writes.

The scenario of the same name looks at real processes, files and pods; this one goes through all combinations.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hasteward.cli.verb import VERBS
from hasteward.domain.errors import WrongPassword
from hasteward_lab.canaries import in_files, in_text

FORMS = (
    ("--verbose",),
    ("--output", "json"),
    ("--output", "jsonl", "--log-format", "json", "--verbose"),
)


@pytest.fixture
def canaries() -> dict[str, str]:
    # one that JSON writes in another way than it is
    names = ("password", "cloud", "url", "flag")
    return {name: f'canary-{name}-é"{secrets.token_hex(6)}' for name in names}


@pytest.fixture
def looked(
    cli: Any, canaries: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """Runs a command in all its forms and returns what was found in what it said."""
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("RESTIC_PASSWORD", canaries["password"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", canaries["cloud"])
    monkeypatch.setenv("HASTEWARD_NOTICE_URL", f"http://127.0.0.1:1/{canaries['url']}")
    monkeypatch.setenv("HASTEWARD_HOOK_VERBS", "triage,backup,restore,export,init")
    monkeypatch.setenv("HASTEWARD_POST_HOOK", f"cp /dev/stdin {tmp_path}/of-the-hook")

    def look(*argv: str) -> list[str]:
        found = []
        for form in FORMS:
            done = cli(*argv, *form, "--report", str(tmp_path / "report"))
            found += in_text(canaries, done.out + done.err, " ".join(form))
            # as JSON writes it
            escaped = {
                name: value.replace("é", "\\u00e9").replace('"', '\\"') for name, value in canaries.items()
            }
            found += in_text(escaped, done.out + done.err, " ".join(form))
            found += in_files(escaped, tmp_path, ())
        return found

    yield look
    assert in_files(canaries, tmp_path, ()) == []


def argv_of(command: str, there: tuple[str, ...], tmp_path: Path) -> tuple[str, ...]:
    flags: dict[str, tuple[str, ...]] = {
        "completion": ("bash",),
        "triage": there[:6],
        "backup": there,
        "restore": (*there, "--yes"),
        "export": (*there, "--force", "-o", str(tmp_path / "dump")),
    }
    rest = there[6:] if command in {"get backups", "init", "doctor"} else ()
    return (*command.split(), *flags.get(command, rest))


@pytest.mark.parametrize("command", VERBS)
def test_a_command_says_and_writes_no_secret(
    command: str, looked: Any, there: tuple[str, ...], tmp_path: Path
) -> None:
    looked("backup", *there)

    assert looked(*argv_of(command, there, tmp_path)) == []
    assert (tmp_path / "report").exists()


def tell(cli: Any, error: Exception) -> None:
    """Let everything that a command may need fail with this error."""

    def fail(_call: str) -> None:
        raise error

    cli.toy.trouble = error
    cli.kubernetes.on_call = cli.repository.on_call = fail


@pytest.mark.parametrize("command", VERBS)
@pytest.mark.parametrize("kind", [WrongPassword, ZeroDivisionError])
def test_a_failure_that_holds_the_password_is_told_without_it(
    command: str,
    kind: type[Exception],
    looked: Any,
    cli: Any,
    canaries: dict[str, str],
    there: tuple[str, ...],
    tmp_path: Path,
) -> None:
    tell(cli, kind(f"restic said {canaries['password']} and ended"))

    assert looked(*argv_of(command, there, tmp_path)) == []


@pytest.mark.parametrize(
    "argv",
    [
        ("backup", "--frce", "--restic-password"),
        ("get", "backups", "--output", "xml", "--restic-password"),
        ("get", "bakups", "--restic-password"),
        (
            "get",
            "backups",
            "--backups-path",
            "/nowhere",
            "--restic-password-file",
            "no-such",
            "--restic-password",
        ),
        ("config", "show", "--restic-password"),
        ("version", "--restic-password"),
    ],
)
def test_a_command_line_that_is_wrong_is_not_repeated_with_its_secrets(
    argv: tuple[str, ...], looked: Any, canaries: dict[str, str]
) -> None:
    assert looked(*argv, canaries["flag"]) == []
