"""What the pod is asked to run, word by word."""

from __future__ import annotations

import hashlib
import itertools
import subprocess
from collections.abc import Callable
from urllib.parse import urlencode

import pytest

from hasteward.streams import wrapper

EVERY = list(itertools.product([False, True], [False, True]))


def test_a_producer_is_wrapped_with_its_mark_algorithm_and_limit() -> None:
    plain = wrapper.download_argv(["pg_dump", "-d", "app"], run="r1", nonce="n1")
    chosen = wrapper.download_argv(
        ["x"], run="r1", nonce="n1", mark=wrapper.READ_MARK, algorithm="sha256", memory_limit=3 * 1024 + 1
    )

    assert plain[:3] == chosen[:3] == ["sh", "-c", wrapper._download(fed=False, short=False)]
    assert plain[3:] == ["hasteward-stream:r1:n1", "auto", "0", "pg_dump", "-d", "app"]
    assert chosen[3:] == ["hasteward-read:r1:n1", "sha256", "3", "x"]


def test_a_consumer_is_wrapped_without_a_limit() -> None:
    plain = wrapper.upload_argv(["psql", "-X"], run="r1", nonce="n1")
    chosen = wrapper.upload_argv(["psql"], run="r1", nonce="n1", algorithm="blake2b-256")

    assert plain[:3] == ["sh", "-c", wrapper._upload(fed=False, short=False)]
    assert plain[3:] == ["hasteward-stream:r1:n1", "auto", "0", "psql", "-X"]
    assert chosen[3:] == ["hasteward-stream:r1:n1", "blake2b-256", "0", "psql"]


def test_every_wrapper_leaves_room_for_arguments_in_the_address_of_a_request() -> None:
    """Many a server and proxy refuses an address of more than 8 KiB."""
    for make in (wrapper.download_argv, wrapper.upload_argv):
        for fed in (False, True):
            words = make([], run="r" * 16, nonce="n" * 32, fed=fed)
            assert len(urlencode([("command", word) for word in words])) < 3000
            words = make([], run="r" * 16, nonce="n" * 32, fed=fed, short=True)
            assert len(urlencode([("command", word) for word in words])) < 2100


@pytest.mark.parametrize(("fed", "short"), EVERY)
@pytest.mark.parametrize("make", [wrapper.download_argv, wrapper.upload_argv])
def test_long_streams_look_for_what_is_quick_and_short_ones_for_what_starts_soon(
    make: Callable[..., list[str]],
    fed: bool,
    short: bool,
) -> None:
    script = make([], run="r", nonce="n", fed=fed, short=short)[2]

    assert ("perl" in script, "command -v sha256sum" in script) == (not short, short)


def spoken(argv: list[str], said: bytes, *, close: bool) -> bytes:
    """What the wrapper answers. The standard input of a download is its lifeline: it stays open."""
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(said)
        process.stdin.flush()
        if close:
            process.stdin.close()
        answer: bytes = process.stdout.read()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    return answer


def trailer(data: bytes, rc: int) -> bytes:
    return b"n sha256      %3d %s\n" % (rc, hashlib.sha256(data).hexdigest().encode())


@pytest.mark.parametrize(("fed", "short"), EVERY)
def test_each_way_of_wrapping_a_producer_runs(fed: bool, short: bool) -> None:
    program = ["sh", "-c", "cat; echo data; exit 3"]
    argv = wrapper.download_argv(program, run="r", nonce="n", algorithm="sha256", fed=fed, short=short)
    data = b"text\nmore\ndata\n" if fed else b"data\n"

    answer = spoken(argv, b"text\nmore\n.\n" if fed else b"", close=False)

    assert answer == data + trailer(data, 3)


@pytest.mark.parametrize(("fed", "short"), EVERY)
def test_each_way_of_wrapping_a_consumer_runs(fed: bool, short: bool) -> None:
    read = f"cat {wrapper.FED_DESCRIPTOR} -" if fed else "cat"
    program = [
        "sh",
        "-c",
        f'test "$({read})" = "$1"; exit $((3 + $?))',
        "it",
        "text\ndata" if fed else "data",
    ]
    argv = wrapper.upload_argv(program, run="r", nonce="n", algorithm="sha256", fed=fed, short=short)

    answer = spoken(argv, (b"text\n.\n" if fed else b"") + b"data\n", close=True)

    assert answer == trailer(b"data\n", 3)
