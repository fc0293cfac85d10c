"""A run, and the plugins that are told of it."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hasteward import ObserverSpec, hookimpl
from hasteward.domain.errors import ExitCode, Refused, RunFailed
from hasteward.domain.run import RunInfo, RunOutcome
from hasteward.hookspecs import PLUGIN_GROUP

Env = pytest.MonkeyPatch


class Ear(ObserverSpec):
    def __init__(self) -> None:
        self.veto: Refused | None = None
        self.heard: list[str] = []
        self.run: RunInfo | None = None
        self.outcome: RunOutcome | None = None
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None

    @hookimpl
    def before_run(self, run: RunInfo) -> None:
        self.heard.append("before_run")
        self.run = run
        self.before()
        if self.veto:
            raise self.veto

    @hookimpl
    def phase(self, event: Any) -> None:
        self.heard.append(event.phase)

    @hookimpl
    def run_finished(self, outcome: RunOutcome) -> None:
        self.heard.append("run_finished")
        self.outcome = outcome
        self.after()


@pytest.fixture
def ear(cli: Any) -> Ear:
    plugin = Ear()
    entry = type(cli.entries[0])
    cli.entries.append(entry("ear", PLUGIN_GROUP, plugin))
    return plugin


def test_a_plugin_hears_the_whole_run(ear: Ear, cli: Any, there: tuple[str, ...]) -> None:
    done = cli("backup", *there, "--output", "json")

    assert ear.heard == ["before_run", "proof", "run_finished"]
    assert ear.run is not None
    assert ear.outcome is not None
    run, outcome = ear.run, ear.outcome
    assert (run.verb, run.engine, run.namespace, run.cluster, run.dry_run) == (
        "backup", "toy", "db", "box", False,
    )  # fmt: skip
    assert run.id == done.envelope["runId"]
    assert (outcome.status, outcome.error, outcome.message) == (ExitCode.OK, "", "")
    report = json.loads(outcome.report)
    assert {name: report[name] for name in done.envelope} == done.envelope
    assert [event["type"] for event in report["events"]] == [
        "step", "plan", "warning", "progress", "phase", "step",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("trouble", "status", "code"),
    [
        (RunFailed("it broke"), 1, "run.failed"),
        (ZeroDivisionError("x"), 1, "internal"),
        (Refused("no"), 21, "gate.refused"),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), 130, "run.interrupted"),
    ],
)
def test_a_plugin_hears_of_every_end(
    trouble: Any, status: int, code: str, ear: Ear, cli: Any, there: tuple[str, ...]
) -> None:
    cli.toy.trouble = trouble

    assert cli("backup", *there).code == status

    assert ear.heard[-1] == "run_finished"
    assert ear.outcome is not None
    assert (int(ear.outcome.status), ear.outcome.error) == (status, code)
    assert json.loads(ear.outcome.report)["errors"][0]["code"] == code


def test_a_veto_comes_before_anything_is_touched(ear: Ear, cli: Any, there: tuple[str, ...]) -> None:
    ear.veto = Refused("not on a Friday", hint="wait for Monday", code="audit.friday")
    asked: list[str] = []
    cli.kubernetes.on_call = cli.repository.on_call = asked.append

    done = cli("backup", *there, "--output", "json")

    assert done.code == 21
    assert done.err == "error: not on a Friday\n  next: wait for Monday\n"
    assert done.envelope["errors"][0]["code"] == "audit.friday"
    assert (asked, cli.toy.options) == ([], [])
    assert ear.heard == ["before_run", "run_finished"]


def test_a_dry_run_is_told_as_one(ear: Ear, cli: Any, there: tuple[str, ...]) -> None:
    cli("restore", *there, "--dry-run")

    assert ear.run is not None
    assert ear.run.dry_run is True


def test_an_interrupt_while_observers_are_asked_is_heard_of(
    ear: Ear, cli: Any, there: tuple[str, ...]
) -> None:
    ear.before = lambda: os.kill(os.getpid(), signal.SIGTERM)

    assert cli("backup", *there).code == 130
    assert ear.heard == ["before_run", "run_finished"]


def test_a_signal_at_the_end_stops_the_waiting_and_not_the_answer(
    ear: Ear, cli: Any, there: tuple[str, ...]
) -> None:
    release = threading.Event()

    def stopped() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        release.wait(30)

    ear.after = stopped
    began = time.monotonic()

    done = cli("backup", *there, "--output", "json")
    release.set()

    assert (done.code, done.envelope["success"]) == (0, True)
    assert [one["code"] for one in done.envelope["warnings"]] == ["toy.worn", "observer.silent"]
    assert time.monotonic() - began < 9


@pytest.mark.parametrize("verb", [("get", "backups"), ("engines",), ("version",), ("config", "show")])
def test_a_look_is_no_run(verb: tuple[str, ...], ear: Ear, cli: Any, there: tuple[str, ...]) -> None:
    cli(*verb, *(there[6:] if verb[0] == "get" else ()))

    assert ear.heard == []


def test_a_plugin_that_is_broken_is_said_to_be_and_the_run_goes_on(cli: Any, there: tuple[str, ...]) -> None:
    entry = type(cli.entries[0])
    cli.entries.append(entry("audit", PLUGIN_GROUP, ImportError("no module named ledger")))

    done = cli("backup", *there)

    text = "the plugin audit cannot be loaded and is not told: ImportError: no module named ledger"
    assert done.code == 0
    assert f"warning: {text}\n" in done.err


def test_one_id_is_everywhere(ear: Ear, cli: Any, there: tuple[str, ...], tmp_path: Path) -> None:
    holders: list[str] = []

    def look() -> None:
        (lease,) = (body for key, body in cli.kubernetes.objects.items() if key[0].startswith("leases"))
        holders.append(lease["spec"]["holderIdentity"])

    cli.toy.trouble = look
    path = tmp_path / "report.json"

    done = cli("backup", *there, "--output", "jsonl", "--log-format", "json", "--report", str(path))

    run = done.lines[-1]["runId"]
    assert ear.run is not None
    tags = [snapshot.tags.run for snapshot in cli.repository.listed]
    (manifest,) = (one.id for one in cli.repository.listed if one.tags.type == "manifest")
    assert len(run) == 16
    assert {line["run"] for line in done.lines[:-1]} == {run}
    assert (ear.run.id, json.loads(path.read_text())["runId"], tags) == (run, run, [run, run])
    assert json.loads(cli.repository.files[manifest])["run"] == run
    assert holders[0].startswith(f"run={run} ")
