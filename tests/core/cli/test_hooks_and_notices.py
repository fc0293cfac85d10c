"""The observers that come with core: programs and URLs of the configuration."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from hasteward.domain.errors import RunFailed

Env = pytest.MonkeyPatch


@pytest.fixture
def hook(tmp_path: Path, monkeypatch: Env) -> Callable[..., Path]:
    """Configures a program for a moment; the path of what it has written, one line per call."""

    def made(moment: str, script: str = "") -> Path:
        seen = tmp_path / moment
        program = tmp_path / f"{moment}.sh"
        program.write_text(
            f"#!/bin/sh\nenv | sort > {seen}.env\ncat > {seen}.in\necho ran >> {seen}\n{script}\n"
        )
        program.chmod(0o755)
        monkeypatch.setenv(f"HASTEWARD_{moment.upper()}_HOOK", f"'{program}' {moment}")
        return seen

    return made


def ran(seen: Path) -> int:
    return len(seen.read_text().splitlines()) if seen.exists() else 0


@pytest.mark.parametrize(
    ("trouble", "runs"),
    [
        (None, (1, 1, 0)),
        (RunFailed("it broke"), (1, 1, 1)),
        (ZeroDivisionError(), (1, 1, 1)),
        (lambda: os.kill(os.getpid(), signal.SIGINT), (1, 1, 1)),
    ],
)
def test_pre_and_post_run_always_and_error_when_it_went_wrong(
    trouble: Any, runs: tuple[int, ...], hook: Callable[..., Path], cli: Any, there: tuple[str, ...]
) -> None:
    seen = [hook(moment) for moment in ("pre", "post", "error")]
    cli.toy.trouble = trouble

    done = cli("backup", *there)

    assert tuple(map(ran, seen)) == runs
    assert "hook" not in done.err


def environment_of(seen: Path) -> dict[str, str]:
    lines = seen.with_name(f"{seen.name}.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_a_program_gets_a_clean_environment_and_the_report(
    hook: Callable[..., Path], cli: Any, there: tuple[str, ...], monkeypatch: Env
) -> None:
    post, pre = hook("post"), hook("pre")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the cloud")
    cli.toy.trouble = RunFailed("it broke", code="toy.broke")

    run = cli("backup", *there, "--output", "json").envelope["runId"]

    common = {
        "HASTEWARD_RUN_ID": run,
        "HASTEWARD_VERB": "backup",
        "HASTEWARD_ENGINE": "toy",
        "HASTEWARD_NAMESPACE": "db",
        "HASTEWARD_CLUSTER": "box",
    }
    found = environment_of(post)
    ours = {name: value for name, value in found.items() if name.startswith("HASTEWARD")}
    assert ours == common | {
        "HASTEWARD_HOOK": "post",
        "HASTEWARD_STATUS": "1",
        "HASTEWARD_ERROR": "toy.broke",
    }
    assert {name for name in environment_of(pre) if name.startswith("HASTEWARD")} == {
        *common,
        "HASTEWARD_HOOK",
    }
    kept = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "TMPDIR"}
    assert set(found) - set(ours) <= kept | {"PWD", "SHLVL", "_", "OLDPWD"}
    report = json.loads(post.with_name("post.in").read_text())
    assert (report["runId"], report["exitCode"], report["errors"][0]["message"]) == (run, 1, "it broke")
    assert pre.with_name("pre.in").read_text() == ""


@pytest.mark.parametrize(
    ("script", "words"), [("exit 3", "ended with 3"), ("sleep 60", "did not end within 0.3 s")]
)
def test_a_pre_hook_that_fails_refuses_the_run_and_post_runs_all_the_same(
    script: str, words: str, hook: Callable[..., Path], cli: Any, there: tuple[str, ...], monkeypatch: Env
) -> None:
    hook("pre", script)
    post, error = hook("post"), hook("error")
    monkeypatch.setenv("HASTEWARD_HOOK_TIMEOUT", "0.3" if script.startswith("sleep") else "20")

    done = cli("backup", *there, "--output", "json")

    assert done.code == 21
    assert done.envelope["errors"][0]["code"] == "hook.refused"
    assert f"{words}, so the run was not begun" in done.err
    assert cli.toy.options == []
    if not script.startswith("sleep"):
        assert (ran(post), ran(error)) == (1, 1)


@pytest.mark.parametrize("script", ["exit 3", "kill -9 $$"])
def test_a_hook_that_fails_at_the_end_is_a_warning(
    script: str, hook: Callable[..., Path], cli: Any, there: tuple[str, ...]
) -> None:
    hook("post", script)

    done = cli("backup", *there, "--output", "json")

    assert (done.code, done.envelope["success"]) == (0, True)
    (warning,) = (one for one in done.envelope["warnings"] if one["code"] == "observer.failed")
    assert warning["message"].startswith("hooks: run_finished: the post hook ")


def test_a_program_that_is_not_there_is_named(cli: Any, there: tuple[str, ...], monkeypatch: Env) -> None:
    monkeypatch.setenv("HASTEWARD_PRE_HOOK", "/no/such/program now")

    done = cli("backup", *there)

    assert done.code == 21
    assert "the pre hook '/no/such/program' cannot be started: No such file or directory" in done.err


def test_what_a_program_prints_is_for_those_who_ask(
    hook: Callable[..., Path], cli: Any, there: tuple[str, ...]
) -> None:
    hook("post", "echo to the log; echo open sesame >&2")

    assert "to the log" not in cli("backup", *there).err
    err = cli("backup", *there, "--verbose").err
    assert "  to the log\n" in err
    assert "  ***\n" in err, "not even a program that knows the password can make us print it"


@pytest.mark.parametrize(
    ("argv", "count"),
    [(("backup",), 1), (("restore", "--yes"), 1), (("triage",), 0), (("backup", "--dry-run"), 0)],
)
def test_programs_run_for_the_verbs_they_are_for(
    argv: tuple[str, ...], count: int, hook: Callable[..., Path], cli: Any, there: tuple[str, ...]
) -> None:
    cli("backup", *there)
    seen = hook("post")

    cli(*argv, *(there[:6] if argv == ("triage",) else there))

    assert ran(seen) == count


def test_the_verbs_can_be_chosen(
    hook: Callable[..., Path], cli: Any, where: tuple[str, ...], monkeypatch: Env
) -> None:
    seen = hook("error")
    monkeypatch.setenv("HASTEWARD_HOOK_VERBS", "triage")
    cli.toy.healthy = False

    assert cli("triage", *where).code == 20
    assert environment_of(seen)["HASTEWARD_STATUS"] == "20"


def test_a_run_that_a_program_starts_starts_no_program(
    hook: Callable[..., Path], cli: Any, there: tuple[str, ...], monkeypatch: Env
) -> None:
    seen = hook("post")
    monkeypatch.setenv("HASTEWARD_HOOK", "post")

    assert cli("backup", *there).code == 0
    assert ran(seen) == 0


class Receiver:
    """A web server that notes what it is told, and answers with `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.told: list[tuple[str, bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.told.append((self.path, body))
                self.send_response(receiver.status)
                self.send_header("Location", "/login")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hidden-token"

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.told]


@pytest.fixture
def receiver(monkeypatch: Env) -> Iterator[Receiver]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    made = Receiver()
    made.thread.start()
    yield made
    made.server.shutdown()
    made.thread.join()
    made.server.server_close()


@pytest.mark.parametrize(
    ("trouble", "end"), [(None, "/hidden-token"), (RunFailed("it broke"), "/hidden-token/fail")]
)
def test_a_backup_pings_at_both_ends(
    trouble: Any, end: str, receiver: Receiver, cli: Any, there: tuple[str, ...], monkeypatch: Env
) -> None:
    monkeypatch.setenv("HASTEWARD_PING_URL", receiver.url)
    cli.toy.trouble = trouble

    cli("backup", *there)

    assert receiver.told == [("/hidden-token/start", b""), (end, b"")]


def test_nothing_but_a_backup_pings(
    receiver: Receiver, cli: Any, there: tuple[str, ...], monkeypatch: Env
) -> None:
    cli("backup", *there)
    monkeypatch.setenv("HASTEWARD_PING_URL", receiver.url)

    cli("restore", *there, "--yes")
    cli("backup", *there, "--dry-run")
    cli("triage", *there[:6])

    assert receiver.told == []


def test_a_notice_is_the_report_of_a_run_that_failed(
    receiver: Receiver, cli: Any, there: tuple[str, ...], monkeypatch: Env
) -> None:
    monkeypatch.setenv("HASTEWARD_NOTICE_URL", f"{receiver.url}?key=value")

    cli("backup", *there)
    assert receiver.told == []
    cli.toy.trouble = RunFailed("it broke")
    run = cli("backup", *there, "--output", "json").envelope["runId"]

    ((path, body),) = receiver.told
    assert path == "/hidden-token?key=value"
    assert (json.loads(body)["runId"], json.loads(body)["exitCode"]) == (run, 1)


def test_a_notice_may_be_wanted_always(
    receiver: Receiver, cli: Any, there: tuple[str, ...], monkeypatch: Env
) -> None:
    monkeypatch.setenv("HASTEWARD_NOTICE_URL", receiver.url)
    monkeypatch.setenv("HASTEWARD_NOTICE_WHEN", "always")

    cli("backup", *there)

    assert receiver.paths == ["/hidden-token"]


@pytest.mark.parametrize(
    ("status", "words"), [(404, "127.0.0.1 answered 404"), (302, "127.0.0.1 answered 302")]
)
def test_a_receiver_that_refuses_is_a_warning_without_the_url(
    status: int, words: str, receiver: Receiver, cli: Any, there: tuple[str, ...], monkeypatch: Env
) -> None:
    receiver.status = status
    monkeypatch.setenv("HASTEWARD_PING_URL", receiver.url)

    done = cli("backup", *there, "--verbose")

    assert done.code == 0
    assert f"warning: ping: run_finished: {words}\n" in done.err
    assert "hidden-token" not in done.out + done.err


def test_a_receiver_that_is_away_is_a_warning(cli: Any, there: tuple[str, ...], monkeypatch: Env) -> None:
    monkeypatch.setenv("HASTEWARD_NOTICE_URL", "http://127.0.0.1:1/hidden-token")
    monkeypatch.setenv("HASTEWARD_NOTICE_WHEN", "always")

    done = cli("backup", *there)

    assert done.code == 0
    assert "warning: notice: run_finished: no answer from 127.0.0.1: Connection refused\n" in done.err
    assert "hidden-token" not in done.err


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://host/x", "hidden-token", "http://", "http://[x"]
)
@pytest.mark.parametrize("name", ["HASTEWARD_PING_URL", "HASTEWARD_NOTICE_URL"])
def test_a_url_that_cannot_be_told_is_three_and_not_repeated(
    name: str, url: str, cli: Any, there: tuple[str, ...], monkeypatch: Env
) -> None:
    monkeypatch.setenv(name, url)

    done = cli("backup", *there)

    assert (done.code, cli.toy.options) == (3, [])
    assert done.err == f"error: {name}: the value given is not an http or https URL\n"


def test_a_url_is_shown_by_nothing(cli: Any, monkeypatch: Env) -> None:
    monkeypatch.setenv("HASTEWARD_PING_URL", "https://example.org/hidden-token")

    for more in ((), ("--verbose",), ("--output", "json")):
        done = cli("config", "show", *more)
        assert "hidden-token" not in done.out + done.err
        assert "***" in done.out
