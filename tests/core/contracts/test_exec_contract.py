"""One contract, two exec channels: the lab's WebSocket to a real process, and the fake's."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from hasteward.domain.errors import HastewardError, InvalidInput, RunFailed
from hasteward.kit.streaming import capture, download, upload
from hasteward.ports.context import EngineContext, Run, Tuning
from hasteward.ports.kubernetes import ApiForbidden, ApiNotFound, Channel, ExitStatus, Output, PodRef
from hasteward.streams.proof import Algorithm
from hasteward.testing import Approval, Loss, RecordingReporter

POD = PodRef("db", "pg-1", "postgres")
DATA = bytes(range(256)) * 40


@pytest.fixture
def context(side: Any) -> EngineContext:
    run = Run("c" * 16, datetime(2026, 1, 2, tzinfo=UTC))
    tuning = Tuning(stall_seconds=2)
    return EngineContext(side.api, side.clock, RecordingReporter(), run, Approval(), tuning)


def talk(side: Any, argv: list[str], stdin: bytes | None = None) -> tuple[bytes, bytes, ExitStatus | None]:
    """Run something bare: what it wrote, and how it ended."""
    written = {Channel.STDOUT: b"", Channel.STDERR: b""}
    status: ExitStatus | None = None
    with side.api.exec(POD, argv, stdin=stdin is not None, stall_seconds=10) as stream:
        if stdin is not None:
            assert stream.send(stdin)
            stream.finish_input()
        while (frame := stream.receive()) is not None:
            match frame:
                case Output(channel, data):
                    written[channel] += bytes(data)
                case ExitStatus():
                    status = frame
    return written[Channel.STDOUT], written[Channel.STDERR], status


def test_output_error_output_and_success_arrive_apart(side: Any) -> None:
    out, err, status = talk(side, ["sh", "-c", "echo said; echo warned >&2"])

    assert (out, err) == (b"said\n", b"warned\n")
    assert status is not None
    assert (status.success, status.exit_code) == (True, 0)


@pytest.mark.parametrize(("script", "code"), [("exit 3", 3), ("kill -KILL $$", 137)])
def test_how_a_process_ended_is_told(side: Any, script: str, code: int) -> None:
    _, _, status = talk(side, ["sh", "-c", script])

    assert status is not None
    assert (status.success, status.exit_code) == (False, code)
    assert f"{code}" in status.message


def test_a_program_that_is_not_there_was_not_started(side: Any) -> None:
    out, _, status = talk(side, ["there-is-no-such-program"])

    assert out == b""
    assert status is not None
    assert (status.success, status.exit_code) == (False, None)
    assert "there-is-no-such-program" in status.message


def test_input_ends_even_when_the_process_has_answered_meanwhile(side: Any) -> None:
    with side.api.exec(POD, ["cat"], stdin=True, stall_seconds=10) as stream:
        assert stream.send(DATA)
        time.sleep(0.3)
        stream.finish_input()
        frames = list(iter(stream.receive, None))

    assert isinstance(frames[-1], ExitStatus)
    assert frames[-1].success


def test_input_arrives_whole_and_ends(side: Any) -> None:
    out, _, status = talk(side, ["cat"], DATA)

    assert out == DATA
    assert status is not None
    assert status.success


def test_a_pod_or_container_that_is_not_there_is_refused(side: Any) -> None:
    with (
        pytest.raises(ApiNotFound),
        side.api.exec(replace(POD, name="nobody"), ["true"], stdin=False, stall_seconds=5),
    ):
        pass
    with (
        pytest.raises(InvalidInput) as caught,
        side.api.exec(replace(POD, container="nothing"), ["true"], stdin=False, stall_seconds=5),
    ):
        pass
    assert caught.value.code == "kubernetes.exec_refused"


def test_exec_without_the_right_is_refused(side: Any) -> None:
    with pytest.raises(ApiForbidden), side.limited().exec(POD, ["true"], stdin=False, stall_seconds=5):
        pass


def test_a_client_that_leaves_looks_like_a_clean_end_of_file(side: Any, context: EngineContext) -> None:
    """The reason why nothing that an upload does may be final."""
    file = f"{side.folder}/half"
    with side.api.exec(
        POD, ["sh", "-c", f"cat > {file}; echo end >> {file}"], stdin=True, stall_seconds=5
    ) as stream:
        stream.send(b"the first half, ")

    for _ in range(100):
        found = capture(context, POD, ["sh", "-c", f"cat {file} 2>/dev/null"]).stdout
        if found.endswith(b"end\n"):
            break
        side.clock.sleep(0.1)
    assert found == b"the first half, end\n"


def test_a_proven_download_and_a_proven_upload(side: Any, context: EngineContext) -> None:
    file = f"{side.folder}/whole"
    came = bytearray()

    sent = upload(
        context, POD, ["sh", "-c", f"cat > {file}"], [DATA, b"!"], what="x", algorithm=Algorithm.SHA256
    )
    got = download(context, POD, ["cat", file], came.extend, what="x", algorithm=Algorithm.SHA256)

    assert bytes(came) == DATA + b"!"
    assert sent == got
    assert (got.length, got.digest) == (len(came), hashlib.sha256(came).hexdigest())


def test_the_output_of_a_consumer_is_kept_apart_from_its_trailer(side: Any, context: EngineContext) -> None:
    proof = upload(
        context, POD, ["sh", "-c", "cat; echo loaded"], [b"abc"], what="x", algorithm=Algorithm.SHA256
    )

    assert proof.digest == hashlib.sha256(b"abc").hexdigest()


def test_a_consumer_that_fails_says_so(side: Any, context: EngineContext) -> None:
    with pytest.raises(RunFailed, match="no room") as caught:
        upload(
            context,
            POD,
            ["sh", "-c", "cat > /dev/null; echo no room >&2; exit 4"],
            [b"abc"],
            what="the load",
            algorithm=Algorithm.SHA256,
        )

    assert caught.value.code == "load.failed"


DOWN = "head -c 10240 /dev/zero"
LOSSES = [
    (Loss.CUT, 0, "proof.no_trailer"),
    (Loss.CUT, 5000, "proof.no_trailer"),
    (Loss.FALSE_SUCCESS, 5000, "proof.no_trailer"),
    (Loss.FLIP, 5000, "proof.digest"),
    (Loss.NO_STATUS, 0, "proof.no_status"),
    (Loss.STALL, 5000, "proof.no_trailer"),
]


@pytest.mark.parametrize(("loss", "at", "code"), LOSSES, ids=[f"{loss.name}-{at}" for loss, at, _ in LOSSES])
def test_a_lost_download_is_unproven_alike(
    side: Any, context: EngineContext, loss: Loss, at: int, code: str
) -> None:
    side.lose(loss, at, DOWN)

    with pytest.raises(HastewardError) as caught:
        download(context, POD, DOWN.split(), lambda _: None, what="x", algorithm=Algorithm.SHA256)

    assert (caught.value.code, int(caught.value.exit_code)) == (code, 22)


@pytest.mark.parametrize(
    ("loss", "arrives"), [(Loss.CUT, DATA[:5000]), (Loss.FLIP, DATA[:5000] + b"\x89" + DATA[5001:])]
)
def test_a_lost_upload_is_unproven_alike_and_leaves_the_same_in_the_pod(
    side: Any, context: EngineContext, loss: Loss, arrives: bytes
) -> None:
    file = f"{side.folder}/{loss.name}"
    side.lose(loss, 5000, f"cat > {file}", stream="stdin")

    with pytest.raises(HastewardError) as caught:
        upload(context, POD, ["sh", "-c", f"cat > {file}"], [DATA], what="x", algorithm=Algorithm.SHA256)

    side.heal()
    assert int(caught.value.exit_code) == 22
    for _ in range(100):
        found = capture(context, POD, ["cat", file]).stdout
        if found == arrives:
            break
        side.clock.sleep(0.1)
    assert found == arrives
