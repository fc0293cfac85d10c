"""A program of the user's runs without a shell, ends in time, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from hasteward.adapters.programs import OUTPUT_LIMIT, Finished, run_program

PATH = {"PATH": os.environ["PATH"]}


def sh(script: str, *, seconds: float = 20, stdin: bytes = b"", with_stderr: bool = False) -> Finished:
    return run_program(["sh", "-c", script], PATH, seconds=seconds, stdin=stdin, with_stderr=with_stderr)


def test_status_and_output_are_its_own() -> None:
    assert sh("cat; exit 3", stdin=b"given") == Finished(3, b"given")
    assert sh("echo lost >&2; echo kept") == Finished(0, b"kept\n")
    assert sh("echo one >&2; echo two", with_stderr=True) == Finished(0, b"one\ntwo\n")


def test_a_large_input_needs_no_reader() -> None:
    assert sh("exit 0", stdin=b"x" * 4_000_000) == Finished(0, b"")
    assert sh("wc -c", stdin=b"x" * 4_000_000).output.strip() == b"4000000"


def test_only_the_environment_that_is_given_is_there() -> None:
    done = run_program(["env"], PATH | {"ONE": "1"}, seconds=20)

    assert sorted(line.partition(b"=")[0] for line in done.output.splitlines()) == [b"ONE", b"PATH"]


def test_one_that_hangs_is_ended_with_what_it_has_started(tmp_path: Path) -> None:
    began = time.monotonic()

    done = sh(f"sleep 300 & echo $! > {tmp_path}/pid; wait", seconds=0.3)

    assert done == Finished(None, b"", "did not end within 0.3 s")
    assert time.monotonic() - began < 10
    child = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 5
    while Path(f"/proc/{child}/cmdline").exists() and time.monotonic() < deadline:
        if Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            break
        time.sleep(0.01)
    else:
        assert not Path(f"/proc/{child}").exists()


def test_one_that_ends_is_not_waited_for_because_of_its_children(tmp_path: Path) -> None:
    began = time.monotonic()

    done = sh(f"sleep 60 & echo $! > {tmp_path}/pid; echo done")

    assert done == Finished(0, b"done\n")
    assert time.monotonic() - began < 10
    # what it left running on purpose still runs
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_one_that_prints_without_end_is_ended() -> None:
    assert sh("yes") == Finished(None, b"", f"printed more than {OUTPUT_LIMIT // 1024} KiB")


def test_one_that_closes_its_output_is_still_waited_for() -> None:
    assert sh("exec >&-; sleep 0.2; exit 4") == Finished(4, b"")


@pytest.mark.parametrize(
    ("done", "words"),
    [
        (Finished(3), "ended with 3"),
        (Finished(-11), "was ended by SIGSEGV"),
        (Finished(None, b"", "did not end within 5 s"), "did not end within 5 s"),
    ],
)
def test_how_it_ended_is_said_in_words(done: Finished, words: str) -> None:
    assert done.ending == words


def test_its_output_does_not_show_itself() -> None:
    assert "hush" not in repr(Finished(0, b"hush"))


def test_one_that_is_not_there_raises() -> None:
    with pytest.raises(FileNotFoundError):
        run_program(["/no/such/program", sys.executable], PATH, seconds=1)
