"""Every kind of exec fault does what it says, and only to the call it was meant for."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest

from hasteward_lab.lab import Lab
from hasteward_lab.state import LabError

pytestmark = pytest.mark.servers

ZEROS = ["head", "-c", "1000000", "/dev/zero"]


def run(
    lab: Lab,
    argv: list[str],
    stdin: bytes | None = None,
    limit: float = 10.0,
    protocols: tuple[str, ...] = ("v5.channel.k8s.io",),
) -> Any:
    """Talk to the end; stdout, status, close code, and whether the connection broke."""

    async def talk() -> Any:
        parts = {1: b"", 2: b"", 3: b""}
        async with lab.client.open_exec("pg-1", argv, stdin=stdin is not None, protocols=protocols) as socket:
            if stdin is not None:
                await socket.send_bytes(b"\x00" + stdin)
                await socket.send_bytes(b"\xff\x00")
            while True:
                try:
                    message = await socket.receive(timeout=limit)
                except TimeoutError:
                    return parts[1], None, "silence"
                if message.type is not aiohttp.WSMsgType.BINARY:
                    break
                parts[message.data[0]] += message.data[1:]
            status = json.loads(parts[3]) if parts[3] else None
            return parts[1], status, socket.close_code

    return asyncio.run(talk())


@pytest.mark.parametrize("after", [0, 1, 32768, 100_001, 999_999])
def test_cut_breaks_the_connection_at_the_byte(faults: Lab, after: int) -> None:
    faults.add_fault("cut", command="head -c 1000000", after=after)
    out, status, code = run(faults, ZEROS)
    assert (len(out), status, code) == (after, None, 1006)


def test_cut_of_the_input_lets_so_much_through(faults: Lab) -> None:
    faults.add_fault("cut", command="cat >", after=1234, stream="stdin")
    _, status, code = run(faults, ["sh", "-c", "cat > /controller/tmp/cut"], stdin=b"x" * 50_000)
    assert (status, code) == (None, 1006)
    deadline = time.monotonic() + 15
    while faults.exec("pg-1", ["wc", "-c", "/controller/tmp/cut"]).stdout.split() != [
        b"1234",
        b"/controller/tmp/cut",
    ]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    faults.exec("pg-1", ["rm", "/controller/tmp/cut"])


@pytest.mark.parametrize("stream", ["stdout", "stdin"])
def test_stall_is_silence_on_an_open_connection(faults: Lab, stream: str) -> None:
    faults.add_fault("stall", command="cat", after=70_000, stream=stream)
    out, status, code = run(faults, ["cat"], stdin=b"x" * 1_000_000, limit=1.5)
    assert (len(out), status, code) == (70_000, None, "silence")


def test_false_success_looks_like_success(faults: Lab) -> None:
    faults.add_fault("false-success", command="head", after=123_456)
    out, status, code = run(faults, ZEROS)
    assert (len(out), status["status"], code) == (123_456, "Success", 1000)


def test_false_success_of_an_upload_leaves_its_process_waiting(faults: Lab) -> None:
    """containerd killed under v5: Success, and what arrived is not all; nobody closes the input any more."""
    faults.add_fault("false-success", command="cat >", after=50_000, stream="stdin")
    script = "cat > /controller/tmp/half; echo done >> /controller/tmp/half"
    _, status, code = run(faults, ["sh", "-c", script], stdin=b"x" * 100_000)
    assert (status["status"], code) == ("Success", 1000)
    time.sleep(0.3)
    assert faults.exec("pg-1", ["wc", "-c", "/controller/tmp/half"]).stdout.split()[0] == b"50000"
    faults.exec("pg-1", ["sh", "-c", "pkill -f '^cat$'; rm /controller/tmp/half"])


def test_before_v5_the_same_fault_is_a_lost_connection(faults: Lab) -> None:
    faults.add_fault("false-success", command="head", after=123_456)
    out, status, code = run(faults, ZEROS, protocols=("v4.channel.k8s.io",))
    assert (len(out), status, code) == (123_456, None, 1006)


def test_false_success_hides_a_failure_that_wrote_less(faults: Lab) -> None:
    faults.add_fault("false-success", command="printf", after=2)
    out, status, code = run(faults, ["sh", "-c", "printf abc; exit 9"])
    assert (out, status["status"], code) == (b"ab", "Success", 1000)


def test_no_status_brings_all_data_and_no_word(faults: Lab) -> None:
    faults.add_fault("no-status", command="head")
    out, status, code = run(faults, ZEROS)
    assert (len(out), status, code) == (1_000_000, None, 1000)


def test_no_status_can_be_a_long_silence_first(faults: Lab) -> None:
    faults.add_fault("no-status", command="head", seconds=6)
    out, status, code = run(faults, ZEROS, limit=1.5)
    assert (len(out), status, code) == (1_000_000, None, "silence")


def test_a_fault_on_a_resource_spares_its_subresources(faults: Lab) -> None:
    faults.add_fault("http", resource="pods", verb="get", code=500)
    assert run(faults, ["true"])[1]["status"] == "Success"
    with pytest.raises(LabError, match="etcdserver"):
        faults.pod("pg-1")


@pytest.mark.parametrize("stream", ["stdout", "stdin"])
def test_flip_changes_one_bit(faults: Lab, stream: str) -> None:
    faults.add_fault("flip", command="cat", after=54_321, stream=stream)
    out, status, _ = run(faults, ["cat"], stdin=bytes(100_000))
    assert status["status"] == "Success"
    assert [index for index, byte in enumerate(out) if byte] == [54_321]
    assert len(out) == 100_000


@pytest.mark.parametrize("code", [401, 403, 404, 409, 429, 500, 503])
def test_an_upgrade_can_be_refused(faults: Lab, code: int) -> None:
    faults.add_fault("http", command="head", code=code)
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        run(faults, ZEROS)
    assert caught.value.status == code


def test_delay_comes_first(faults: Lab) -> None:
    faults.add_fault("delay", command="head", seconds=0.5)
    began = time.monotonic()
    out, status, _ = run(faults, ZEROS)
    assert time.monotonic() - began >= 0.5
    assert (len(out), status["status"]) == (1_000_000, "Success")


def test_only_the_matching_call_of_that_number_is_hit(faults: Lab) -> None:
    faults.add_fault("cut", command="head -c 1000000", nth=2, after=10)
    assert run(faults, ["true"])[1]["status"] == "Success"
    lengths = [len(run(faults, ZEROS)[0]) for _ in range(3)]
    assert lengths == [1_000_000, 10, 1_000_000]
