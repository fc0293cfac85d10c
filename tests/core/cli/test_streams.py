"""Forms of the answer, events, signals, completion, contributed commands."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hasteward.cli.render.console import Console, Mode
from hasteward.cli.render.journal import Journal
from hasteward.cli.render.progress import LineMeter, of_about
from hasteward.cli.render.schema import schema
from hasteward.cli.render.shapes import DATA
from hasteward.cli.verb import VERBS
from hasteward.domain.errors import RunFailed
from hasteward.domain.events import Progress
from hasteward.testing.clock import VirtualClock

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z")
HEAD = ("schemaVersion", "command", "runId", "success", "exitCode", "timestamp", "durationMs")


def test_jsonl_is_events_and_then_the_result(cli: Any, there: tuple[str, ...]) -> None:
    done = cli("backup", *there, "--output", "jsonl")

    *events, result = done.lines
    assert [event["type"] for event in events] == [
        "step",
        "plan",
        "warning",
        "progress",
        "progress",
        "phase",
        "step",
    ]
    for event in events:
        assert STAMP.fullmatch(event["ts"])
        assert event["command"] == "backup"
        assert event["run"] == result["runId"]
        assert re.fullmatch("[0-9a-f]{16}", event["run"])
    assert result["type"] == "result"
    assert result["success"] is True
    assert result["warnings"] == [{"code": "toy.worn", "message": "the toy is worn"}]
    assert done.err == ""


def test_jsonl_ends_with_the_result_when_it_fails(cli: Any, there: tuple[str, ...]) -> None:
    cli.toy.trouble = ZeroDivisionError()

    done = cli("backup", *there, "--output", "jsonl")

    assert done.lines[-1]["type"] == "result"
    assert done.lines[-1]["exitCode"] == done.code == 1
    assert len(done.err.splitlines()) == 2


def test_json_is_one_document_with_the_whole_head(cli: Any, there: tuple[str, ...]) -> None:
    envelope = cli("backup", *there, "--output", "json").envelope

    assert tuple(envelope)[: len(HEAD)] == HEAD
    assert envelope["schemaVersion"] == "v1alpha1"
    assert STAMP.fullmatch(envelope["timestamp"])
    assert envelope["errors"] == []


def argv_of(command: str, there: tuple[str, ...], tmp_path: Path) -> list[str]:
    """A command line that works."""
    flags: dict[str, list[str]] = {
        "completion": ["bash"],
        "triage": list(there[:6]),
        "get backups": list(there[6:]),
        "init": list(there[6:]),
        "backup": list(there),
        "restore": [*there, "--yes"],
        "repair": list(there),
        "undo": list(there[:6]),
        "export": [*there, "-o", str(tmp_path / "dump")],
    }
    return [*command.split(), *flags.get(command, [])]


@pytest.mark.parametrize("command", DATA)
def test_the_schema_describes_the_answer(
    command: str, cli: Any, there: tuple[str, ...], tmp_path: Path
) -> None:
    if command == "init":
        cli.repository.exists = False
    else:
        cli("backup", *there)
    cli.toy.healthy = command != "repair"

    envelope = cli(*argv_of(command, there, tmp_path), "--output", "json").envelope

    document = schema(command)
    assert set(envelope) == set(document["properties"]) == set(document["required"])
    data = document["$defs"]["Data"]
    assert set(envelope["data"]) == set(data["properties"]) == set(data["required"])
    for name, value in envelope["data"].items():
        reference = data["properties"][name].get("items", {}).get("$ref")
        if reference and value:
            item = document["$defs"][reference.rpartition("/")[2]]
            assert set(value[0]) == set(item["properties"])
        assert re.fullmatch("[a-z][A-Za-z]*", name)


@pytest.mark.parametrize("command", VERBS)
def test_l74_json_is_alone_on_standard_output(
    command: str, cli: Any, there: tuple[str, ...], tmp_path: Path
) -> None:
    cli("backup", *there)

    done = cli(*argv_of(command, there, tmp_path), "--output", "json")

    assert json.loads(done.out)["command"] == command


def test_progress_without_a_terminal_is_a_line_every_ten_seconds() -> None:
    said: list[str] = []
    now = 0.0

    def monotonic() -> float:
        return now

    meter = LineMeter(said.append, monotonic)
    for second in range(31):
        now = float(second)
        meter.update(Progress("dump", second << 20, 3 << 30))

    assert said == [
        "dump: 10.0 MiB of about 3.0 GiB, 1.0 MiB/s, 10.0 s",
        "dump: 20.0 MiB of about 3.0 GiB, 1.0 MiB/s, 20.0 s",
        "dump: 30.0 MiB of about 3.0 GiB, 1.0 MiB/s, 30.0 s",
    ]


def test_the_last_estimate_of_a_phase_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    clock = VirtualClock()
    journal = Journal(Console(Mode.JSONL), "backup", "0" * 16, now=clock.now, monotonic=clock.monotonic)
    for event in (Progress("dump", 0, 20), Progress("dump", 10), Progress("other", 5)):
        journal.emit(event)
        clock.sleep(5)

    assert [json.loads(line)["about"] for line in capsys.readouterr().out.splitlines()] == [20, 20, None]
    assert of_about(Progress("dump", 5, 20)) == "5 B of about 20 B"
    assert of_about(Progress("dump", 5, 4)) == of_about(Progress("dump", 5)) == "5 B"


def test_verbose_tells_the_run_the_settings_and_the_time(cli: Any, there: tuple[str, ...]) -> None:
    err = cli("backup", *there, "-v").err

    assert "] cluster = box   (from --cluster)" in err
    assert "] restic_password = ***   (from RESTIC_PASSWORD)" in err
    assert "sesame" not in err
    assert re.search(r"^\[ +0\.000\] run [0-9a-f]{16}: hasteward backup$", err, re.MULTILINE)


def in_a_terminal(script: str, tmp_path: Path, typed: bytes = b"") -> tuple[int, str, str]:
    """Run with standard error and input on a terminal; exit status, standard output, terminal."""
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TERM": "xterm"},
    )
    os.close(theirs)
    os.write(ours, typed)
    out, _ = process.communicate(timeout=30)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        seen += piece
    os.close(ours)
    return process.returncode, out.decode(), seen.decode()


METER = """
import time
from hasteward.cli.render.console import Console, Mode
from hasteward.cli.render.journal import Journal
from hasteward.domain.events import PhaseStarted, Progress, Warned
from datetime import datetime, UTC
now, monotonic = (lambda: datetime.now(UTC)), time.monotonic
journal = Journal(Console(Mode.HUMAN), "backup", "0" * 16, now=now, monotonic=monotonic)
for done in range(5):
    journal.emit(Progress("dump", done << 30, 8 << 30))
    time.sleep(0.15)
journal.emit(Warned("w", "look"))
journal.close()
print("answer")
"""

ASK = """
import sys
from hasteward.cli.session import Session
from hasteward.config.resolve import resolve
from hasteward.adapters.system import SystemClock
from hasteward.domain.errors import Refused
from hasteward.domain.plan import Plan, Step
settings = resolve(["yes", "output", "log_format", "no_color", "verbose"], {}, {})
session = Session("restore", settings, clock=SystemClock(), arguments={}, factories=None)
try:
    print(session.approve(Plan("swap", (Step("swap"),), ("the old data",))))
except Refused as error:
    print(error.code)
"""


def test_progress_on_a_terminal_is_live_and_goes_away(tmp_path: Path) -> None:
    code, out, seen = in_a_terminal(METER, tmp_path)

    assert code == 0, seen
    assert out == "answer\n"
    assert "4.0 GiB of about 8.0 GiB" in seen
    assert "warning:" in seen


@pytest.mark.parametrize(("typed", "answer"), [(b"yes\n", "True"), (b"y\n", "gate.yes"), (b"\n", "gate.yes")])
def test_a_terminal_is_asked(typed: bytes, answer: str, tmp_path: Path) -> None:
    _, out, seen = in_a_terminal(ASK, tmp_path, typed)

    assert out == f"{answer}\n"
    assert "takes out of service:" in seen
    assert 'Type "yes"' in seen


def test_people_read_times_in_utc_and_scripts_as_they_are(
    cli: Any, there: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    said = "seen 2026-11-21T13:39:15.25+02:00 (no time: 2026-13-21T11:39:15Z, old_20261121T113929Z_app)"
    read = "seen 2026-11-21 11:39:15 UTC (no time: 2026-13-21T11:39:15Z, old_20261121T113929Z_app)"
    cli.toy.trouble = RunFailed(said)

    done = cli("backup", *there, "--output", "json")

    assert f"error: {read}" in done.err
    assert done.envelope["errors"][0]["message"] == said
    for mode, printed in ((Mode.HUMAN, read), (Mode.JSON, said)):
        Console(mode).answer([said])
        assert capsys.readouterr().out == printed + "\n"


def test_completion_scripts_are_printed(cli: Any) -> None:
    for shell in ("bash", "zsh", "fish"):
        done = cli("completion", shell)
        assert done.code == 0
        assert "_HASTEWARD_COMPLETE" in done.out
        assert done.err == ""


def complete(words: str) -> list[str]:
    """What the shell would be offered for the last word."""
    environment = os.environ | {
        "_HASTEWARD_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-m", "hasteward.cli.main"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_completion_knows_commands_flags_and_values() -> None:
    assert "backup" in complete("hasteward ba")
    assert complete("hasteward get b") == ["backups"]
    assert "--backups-path" in complete("hasteward backup --ba")
    assert complete("hasteward triage --output js") == ["json", "jsonl"]


@pytest.fixture
def toy_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    text = (
        "calls = []\n"
        "def extra(arguments):\n"
        "    calls.append(arguments)\n"
        "    print('extra', *arguments)\n"
        "    if arguments[0] == 'leave':\n"
        "        raise SystemExit(arguments[1] if len(arguments) > 1 else None)\n"
        "    return int(arguments[0])\n"
    )
    (tmp_path / "toy_commands.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("toy_commands", None)


@pytest.mark.usefixtures("toy_commands")
def test_a_command_of_a_plugin_gets_its_arguments_as_they_are(cli: Any) -> None:
    done = cli("extra", "7", "--output", "-x", "--help", "--", "-n")

    assert done.code == 7
    assert done.out == "extra 7 --output -x --help -- -n\n"


@pytest.mark.usefixtures("toy_commands")
def test_a_command_of_a_plugin_may_leave_as_python_programs_do(cli: Any) -> None:
    assert cli("extra", "leave").code == 0
    done = cli("extra", "leave", "it is raining")
    assert (done.code, done.err) == (1, "error: it is raining\n")


def test_a_command_of_a_plugin_that_cannot_be_loaded_is_one_error(cli: Any) -> None:
    done = cli("extra", "7")

    assert done.code == 3
    assert done.err.startswith("error: the command 'extra' of a plugin cannot be loaded")


@pytest.mark.usefixtures("toy_commands")
def test_a_plugin_is_loaded_only_when_its_command_is_used(cli: Any) -> None:
    cli("--help")
    cli("engines")

    assert "toy_commands" not in sys.modules


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_unwinds_the_run_and_ends_it_with_130(
    number: signal.Signals, cli: Any, there: tuple[str, ...]
) -> None:
    before = signal.getsignal(number)
    cli.toy.trouble = lambda: os.kill(os.getpid(), number)

    done = cli("backup", *there, "--output", "json")

    assert done.code == 130
    assert done.envelope["errors"][0]["code"] == "run.interrupted"
    assert f"error: stopped by {number.name}" in done.err
    assert cli.repository.listed == []
    (lease,) = (body for key, body in cli.kubernetes.objects.items() if key[0].startswith("leases"))
    assert lease["spec"]["holderIdentity"] == "", "it was given back"
    assert signal.getsignal(number) is before


STUBBORN = """
import sys, time
from hasteward.cli.signals import handled
with handled():
    try:
        print("ready", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print("cleaning", flush=True)
        time.sleep(60)
"""


def test_a_second_signal_ends_it_at_once() -> None:
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "cleaning\n"
        process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        assert process.wait(timeout=10) == -signal.SIGTERM
        assert time.monotonic() - begun < 5


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m hasteward.cli.main config show | true"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
