"""The shell beside the database, run for real by every POSIX shell that is here."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hasteward.streams.proof import TRAILER_LENGTH, Algorithm, new_digest, parse_trailer
from hasteward.streams.wrapper import READ_MARK, download_argv, upload_argv

NONCE = "ab" * 16
SHELLS = [shell for shell in (["dash"], ["bash"], ["busybox", "sh"]) if shutil.which(shell[0])]


#: what the wrapper itself is made of
TOOLS = ("sh", "env", "grep", "head", "nice", "openssl", "sha256sum", "sleep", "tee", "wc")


def start(shell: list[str], argv: list[str], path: str | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        shell + argv[1:],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=os.environ | ({"PATH": path} if path else {}),
    )


def an_image_without_perl(folder: Path) -> str:
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None
        (folder / tool).symlink_to(found)
    return str(folder)


def finish(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdin is not None
    out = process.stdout.read()
    process.wait(10)
    process.stdin.close()
    err = process.stderr.read()
    process.stdout.close()
    process.stderr.close()
    return out, err


def members_of(session: int) -> list[str]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[3] == str(session) and fields[0] != "Z":
            found.append(stat.parent.name)
    return found


def test_there_is_a_shell_to_test() -> None:
    assert SHELLS


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize("algorithm", ["auto", "sha256", "blake2b-256"])
@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
def test_a_download_ends_with_a_trailer_over_its_bytes(shell: list[str], algorithm: str, size: int) -> None:
    command = ["head", "-c", str(size), "/dev/zero"]
    process = start(shell, download_argv(command, run="r", nonce=NONCE, algorithm=algorithm))
    out, _ = finish(process)

    trailer = parse_trailer(out[-TRAILER_LENGTH:], NONCE)
    assert trailer is not None
    digest = new_digest(trailer.algorithm)
    digest.update(out[:-TRAILER_LENGTH])
    assert (process.returncode, trailer.exit_status, trailer.digest) == (0, 0, digest.hexdigest())
    assert len(out) == size + TRAILER_LENGTH


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize(
    ("command", "status"), [("exit 7", 7), ("kill -9 $$", 137), ("echo half; exit 1", 1)]
)
def test_a_failing_producer_is_named_in_the_trailer_and_the_exit(
    shell: list[str], command: str, status: int
) -> None:
    process = start(shell, download_argv(["sh", "-c", command], run="r", nonce=NONCE))
    out, _ = finish(process)

    trailer = parse_trailer(out[-TRAILER_LENGTH:], NONCE)
    assert trailer is not None
    assert (process.returncode, trailer.exit_status) == (status, status)


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_mode_11_a_producer_dies_with_its_lifeline(shell: list[str]) -> None:
    argv = download_argv(["sh", "-c", "echo on; while :; do sleep 1; done"], run="r", nonce=NONCE)
    process = start(shell, argv)
    assert process.stdout is not None
    assert process.stdout.read(3) == b"on\n"
    assert process.stdin is not None
    process.stdin.close()

    assert process.wait(5) == 143, "its producer was asked to end, and the shell has buried it"
    # the five seconds after which a producer that does not listen would be killed run out by themselves
    deadline = time.monotonic() + 9
    while members_of(process.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert members_of(process.pid) == []
    process.stdout.close()
    assert process.stderr is not None
    process.stderr.close()


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_an_upload_answers_with_the_digest_of_what_arrived(shell: list[str], algorithm: Algorithm) -> None:
    data = os.urandom(1_000_000)
    argv = upload_argv(["wc", "-c"], run="r", nonce=NONCE, algorithm=algorithm)
    process = start(shell, argv)
    out, err = process.communicate(data, timeout=20)

    digest = new_digest(algorithm)
    digest.update(data)
    trailer = parse_trailer(out, NONCE)
    assert trailer is not None
    assert (trailer.exit_status, trailer.digest) == (0, digest.hexdigest())
    assert err.strip() == b"1000000"


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_a_consumer_that_gives_up_early_is_reported_while_data_still_flows(shell: list[str]) -> None:
    argv = upload_argv(["sh", "-c", "head -c 10 >/dev/null; exit 3"], run="r", nonce=NONCE)
    process = start(shell, argv)
    out, _ = process.communicate(os.urandom(5_000_000), timeout=20)

    trailer = parse_trailer(out, NONCE)
    assert trailer is not None
    assert trailer.exit_status == 3


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_the_memory_limit_binds_the_producer(shell: list[str]) -> None:
    argv = download_argv(["sh", "-c", "ulimit -v"], run="r", nonce=NONCE, memory_limit=512 * 1024 * 1024)
    process = start(shell, argv)
    out, _ = finish(process)

    assert out[:-TRAILER_LENGTH].strip() == b"524288"


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_without_perl_a_stream_is_proven_all_the_same(shell: list[str], tmp_path: Path) -> None:
    path = an_image_without_perl(tmp_path)
    program = shutil.which(shell[0])
    assert program is not None
    data = os.urandom(3_000_000)
    argv = upload_argv(["wc", "-c"], run="r", nonce=NONCE, algorithm="sha256")
    process = start([program, *shell[1:]], argv, path)
    out, err = process.communicate(data, timeout=20)

    trailer = parse_trailer(out, NONCE)
    assert trailer is not None
    assert (trailer.exit_status, trailer.digest) == (0, hashlib.sha256(data).hexdigest())
    assert err.strip() == b"3000000"


def test_what_is_no_pipe_is_copied_all_the_same(tmp_path: Path) -> None:
    data, given, answer = os.urandom(3_000_000), tmp_path / "given", tmp_path / "answer"
    given.write_bytes(data)
    upload = upload_argv(["wc", "-c"], run="r", nonce=NONCE, algorithm="sha256")
    download = download_argv(["cat", str(given)], run="r", nonce=NONCE, algorithm="sha256")
    with given.open("rb") as source:
        done = subprocess.run(upload, stdin=source, capture_output=True, check=True, timeout=20)
    process = start(["sh"], ["sh", "-c", 'f=$1; shift; exec "$@" >>"$f"', "sh", str(answer), *download])
    finish(process)

    digest = hashlib.sha256(data).hexdigest()
    arrived, sent = parse_trailer(done.stdout, NONCE), answer.read_bytes()
    assert arrived is not None
    assert (arrived.exit_status, arrived.digest) == (0, digest)
    trailer = parse_trailer(sent[-TRAILER_LENGTH:], NONCE)
    assert trailer is not None
    assert (trailer.exit_status, trailer.digest) == (0, digest)
    assert sent[:-TRAILER_LENGTH] == data


@pytest.mark.parametrize("tool", ["perl", "tee"])
def test_a_branch_that_was_killed_vouches_for_nothing(tool: str, tmp_path: Path) -> None:
    """It may have left the same bytes out of the data and of its digest, and its producer saw nothing."""
    path = an_image_without_perl(tmp_path)
    (tmp_path / tool).unlink(missing_ok=True)
    (tmp_path / tool).write_text(
        f'#!/bin/sh\n[ "$2" = 1 ] || {{ head -c 10 | {shutil.which("tee")} /dev/fd/5; kill -9 $$; }}\n'
    )
    (tmp_path / tool).chmod(0o755)
    argv = download_argv(["head", "-c", "20000", "/dev/zero"], run="r", nonce=NONCE, algorithm="sha256")
    out, _ = finish(start(["/bin/sh"], argv, path))

    trailer = parse_trailer(out[-TRAILER_LENGTH:], NONCE)
    assert trailer is not None
    assert (out[:-TRAILER_LENGTH], trailer.digest) == (bytes(10), "none")
    # it has written all before the branch was gone, or was told by SIGPIPE
    assert trailer.exit_status in {0, 141}


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_a_fed_stream_gives_the_text_to_the_program_and_digests_only_data(shell: list[str]) -> None:
    for argv, sent, data in (
        (download_argv(["cat"], run="r", nonce=NONCE, fed=True), b"", b"pass word\\n\n"),
        (upload_argv(["cat", "/dev/fd/7", "-"], run="r", nonce=NONCE, fed=True), b"data\n", b"data\n"),
    ):
        process = start(shell, argv)
        assert process.stdin is not None
        process.stdin.write(b"pass word\\n\n.\n" + sent)
        process.stdin.flush()
        if sent:
            process.stdin.close()
        out, err = finish(process)
        trailer = parse_trailer(out[-TRAILER_LENGTH:], NONCE)
        assert trailer is not None
        digest = new_digest(trailer.algorithm)
        digest.update(data)
        assert (trailer.exit_status, trailer.digest) == (0, digest.hexdigest())
        assert (out[:-TRAILER_LENGTH], err) == ((b"", b"pass word\\n\ndata\n") if sent else (data, b""))


#: a first process: starts what it is given, does to it what the test says, and buries whoever is left to it;
#: says how each of those ended
ADOPT = r"""
import ctypes, json, os, signal, subprocess, sys, time
ctypes.CDLL(None).prctl(36, 1)
how, argv = sys.argv[1], sys.argv[2:]
child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
if how == "gone":
    child.stdout.read(1)
    child.stdin.close()
    child.stdout.close()
elif how == "ended":
    child.stdout.read(1)
    os.killpg(child.pid, signal.SIGTERM)
    child.stdout.close()
elif how == "upload":
    child.stdin.write(b"x" * 100)
    child.stdin.close()
    child.stdout.read()
else:
    child.stdout.read()
ends, first = [], None
deadline = time.monotonic() + 8
while time.monotonic() < deadline:
    if child.stdin and not child.stdin.closed and first is not None:
        child.stdin.close()
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        break
    if pid == child.pid:
        first = status
    elif pid:
        ends.append(os.waitstatus_to_exitcode(status))
    else:
        time.sleep(0.02)
print(json.dumps(sorted(set(ends))))
"""


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize("how", ["whole", "gone", "ended", "upload"])
def test_nobody_of_ours_who_was_killed_is_left_to_the_first_process(shell: list[str], how: str) -> None:
    """PostgreSQL as process 1 takes such a one for a crashed backend, and ends all sessions."""
    endless = ["sh", "-c", "while :; do echo row; done"]
    producer = ["echo", "row"] if how == "whole" else endless
    # the mark of a short read: other tests end whatever has that of a stream
    argv = download_argv(producer, run="r", nonce=NONCE, mark=READ_MARK)
    if how == "upload":
        argv = upload_argv(["wc", "-c"], run="r", nonce=NONCE, mark=READ_MARK)
    done = subprocess.run(
        [sys.executable, "-c", ADOPT, how, *shell, *argv[1:]],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert set(json.loads(done.stdout)) <= {0, 1}
