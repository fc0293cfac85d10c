from __future__ import annotations

import json
from typing import Any

import pytest

from hasteward.domain import errors
from hasteward.domain.capability import Capability
from hasteward.domain.errors import ExitCode, HastewardError
from hasteward.ports.kubernetes import ApiForbidden, StreamStalled

RAISED: list[tuple[HastewardError, ExitCode, str]] = [
    (errors.RunFailed("it failed"), ExitCode.FAILED, "failed"),
    (errors.InvalidInput("it is wrong"), ExitCode.INVALID, "validation"),
    (errors.DependencyError("it is away"), ExitCode.DEPENDENCY, "dependency"),
    (ApiForbidden("not allowed"), ExitCode.DEPENDENCY, "permission"),
    (errors.RepositoryMissing("no repository"), ExitCode.NO_REPOSITORY, "environment"),
    (errors.RepositoryLocked("locked"), ExitCode.REPOSITORY_LOCKED, "transient"),
    (errors.WrongPassword("no"), ExitCode.WRONG_PASSWORD, "environment"),
    (errors.Refused("no", hint="do this"), ExitCode.REFUSED, "safety"),
    (errors.Unproven("not proven"), ExitCode.UNPROVEN, "proof"),
    (errors.Interrupted("stopped"), ExitCode.INTERRUPTED, "interrupted"),
    (StreamStalled("still"), ExitCode.FAILED, "failed"),
]


def named(parameter: Any) -> str:
    return type(parameter).__name__ if isinstance(parameter, HastewardError) else ""


@pytest.mark.parametrize(("error", "code", "category"), RAISED, ids=named)
def test_every_error_has_its_exit_code_and_one_line(
    error: HastewardError, code: ExitCode, category: str, cli: Any, where: tuple[str, ...]
) -> None:
    cli.toy.trouble = error

    done = cli("triage", *where)

    assert done.code == code
    assert done.out == ""
    lines = [line for line in done.err.splitlines() if not line.startswith("triage:")]
    assert lines[0] == f"error: {error.message}"
    assert lines[1:] == ([f"  next: {error.hint}"] if error.hint else [])


@pytest.mark.parametrize(("error", "code", "category"), RAISED, ids=named)
def test_every_error_has_its_envelope(
    error: HastewardError, code: ExitCode, category: str, cli: Any, where: tuple[str, ...]
) -> None:
    cli.toy.trouble = error

    done = cli("triage", *where, "--output", "json")

    envelope = done.envelope
    assert done.code == envelope["exitCode"] == code
    assert envelope["success"] is False
    assert envelope["data"] is None
    assert envelope["errors"] == [
        {
            "code": error.code,
            "category": category,
            "message": error.message,
            "hint": error.hint,
            "retryable": error.retryable,
        }
    ]
    assert f"error: {error.message}" in done.err.splitlines()


def test_success_is_zero(cli: Any, where: tuple[str, ...]) -> None:
    assert cli("triage", *where).code == ExitCode.OK


def test_unhealthy_is_twenty(cli: Any, where: tuple[str, ...]) -> None:
    cli.toy.healthy = False

    assert cli("triage", *where).code == ExitCode.UNHEALTHY


@pytest.mark.parametrize(
    "argv",
    [
        ("--nope",),
        ("backup", "--nope"),
        ("bakup",),
        ("get", "nothing"),
        ("backup", "word"),
        ("backup", "-e"),
        ("completion", "csh"),
        ("completion",),
        ("-n", "x", "engines"),
    ],
)
def test_a_command_line_that_cannot_be_parsed_is_two(argv: tuple[str, ...], cli: Any) -> None:
    done = cli(*argv)

    assert done.code == ExitCode.USAGE
    assert done.out == ""
    first, second = done.err.splitlines()
    assert first.startswith("error: ")
    assert second.startswith("  next: hasteward")
    assert cli.connected == 0


def test_a_misspelt_command_is_understood(cli: Any) -> None:
    assert "'backup'" in cli("bakup").err


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_usage_errors_have_an_envelope_too(form: str, cli: Any) -> None:
    done = cli("backup", "--nope", f"--output={form}")

    document = json.loads(done.out)
    assert document["exitCode"] == done.code == ExitCode.USAGE
    assert document["command"] == "backup"
    assert document["errors"][0]["category"] == "user"


def test_the_value_of_a_flag_is_not_taken_for_the_command(cli: Any) -> None:
    done = cli("--restic-password", "hunter2", "get", "backups", "--nope", "--output", "json")

    assert done.envelope["command"] == "get backups"
    assert "hunter2" not in done.out + done.err


def test_an_invalid_setting_has_an_envelope_too(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HASTEWARD_OUTPUT", "json")

    done = cli("backup", "-i", "two")

    assert done.code == ExitCode.INVALID
    assert done.envelope["errors"][0]["code"] == "setting.invalid"


def test_what_nobody_foresaw_is_one_line(cli: Any, where: tuple[str, ...]) -> None:
    cli.toy.trouble = ZeroDivisionError("one\ntwo")

    done = cli("triage", *where)

    assert done.code == ExitCode.FAILED
    assert "error: internal error: ZeroDivisionError: one two" in done.err.splitlines()
    assert "Traceback" not in done.err


def test_the_traceback_is_for_those_who_ask(cli: Any, where: tuple[str, ...]) -> None:
    cli.toy.trouble = ZeroDivisionError("one")

    assert "Traceback" in cli("triage", *where, "-v").err
    assert cli("triage", *where, "--output", "json").envelope["errors"][0]["category"] == "internal"


def test_a_message_is_one_line_without_escapes(cli: Any, where: tuple[str, ...]) -> None:
    cli.toy.trouble = errors.RunFailed("bad\nname \x1b[2J\x1b]0;x\x07 here")

    done = cli("triage", *where)

    assert "\x1b" not in done.err
    assert "error: bad name ?[2J?]0;x? here" in done.err.splitlines()


def test_the_password_is_in_no_message(cli: Any, there: tuple[str, ...]) -> None:
    cli.toy.trouble = errors.RunFailed("psql: open sesame was refused")

    for form in ("human", "json", "jsonl"):
        done = cli("backup", *there, "--output", form)
        assert done.code == ExitCode.FAILED
        assert "sesame" not in done.out + done.err
        assert "***" in done.err


def test_an_unknown_engine_names_those_that_are_there(cli: Any) -> None:
    done = cli("triage", "-e", "nope", "-n", "db", "-c", "box")

    assert done.code == ExitCode.INVALID
    assert "'nope'" in done.err
    assert "toy" in done.err


def test_without_an_engine_flag_the_installed_ones_are_named(cli: Any) -> None:
    done = cli("triage", "-n", "db", "-c", "box")

    assert done.code == ExitCode.INVALID
    assert "installed: toy" in done.err
    assert "HASTEWARD_ENGINE" in done.err


def test_no_engine_at_all_says_how_to_get_one(cli: Any) -> None:
    cli.entries = []

    assert "pip install hasteward-" in cli("triage", "-e", "some", "-n", "db", "-c", "box").err
    done = cli("engines")
    assert done.code == 0
    assert "No engine is installed" in done.out
    assert "pip install hasteward-" in done.out


@pytest.mark.parametrize(
    ("missing", "flag", "variable"),
    [
        ("-n", "--namespace", "HASTEWARD_NAMESPACE"),
        ("-c", "--cluster", "HASTEWARD_CLUSTER"),
        ("--backups-path", "--backups-path", "HASTEWARD_BACKUPS_PATH"),
    ],
)
@pytest.mark.parametrize("verb", ["backup", "restore", "export"])
def test_what_is_missing_is_named_with_every_way_to_give_it(
    verb: str, missing: str, flag: str, variable: str, cli: Any, there: tuple[str, ...]
) -> None:
    at = there.index(missing)
    argv = [*there[:at], *there[at + 2 :]]
    if verb == "export":
        argv += ["-o", "/nonexistent-but-not-reached"] if missing != "--backups-path" else ["-o", "-"]

    done = cli(verb, *argv)

    assert done.code == ExitCode.INVALID
    assert flag in done.err
    assert variable in done.err
    assert cli.connected == 0


def test_a_missing_password_is_named(
    cli: Any, there: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RESTIC_PASSWORD")

    done = cli("backup", *there)

    assert done.code == ExitCode.INVALID
    assert "--restic-password-file" in done.err
    assert cli.secrets == []


def test_a_native_backup_of_an_engine_that_has_none_is_bad_input(cli: Any, where: tuple[str, ...]) -> None:
    cli.toy.lacks = (Capability.NATIVE,)

    done = cli("backup", *where, "-m", "native")

    assert done.code == ExitCode.INVALID
    assert "engine toy does not support native: not written yet" in done.err
    assert cli.connected == 0


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("restore", "-m", "native"), "is restored by it, into a new cluster"),
        (("backup", "-m", "native", "-i", "2"), "--method native and -i exclude each other"),
    ],
)
def test_what_a_native_backup_cannot_do_is_told_before_anything_is_asked(
    argv: tuple[str, ...], words: str, cli: Any, there: tuple[str, ...]
) -> None:
    done = cli(*argv, *there)

    assert done.code == ExitCode.INVALID
    assert words in done.err
    assert (cli.connected, cli.secrets) == (0, [])


def test_a_wrong_platform_is_told_kindly(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")

    done = cli("engines")

    assert done.code == ExitCode.DEPENDENCY
    assert "Linux" in done.err
