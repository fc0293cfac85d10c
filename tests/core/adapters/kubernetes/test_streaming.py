"""Proven streams end to end: the wrapper runs for real, the connection has the accidents."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from exec_server import Kubelet

from hasteward.domain.errors import RunFailed, Unproven
from hasteward.kit.streaming import capture, download, upload
from hasteward.ports.context import EngineContext, Run, Tuning
from hasteward.ports.kubernetes import PodRef
from hasteward.streams.proof import Algorithm

Connect = Callable[..., Any]
POD = PodRef("db", "pg-1", "postgres")
SIZE = 300_000
BLAKE = Algorithm.BLAKE2B_256


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    file = tmp_path / "dump"
    file.write_bytes(os.urandom(SIZE))
    return file


@pytest.fixture
def context(api: Connect) -> Callable[..., EngineContext]:
    """An engine's context on a kubelet with the given accidents."""

    def build(**accidents: Any) -> EngineContext:
        unused: Any = None
        return EngineContext(
            # Plain TCP: the kubelet reads and writes from two threads, which TLS does not stand.
            kubernetes=api(Kubelet(**accidents), tls=False),
            clock=unused,
            reporter=unused,
            run=Run("run-1", datetime.now(UTC)),
            approve=unused,
            tuning=replace(Tuning(), stall_seconds=10),
        )

    return build


def take(context: EngineContext, *argv: str) -> bytes:
    got = bytearray()
    proof = download(context, POD, argv, got.extend, what="the dump", algorithm=BLAKE)
    assert proof.length == len(got)
    assert proof.digest == hashlib.blake2b(got, digest_size=32).hexdigest()
    return bytes(got)


def test_a_good_download_is_proven(context: Callable[..., EngineContext], dump: Path) -> None:
    assert take(context(), "cat", str(dump)) == dump.read_bytes()


@pytest.mark.parametrize("cut", [1, SIZE // 2, SIZE, SIZE + 60], ids=["first", "middle", "last", "trailer"])
@pytest.mark.parametrize("accident", ["fin", "reset", "success"])
def test_a_cut_download_is_never_proven(
    context: Callable[..., EngineContext], dump: Path, cut: int, accident: str
) -> None:
    with pytest.raises(Unproven, match="without the producer's trailer"):
        take(context(cut=cut, accident=accident), "cat", str(dump))


@pytest.mark.parametrize("flip", [0, SIZE // 2, SIZE - 1])
def test_a_flipped_bit_is_found(context: Callable[..., EngineContext], dump: Path, flip: int) -> None:
    with pytest.raises(Unproven, match="digest"):
        take(context(flip=flip), "cat", str(dump))


def test_a_dump_that_fails_says_so_with_its_own_words(context: Callable[..., EngineContext]) -> None:
    with pytest.raises(RunFailed, match="exited with 1: disk on fire"):
        take(context(), "sh", "-c", "echo data; echo disk on fire >&2; exit 1")


def test_a_program_that_is_not_there_is_a_failed_run(context: Callable[..., EngineContext]) -> None:
    with pytest.raises(RunFailed, match="exited with 127"):
        take(context(), "no-such-program")


def test_a_short_command_is_captured_with_its_status(context: Callable[..., EngineContext]) -> None:
    answer = capture(context(), POD, ["sh", "-c", "echo out; echo err >&2; exit 4"])
    assert (answer.stdout, answer.stderr, answer.exit_status) == (b"out\n", "err\n", 4)


def give(context: EngineContext, data: bytes, *argv: str) -> str:
    chunks = [memoryview(data)[i : i + 70_000] for i in range(0, len(data), 70_000)]
    return upload(context, POD, argv, chunks, what="the restore", algorithm=BLAKE).digest


@pytest.mark.parametrize("size", [0, 1, SIZE, 20_000_000])
def test_a_good_upload_is_proven_and_there(
    context: Callable[..., EngineContext], tmp_path: Path, size: int
) -> None:
    data, target = os.urandom(size), tmp_path / "target"
    digest = give(context(), data, "dd", f"of={target}", "status=none")
    assert target.read_bytes() == data
    assert digest == hashlib.blake2b(data, digest_size=32).hexdigest()


@pytest.mark.parametrize("kept", [0, SIZE // 2, SIZE - 1])
def test_an_upload_that_lost_its_end_is_not_proven(context: Callable[..., EngineContext], kept: int) -> None:
    with pytest.raises(Unproven, match="digest"):
        give(context(swallow=kept), os.urandom(SIZE), "sh", "-c", "cat >/dev/null")


def test_an_upload_whose_answer_is_lost_is_not_proven(context: Callable[..., EngineContext]) -> None:
    with pytest.raises(Unproven):
        give(context(cut=10, accident="success"), os.urandom(SIZE), "sh", "-c", "cat >/dev/null")


def test_a_consumer_that_fails_early_is_a_failed_run(context: Callable[..., EngineContext]) -> None:
    with pytest.raises(RunFailed, match="exited with 3: relation exists already"):
        give(
            context(),
            bytes(30_000_000),
            "sh",
            "-c",
            "head -c 1000 >/dev/null; echo relation exists already >&2; exit 3",
        )
