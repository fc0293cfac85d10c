"""Ending what a dead run left, with a mark of our own: the script must not meet the streams of others."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from hasteward.kit.orphans import _END, end_orphans
from hasteward.ports.context import EngineContext, Run
from hasteward.ports.kubernetes import PodRef
from hasteward.testing.clock import VirtualClock
from hasteward.testing.kubernetes import FakeKubernetes, Result
from hasteward.testing.reporter import Approval, RecordingReporter

MARK = f"test-{secrets.token_hex(4)}"
ELSEWHERE = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child")


@pytest.fixture
def streams() -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Streams of this run, of a dead one, and of one in another PID namespace."""

    def start(run: str, *before: str) -> subprocess.Popen[bytes]:
        # by its environment, so that only the shell itself carries the mark, and not what started it
        argv = [*before, "sh", "-c", 'exec sh -c "echo here; read never" "$MARK"']
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "MARK": f"{MARK}:{run}:nonce"},
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        return process

    made = {"ours": start("ours"), "dead": start("dead"), "elsewhere": start("elsewhere", *ELSEWHERE)}
    yield made
    for process in made.values():
        process.kill()
        process.communicate()


def test_streams_of_other_runs_are_ended_and_those_of_other_containers_are_not(
    streams: dict[str, subprocess.Popen[bytes]],
) -> None:
    done = subprocess.run(["sh", "-c", _END, "sh", MARK, "ours"], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines() == [f"{MARK}:dead:nonce"]
    assert streams["dead"].wait(5) == -15, "asked first, killed only if that does not help"
    time.sleep(0.05)
    assert [streams[name].poll() for name in ("ours", "elsewhere")] == [None, None]


def test_each_run_that_was_ended_is_named_once() -> None:
    said = Result(b"hasteward-stream:b:1\nhasteward-stream:a:1\nhasteward-stream:b:2\n")
    reporter = RecordingReporter()
    run = Run("mine", datetime(2026, 1, 2, tzinfo=UTC))
    context = EngineContext(FakeKubernetes(lambda *_: said), VirtualClock(), reporter, run, Approval())

    assert end_orphans(context, PodRef("db", "box-1", "main")) == ["a", "b"]
    assert reporter.warnings() == ["orphan.ended", "orphan.ended"]
