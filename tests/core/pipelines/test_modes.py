"""The ways in which backups over exec fail elsewhere, one by one: none of them makes a backup here."""

from __future__ import annotations

import os
import subprocess
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from fault_sweep import points as table
from fault_sweep import toy

from hasteward.kit.streaming import download
from hasteward.ports.context import EngineContext, Run
from hasteward.ports.kubernetes import Channel, ExitStatus, Output, PodRef
from hasteward.streams.proof import TRAILER_LENGTH, Algorithm, new_digest, parse_trailer
from hasteward.streams.wrapper import download_argv


@pytest.fixture
def struck(sweep_world: Callable[[], Any]) -> Callable[..., tuple[Any, Any]]:
    """Run a verb in a fresh world with one fault in it; the world and what the run answered."""

    def run(verb: str, injection: table.Injection) -> tuple[Any, Any]:
        world = sweep_world()
        if verb != "backup":
            world.restored_by_hand()
        world.arm(table.Point(verb, injection, frozenset()))
        done = world.run(verb)
        world.disarm()
        return world, done

    return run


def assert_no_backup(world: Any, done: Any, words: str) -> None:
    assert done.code == table.UNPROVEN, done.err
    assert words in done.err
    assert world.repository.listed == []


def test_mode_01_output_cut_off_behind_a_success_makes_no_backup(struck: Any) -> None:
    world, done = struck("backup", table.Frame("dump", "stdout", "false"))

    assert_no_backup(world, done, "without the producer's trailer (the server reported success)")


def test_mode_02_bytes_that_a_half_closed_proxy_dropped_make_no_backup(struck: Any) -> None:
    world, done = struck("backup", table.Frame("dump", "stdout", "missing", "last"))

    assert_no_backup(world, done, "without the producer's trailer")


def test_mode_03_a_missing_status_is_not_a_success(struck: Any) -> None:
    world, done = struck("backup", table.Frame("dump", "status", "missing"))

    assert_no_backup(world, done, "without a Status frame")


def test_mode_04_the_producers_own_status_comes_through_the_pipes_in_the_pod() -> None:
    nonce = "ab" * 16
    argv = download_argv(["sh", "-c", "echo half; exit 7"], run="r", nonce=nonce)
    lifeline, ours = os.pipe()
    done = subprocess.run(argv, stdin=lifeline, capture_output=True, start_new_session=True, check=False)
    os.close(lifeline)
    os.close(ours)
    trailer = parse_trailer(done.stdout[-TRAILER_LENGTH:], nonce)

    assert trailer is not None
    assert (done.returncode, trailer.exit_status) == (7, 7)


def test_mode_05_a_connection_that_was_closed_while_nothing_moved_makes_no_backup(struck: Any) -> None:
    for damage in ("cut", "stall"):
        world, done = struck("backup", table.Frame("dump", "status", damage))
        assert_no_backup(world, done, "without a Status frame")


class Endless:
    """An exec that sends `size` bytes in one reused buffer, and the trailer."""

    def __init__(self, size: int) -> None:
        self._frames = iter(())
        self._size = size

    @contextmanager
    def exec(self, _pod: PodRef, argv: Any, **_rest: Any) -> Iterator[Any]:
        self._frames = self._run(argv[3].rpartition(":")[2])
        yield self

    def _run(self, nonce: str) -> Iterator[Any]:
        buffer, digest = memoryview(bytearray(65536)), new_digest(Algorithm.BLAKE2B_256)
        for _ in range(self._size // len(buffer)):
            digest.update(buffer)
            yield Output(Channel.STDOUT, buffer)
        trailer = f"{nonce} blake2b-256   0 {digest.hexdigest()}\n".encode()
        yield Output(Channel.STDOUT, memoryview(trailer))
        yield ExitStatus(success=True, exit_code=0, message="")

    def receive(self) -> Any:
        return next(self._frames, None)


def test_mode_08_a_stream_of_any_size_takes_the_same_memory() -> None:
    size = 64 * 1024 * 1024
    unused: Any = None
    run = Run("r", datetime.now(UTC))
    context = EngineContext(cast("Any", Endless(size)), unused, unused, run, unused)
    tracemalloc.start()
    try:
        proof = download(
            context,
            PodRef("db", "box-1", "main"),
            ["dump"],
            lambda _data: None,
            what="the dump",
            algorithm=Algorithm.BLAKE2B_256,
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert proof.length == size
    assert peak < 1024 * 1024


def test_mode_09_every_byte_value_arrives_as_it_was(sweep_world: Callable[[], Any]) -> None:
    world = sweep_world()
    world.server.live = bytes(range(256)) * 20 + b"\xff\xfe\r\n-- the end\n"

    assert world.run("backup").code == 0
    assert world.all_proven_backups() == [toy.HEAD + world.server.live]


def test_mode_12_a_failed_producer_lets_nothing_be_saved(struck: Any) -> None:
    world, done = struck("backup", table.Dies(1))

    assert (done.code, world.repository.listed) == (1, [])
    assert "exited with 1: the program says why" in done.err


def test_mode_13_a_store_that_fails_ends_the_dump_with_its_reason(struck: Any) -> None:
    world, done = struck("backup", table.Store("save", "killed"))

    assert (done.code, world.repository.listed) == (1, [])
    assert "the repository failed: killed" in done.err


def test_mode_14_a_run_after_a_failed_one_does_not_go_on_from_its_half(struck: Any) -> None:
    world, done = struck("restore", table.Frame("load", "stdin", "cut"))
    assert (done.code, world.server.live) == (table.UNPROVEN, toy.OLD)
    assert world.server.aside, "half of it was left beside"

    assert world.run("restore").code == 0
    assert world.server.live == toy.BODY


def test_mode_15_a_dump_without_its_own_end_makes_no_backup(sweep_world: Callable[[], Any]) -> None:
    world = sweep_world()
    world.server.live = toy.BODY.removesuffix(b"-- the end\n")

    assert_no_backup(world, world.run("backup"), "does not end with 'the end'")


@pytest.mark.parametrize("damage", ["flip", "duplicate", "missing", "early"])
def test_mode_16_damage_that_the_transport_does_not_notice_makes_no_backup(struck: Any, damage: str) -> None:
    world, done = struck("backup", table.Frame("dump", "stdout", damage))

    assert_no_backup(world, done, "the digest made in db/box-1")


def test_mode_17_a_pod_that_is_evicted_in_mid_dump_makes_no_backup(struck: Any) -> None:
    world, done = struck("backup", table.Gone("pod", "dump"))

    assert_no_backup(world, done, "run the same command again")
    assert world.run("backup").code == 0
