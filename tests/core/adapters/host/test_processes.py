"""Processes behind a prefix: the kit's proofs hold for them as for a pod, and nothing outlives a run."""

from __future__ import annotations

import hashlib
import itertools
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from hasteward.adapters.host.processes import HostProcesses
from hasteward.adapters.host.words import child_environment, command_line
from hasteward.domain.errors import DependencyError, InvalidInput, Refused, RunFailed, Unproven
from hasteward.kit.orphans import end_orphans
from hasteward.kit.streaming import capture, download, stream_mark, upload
from hasteward.ports.context import EngineContext, Run, Tuning
from hasteward.ports.host import HostRef
from hasteward.streams.proof import Algorithm
from hasteward.streams.wrapper import STREAM_MARK
from hasteward.testing.clock import VirtualClock
from hasteward.testing.reporter import RecordingReporter

HERE = HostRef()
SHA = Algorithm.SHA256


@pytest.fixture
def context(tmp_path: Path) -> EngineContext:
    environment = dict(os.environ) | {"RESTIC_PASSWORD": "canary", "AWS_SECRET_ACCESS_KEY": "canary"}
    return EngineContext(
        kubernetes=cast("Any", None),
        clock=VirtualClock(),
        reporter=RecordingReporter(),
        run=Run("r1", datetime(2026, 1, 1, tzinfo=UTC)),
        approve=lambda _: True,
        tuning=Tuning(stall_seconds=10),
        host=HostProcesses(environment, tmp_path / "locks"),
        via=HERE,
    )


def ssh(folder: Path) -> str:
    """A program that treats its words as ssh does: joined by blanks, read by a shell."""
    program = folder / "ssh"
    program.write_text('#!/bin/sh\nshift\nexec sh -c "$*"\n')
    program.chmod(0o755)
    return str(program)


def test_a_download_arrives_whole_with_its_proof(context: EngineContext) -> None:
    parts = bytearray()
    argv = ["sh", "-c", "head -c 3000000 /dev/zero"]
    proof = download(context, HERE, argv, parts.extend, what="zeros", algorithm=SHA)
    assert (proof.length, bytes(parts)) == (3_000_000, bytes(3_000_000))


def test_an_upload_of_many_megabytes_is_counted_where_it_arrived(context: EngineContext) -> None:
    chunks = [b"x" * 1_000_000] * 5
    argv = ["sh", "-c", "wc -c >&2; echo noise"]
    assert upload(context, HERE, argv, chunks, what="x", algorithm=SHA).length == 5_000_000


def test_what_is_known_of_an_upload_is_compared_with_what_arrived(context: EngineContext) -> None:
    known = hashlib.sha256(b"abc").hexdigest()
    argv = ["sh", "-c", "cat >/dev/null"]

    proof = upload(context, HERE, argv, [b"a", b"bc"], what="the load", algorithm=SHA, known=known)

    assert (proof.length, proof.digest) == (3, known)
    with pytest.raises(Unproven, match="is not the one here"):
        upload(context, HERE, argv, [b"a", b"bd"], what="the load", algorithm=SHA, known=known)


def test_a_consumer_that_stops_reading_fails_with_its_own_words(context: EngineContext) -> None:
    argv = ["sh", "-c", "echo full >&2; exit 7"]
    with pytest.raises(RunFailed, match="the load in this host exited with 7: full"):
        upload(context, HERE, argv, [b"x" * 1_000_000] * 5, what="the load", algorithm=SHA)


def test_a_consumer_that_ends_well_before_it_was_given_everything_proves_nothing(
    context: EngineContext,
) -> None:
    argv = ["sh", "-c", "head -c 1000 >/dev/null; exit 0"]
    given = itertools.repeat(bytes(1000))
    with pytest.raises(Unproven, match="the load in this host ended before it was given everything"):
        upload(context, HERE, argv, given, what="the load", algorithm=SHA)


def test_a_producer_that_is_killed_gives_no_proof(context: EngineContext) -> None:
    argv = ["sh", "-c", "echo some; kill -KILL 0"]
    with pytest.raises(RunFailed, match="ended by signal 9"):
        download(context, HERE, argv, bytearray().extend, what="x", algorithm=SHA)


def test_a_process_that_stands_still_is_given_up_and_ended(context: EngineContext, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    hurried = replace(context, tuning=Tuning(stall_seconds=0.5))
    argv = ["sh", "-c", f"sleep 30; touch {mark}"]
    with pytest.raises(Unproven, match=r"nothing moved for 0\.5 s"):
        capture(hurried, HERE, argv)
    deadline = time.monotonic() + 10
    while running(str(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert running(str(mark)) == []


def running(needle: str) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if needle.encode() in words and int(process.name) != os.getpid():
            found.append(process.name)
    return found


HARD = ["a b", "it's", '"q"', "$HOME", "`id`", "new\nline", "", "*", "\\", "-c", "ünï"]


@pytest.mark.parametrize("levels", [0, 1, 2])
def test_every_word_arrives_as_it_was_through_any_number_of_ssh(
    context: EngineContext, tmp_path: Path, levels: int
) -> None:
    prefix = (ssh(tmp_path), "host") * levels
    script = r'for w in "$@"; do printf "<%s>" "$w"; done'
    answer = capture(context, HostRef(prefix), ["sh", "-c", script, "sh", *HARD])
    assert answer.stdout.decode() == "".join(f"<{word}>" for word in HARD)


def test_words_after_the_host_are_as_the_user_wrote_them() -> None:
    line = command_line(("ssh", "-p", "22", "host", "docker", "exec", "-i", "db"), ["sh", "-c", "a b"])
    assert line == ["ssh", "-p", "22", "host", "docker", "exec", "-i", "db", "sh", "-c", "'a b'"]
    assert shlex.split(" ".join(line[4:])) == ["docker", "exec", "-i", "db", "sh", "-c", "a b"]


def test_no_secret_of_ours_is_in_the_environment_of_the_process(context: EngineContext) -> None:
    answer = capture(context, HERE, ["env"])
    assert b"canary" not in answer.stdout
    assert "PATH" in {line.partition("=")[0] for line in answer.stdout.decode().splitlines()}
    assert child_environment({"DOCKER_HOST": "d", "HASTEWARD_X": "x"}) == {
        "PATH": os.defpath,
        "DOCKER_HOST": "d",
    }


def test_a_program_that_is_not_there_is_named(context: EngineContext) -> None:
    with pytest.raises(DependencyError, match="no-such-program cannot be started: No such file"):
        capture(context, HostRef(("no-such-program",)), ["true"])


def test_one_run_at_a_time_on_one_place(context: EngineContext, tmp_path: Path) -> None:
    other = HostProcesses(os.environ, tmp_path / "locks")
    with context.host.lock(HERE):
        with pytest.raises(Refused, match="at work on this host"), other.lock(HERE):
            pass
        with other.lock(HostRef(("ssh", "elsewhere"))):
            pass
    with other.lock(HERE):
        pass


def test_a_run_that_is_killed_leaves_no_process(tmp_path: Path) -> None:
    mark = tmp_path / "orphan"
    code = f"""
import os
import signal
from datetime import UTC, datetime
from pathlib import Path
from hasteward.adapters.host.processes import HostProcesses
from hasteward.ports.host import HostRef
from hasteward.streams.wrapper import download_argv
host = HostProcesses(os.environ, Path({str(tmp_path)!r}))
argv = download_argv(["sh", "-c", "echo up; sleep 60; : {mark}"], run="r", nonce="0" * 32)
with host.run(HostRef(), argv, stall_seconds=30) as stream:
    stream.receive()
    os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == -9
    deadline = time.monotonic() + 10
    while running(str(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert running(str(mark)) == []


#: prints its input, then where its second line is to be seen in this machine's processes
LOOK = """
import pathlib, sys
text = sys.stdin.buffer.read()
secret, found = text.splitlines()[1], []
for name in ("cmdline", "environ"):
    for file in pathlib.Path("/proc").glob("[0-9]*/" + name):
        try:
            found += [str(file)] * (secret in file.read_bytes())
        except OSError:
            pass
print(text.decode() + str(found))
"""
PASSWORD = 'it\'s [a] $ecret `x` \\ "y" %s'


def test_text_for_a_producer_is_on_its_input_and_in_no_arguments_or_environment(
    context: EngineContext,
) -> None:
    answer = capture(context, HERE, [sys.executable, "-c", LOOK], feed=f"one\n{PASSWORD}")
    assert answer.stdout.decode() == f"one\n{PASSWORD}\n[]\n"


def test_text_for_a_consumer_is_on_a_descriptor_of_its_own(context: EngineContext, tmp_path: Path) -> None:
    argv = ["sh", "-c", f"cat /dev/fd/7 >{tmp_path}/text; cat >{tmp_path}/data"]
    data = [b"\n.\nnot the end\n", b"x" * 200_000]
    proof = upload(context, HERE, argv, data, what="data", algorithm=SHA, feed=PASSWORD)
    assert proof.length == 200_015
    assert (tmp_path / "text").read_text() == f"{PASSWORD}\n"
    assert (tmp_path / "data").read_bytes() == b"".join(data)


def test_a_fed_producer_fails_and_dies_as_any_other(context: EngineContext) -> None:
    with pytest.raises(RunFailed, match="exited with 3"):
        download(context, HERE, ["sh", "-c", "exit 3"], bytearray().extend, what="x", algorithm=SHA, feed="a")
    with pytest.raises(InvalidInput, match="a line with a single dot"):
        capture(context, HERE, ["cat"], feed="a\n.\nb")


def test_orphans_on_a_host_are_only_those_of_this_very_lock(context: EngineContext) -> None:
    """A host shows everybody's processes: streams into pods of it, and those of other prefixes."""
    theirs = [
        start_stream(STREAM_MARK),
        start_stream(stream_mark(HostRef(("env", "A=1")))),
        start_stream(stream_mark(HERE), run="r1"),
    ]
    orphan = start_stream(stream_mark(HERE), run="dead")
    try:
        assert end_orphans(context, HERE) == ["dead"]
        assert orphan.wait(10) == -signal.SIGTERM
        assert [process.poll() for process in theirs] == [None, None, None]
    finally:
        for process in (*theirs, orphan):
            process.kill()
            process.communicate()


def start_stream(mark: str, run: str = "other") -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["sh", "-c", "read x; :", f"{mark}:{run}:0"], stdin=subprocess.PIPE, start_new_session=True
    )
