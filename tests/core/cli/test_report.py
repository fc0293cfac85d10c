"""What stays of a run: its report, its log, its lines."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from hasteward.cli.render.schema import events_schema, report_schema
from hasteward.domain.errors import RunFailed
from hasteward.testing.repository import FakeRepository

Env = pytest.MonkeyPatch


def test_the_report_is_the_answer_and_the_events(cli: Any, there: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "report.json"

    done = cli("backup", *there, "--output", "jsonl", "--report", str(path))

    *lines, result = done.lines
    report = json.loads(path.read_text())
    events = report.pop("events")
    result.pop("type")
    assert report == result
    # of the two lines of progress the last one is kept
    assert events == [line for line in lines if line["type"] != "progress" or line["done"] > 20]
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["report.json"]


@pytest.mark.parametrize(
    ("trouble", "status"),
    [
        (RunFailed("it broke"), 1),
        (ZeroDivisionError("x"), 1),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), 130),
    ],
)
def test_the_report_is_written_however_it_ends(
    trouble: Any, status: int, cli: Any, there: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "report.json"
    path.write_text("of an earlier run")
    cli.toy.trouble = trouble

    assert cli("backup", *there, "--report", str(path)).code == status

    report = json.loads(path.read_text())
    assert (report["exitCode"], report["success"], report["data"]) == (status, False, None)
    assert report["events"][0]["type"] == "step"
    assert path.stat().st_mode & 0o777 == 0o600


def test_warnings_of_observers_are_in_the_report(
    cli: Any, there: tuple[str, ...], tmp_path: Path, monkeypatch: Env
) -> None:
    monkeypatch.setenv("HASTEWARD_POST_HOOK", "false")
    path = tmp_path / "report.json"

    cli("backup", *there, "--report", str(path))

    assert "observer.failed" in [one["code"] for one in json.loads(path.read_text())["warnings"]]


@pytest.mark.parametrize("name", ["-", "/no/such/folder/report.json", "/"])
def test_a_report_that_cannot_be_written_is_refused_before_anything_is_done(
    name: str, cli: Any, there: tuple[str, ...]
) -> None:
    done = cli("backup", *there, "--report", name)

    assert (done.code, cli.toy.options) == (3, [])


def test_a_report_that_fails_at_the_end_does_not_change_how_it_ended(
    cli: Any, there: tuple[str, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()
    cli.toy.trouble = folder.rmdir

    done = cli("backup", *there, "--report", str(folder / "report.json"), "--output", "json")

    assert done.code == 0
    assert [one["code"] for one in done.envelope["warnings"]] == ["toy.worn", "report.failed"]


@pytest.mark.parametrize("command", [("version",), ("engines",), ("doctor",), ("get", "backups")])
def test_every_command_can_leave_a_report(
    command: tuple[str, ...], cli: Any, store: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "report.json"
    more = store if command[0] in {"doctor", "get"} else ()

    cli(*command, *more, "--report", str(path))

    assert json.loads(path.read_text())["command"] == " ".join(command)


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["$defs"][schema["$ref"].rpartition("/")[2]]
    return found


def test_the_schema_describes_every_line_and_the_report(
    cli: Any, there: tuple[str, ...], tmp_path: Path
) -> None:
    document = events_schema()
    kinds = {
        one["properties"]["type"]["const"]: one
        for one in (resolved(document, option) for option in document["anyOf"])
    }
    path = tmp_path / "report.json"

    lines = cli("backup", *there, "--output", "jsonl", "--report", str(path)).lines

    assert {line["type"] for line in lines} == set(kinds)
    for line in lines:
        kind = kinds[line["type"]]
        assert set(line) == set(kind["properties"]) == set(kind["required"])
    report, schema = json.loads(path.read_text()), report_schema()
    assert set(report) == set(schema["properties"]) == set(schema["required"])


def test_the_log_may_be_lines_of_json(cli: Any, there: tuple[str, ...]) -> None:
    cli.toy.trouble = RunFailed("it broke", hint="look")

    done = cli("backup", *there, "--log-format", "json", "--verbose")

    entries = [json.loads(line) for line in done.err.splitlines()]
    (run,) = {entry["run"] for entry in entries}
    assert len(run) == 16
    assert {entry["command"] for entry in entries} == {"backup"}
    assert {entry["level"] for entry in entries} == {"debug", "info", "warning", "error"}
    assert [entry["type"] for entry in entries if entry["level"] in {"info", "warning"}] == [
        "step", "plan", "warning", "progress",
    ]  # fmt: skip
    assert {name: entries[-1][name] for name in ("level", "message", "next")} == {
        "level": "error", "message": "it broke", "next": "look",
    }  # fmt: skip
    assert done.out == ""


def test_an_early_failure_is_a_line_of_json_too(cli: Any) -> None:
    entry = json.loads(cli("backup", "--frce", "--log-format=json").err)

    assert (entry["level"], entry["command"], entry["run"]) == ("error", "backup", "")
    assert "--frce" in entry["message"]


def test_verbose_tells_every_call_that_goes_out(cli: Any, there: tuple[str, ...]) -> None:
    err, quiet = cli("backup", *there, "--verbose").err, cli("backup", *there).err

    for words in (
        "kubernetes create leases.coordination.k8s.io db: 0.000 s",
        "kubernetes may create pods db exec: 0.000 s",
        "restic open: 0.000 s",
        "restic save db/box/toy.txt: 0.000 s",
    ):
        assert words in err
        assert words not in quiet


def test_verbose_tells_the_calls_that_fail(cli: Any, store: tuple[str, ...]) -> None:
    cli.repository = FakeRepository(exists=False)

    err = cli("get", "backups", *store, "--verbose").err

    assert "restic open: repository.missing after 0.000 s" in err
