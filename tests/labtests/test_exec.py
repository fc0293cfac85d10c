"""Exec over WebSocket, as a real cluster was measured to behave."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hasteward_lab.lab import Lab
from hasteward_lab.state import LabError

pytestmark = pytest.mark.servers

Collected = tuple[bytes, bytes, dict[str, Any] | None, int | None]

LITTLE = 200 << 20
V5, V4 = ("v5.channel.k8s.io",), ("v4.channel.k8s.io",)


async def collect(
    socket: aiohttp.ClientWebSocketResponse, parts: dict[int, bytes] | None = None
) -> Collected:
    """All messages to the end: stdout, stderr, status (None if none came), close code."""
    parts = {1: b"", 2: b"", 3: b""} if parts is None else parts
    async for message in socket:
        parts[message.data[0]] += message.data[1:]
    status = json.loads(parts[3]) if parts[3] else None
    return parts[1], parts[2], status, socket.close_code


def run(
    lab: Lab,
    argv: list[str],
    *,
    stdin: bytes | None = None,
    protocols: tuple[str, ...] = V5,
    close: bool = True,
    limit: float = 10,
) -> Any:
    """Open an exec, send stdin, and collect what comes."""

    async def talk() -> Any:
        async with (
            asyncio.timeout(limit),
            lab.client.open_exec("pg-1", argv, stdin=stdin is not None, protocols=protocols) as socket,
        ):
            if stdin:
                await socket.send_bytes(b"\x00" + stdin)
            if stdin is not None and close:
                await socket.send_bytes(b"\xff\x00")
            return await collect(socket)

    return asyncio.run(talk())


def eventually(check: Callable[[], bool], limit: float = 15.0) -> None:
    """Wait till a check holds."""
    deadline = time.monotonic() + limit
    while not check():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.05)


def running(lab: Lab, words: str) -> bool:
    return any(words in line for line in lab.processes("pg-1"))


def memory(lab: Lab) -> int:
    """What the lab's supervisor holds now, in bytes."""
    process = lab.state.load_process()
    assert process is not None
    pid = process.pid
    for _ in range(2):
        pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    line = next(row for row in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmRSS" in row)
    return int(line.split()[1]) << 10


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (("v4.channel.k8s.io", "v5.channel.k8s.io"), "v5.channel.k8s.io"),
        (("v5.channel.k8s.io", "v4.channel.k8s.io"), "v5.channel.k8s.io"),
        (V4, "v4.channel.k8s.io"),
        (("channel.k8s.io",), "channel.k8s.io"),
    ],
)
def test_the_newest_protocol_wins_in_either_order(lab: Lab, offered: tuple[str, ...], chosen: str) -> None:
    async def talk() -> Any:
        async with lab.client.open_exec("pg-1", ["true"], protocols=offered) as socket:
            first = await socket.receive()
            return socket.protocol, first.data

    assert asyncio.run(talk()) == (chosen, b"\x01")


@pytest.mark.parametrize("offered", [("v3.channel.k8s.io",), ("unknown",)])
def test_an_unknown_protocol_is_forbidden(lab: Lab, offered: tuple[str, ...]) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        run(lab, ["true"], protocols=offered)
    assert caught.value.status == 403


def test_no_protocol_is_answered_with_one_that_was_not_asked_for(lab: Lab) -> None:
    async def talk() -> Any:
        async with lab.client.open_exec("pg-1", ["true"], protocols=()) as socket:
            return socket._response.headers["Sec-WebSocket-Protocol"]

    assert asyncio.run(talk()) == "v4.channel.k8s.io"


def test_base64_speaks_text(lab: Lab) -> None:
    async def talk() -> Any:
        async with lab.client.open_exec(
            "pg-1", ["echo", "hello"], protocols=("v4.base64.channel.k8s.io",)
        ) as socket:
            return [message.data async for message in socket]

    first, out, status = asyncio.run(talk())
    assert (first, out) == ("1", "1aGVsbG8K")
    assert status.startswith("3")


def test_success_and_exit_codes(lab: Lab) -> None:
    out, err, status, code = run(lab, ["sh", "-c", "printf o; printf e >&2"])
    assert (out, err, status, code) == (b"o", b"e", {"metadata": {}, "status": "Success"}, 1000)
    *_, status, code = run(lab, ["sh", "-c", "exit 42"])
    assert status["reason"] == "NonZeroExitCode"
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "42"}]
    assert code == 1000


def test_a_killed_process_is_137(lab: Lab) -> None:
    *_, status, _ = run(lab, ["sh", "-c", "kill -9 $$"])
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "137"}]


def test_the_unversioned_protocol_has_no_status(lab: Lab) -> None:
    out, _, status, code = run(lab, ["sh", "-c", "echo x; exit 3"], protocols=("channel.k8s.io",))
    assert (out, status, code) == (b"x\n", None, 1000)


def test_a_program_that_is_not_there_is_an_internal_error(lab: Lab) -> None:
    *_, status, code = run(lab, ["no-such-program"], protocols=V4)
    assert (status["reason"], status["code"], code) == ("InternalError", 500, 1000)
    assert 'exec: "no-such-program": executable file not found in $PATH' in status["message"]


def test_missing_pod_and_unknown_container(lab: Lab) -> None:
    for pod, container, code in (("nobody", "", 404), ("pg-1", "sidecar", 400)):

        async def talk(pod: str = pod, container: str = container) -> Any:
            async with lab.client.open_exec(pod, ["true"], container=container):
                pass

        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            asyncio.run(talk())
        assert caught.value.status == code


def test_v5_closes_the_input(lab: Lab) -> None:
    out, _, status, _ = run(lab, ["wc", "-c"], stdin=b"x" * 100_000)
    assert (out.strip(), status["status"]) == (b"100000", "Success")


def test_v4_has_no_half_close(lab: Lab) -> None:
    with pytest.raises(TimeoutError):
        run(lab, ["wc", "-c"], stdin=b"x", protocols=V4, limit=0.7)
    eventually(lambda: not running(lab, "wc -c"))


def test_an_exec_is_the_leader_of_its_own_session_in_the_container(lab: Lab) -> None:
    script = (
        "echo $$ $(cut -d' ' -f5,6 /proc/$$/stat); hostname; pwd; id -u; "
        "touch /x /tmp/x 2>&1 | grep -c Read-only"
    )
    out, *_ = run(lab, ["sh", "-c", script])
    numbers, *rest = out.decode().splitlines()
    assert len(set(numbers.split())) == 1
    assert rest == ["pg-1", "/", "26", "2"]


def test_a_client_that_leaves_gives_a_clean_end_of_file(lab: Lab) -> None:
    def size() -> bytes:
        return lab.exec("pg-1", ["sh", "-c", "wc -c < /controller/tmp/up"]).stdout.strip()

    async def talk() -> Any:
        script = "cat > /controller/tmp/up; echo done >> /controller/tmp/up"
        async with lab.client.open_exec("pg-1", ["sh", "-c", script], stdin=True) as socket:
            await socket.send_bytes(b"\x00" + b"a" * 1000)
            await asyncio.to_thread(eventually, lambda: size() == b"1000")
            socket._response.connection.transport.abort()

    asyncio.run(talk())
    eventually(lambda: size() == b"1005")
    lab.exec("pg-1", ["rm", "/controller/tmp/up"])


def test_a_client_that_leaves_does_not_end_the_process(lab: Lab) -> None:
    async def talk() -> Any:
        async with lab.client.open_exec("pg-1", ["head", "-c", "77000000", "/dev/zero"]) as socket:
            await socket.receive()
            await socket.receive()

    asyncio.run(talk())
    time.sleep(1.0)
    assert running(lab, "head -c 77000000")
    lab.exec("pg-1", ["pkill", "-f", "head -c 77000000"])
    eventually(lambda: not running(lab, "head -c 77000000"))


def test_many_at_once(lab: Lab) -> None:
    async def one(number: int) -> tuple[bytes, bytes, dict[str, Any] | None, int | None]:
        script = f"head -c {number}00000 /dev/zero | wc -c; exit {number}"
        async with lab.client.open_exec("pg-1", ["sh", "-c", script]) as socket:
            return await collect(socket)

    async def talk() -> list[tuple[bytes, bytes, dict[str, Any] | None, int | None]]:
        async with asyncio.timeout(20):
            return await asyncio.gather(*(one(number) for number in range(1, 21)))

    for number, (out, _, status, _) in enumerate(asyncio.run(talk()), start=1):
        assert out.strip() == b"%d00000" % number
        assert status is not None
        assert status["details"]["causes"][0]["message"] == str(number)


def test_a_slow_reader_holds_the_writer_back(lab: Lab) -> None:
    async def talk() -> Any:
        async with lab.client.open_exec("pg-1", ["head", "-c", "100000000", "/dev/zero"]) as socket:
            await socket.receive()
            await asyncio.sleep(1.0)
            assert running(lab, "head -c 100000000")
            assert memory(lab) < LITTLE
            length, status = 0, b""
            async for message in socket:
                length += len(message.data) - 1 if message.data[0] == 1 else 0
                status = message.data[1:]
            return length, json.loads(status)["status"]

    assert asyncio.run(talk()) == (100_000_000, "Success")


def test_a_slow_process_holds_the_client_back(lab: Lab) -> None:
    async def talk() -> Any:
        sent = 0
        async with lab.client.open_exec("pg-1", ["sh", "-c", "sleep 1; wc -c"], stdin=True) as socket:
            try:
                async with asyncio.timeout(0.7):
                    while True:
                        await socket.send_bytes(b"\x00" + b"x" * 65536)
                        sent += 65536
            except TimeoutError:
                held_at = sent
            assert memory(lab) < LITTLE
            await socket.close()
            return held_at

    assert 0 < asyncio.run(talk()) < 32 << 20


def test_a_frame_of_32_mib_is_the_largest(lab: Lab) -> None:
    largest = b"x" * ((32 << 20) - 1)
    out, _, status, _ = run(lab, ["wc", "-c"], stdin=largest, limit=60)
    assert (out.strip(), status["status"]) == (b"33554431", "Success")
    _, _, status, code = run(lab, ["wc", "-c"], stdin=largest + b"x", close=False, limit=60)
    assert (status, code) == (None, 1000)
    _, _, status, code = run(lab, ["wc", "-c"], stdin=largest + b"x", close=False, protocols=V4, limit=60)
    assert (status, code) == (None, 1006)


ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces/db"


def test_a_right_alone_is_not_enough_and_the_refusals_differ(lab: Lab) -> None:
    """With get alone the reason is empty; with create alone it names what is missing."""
    lacking = 'User "system:serviceaccount:db:default" cannot get resource "pods/exec"'
    lacking += ' in API group "" in the namespace "db"'
    for verb, told in (("get", ""), ("create", lacking)):
        rules = [{"apiGroups": [""], "resources": ["pods/exec"], "verbs": [verb]}]
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "half"}
        subject = {"kind": "ServiceAccount", "name": "default", "namespace": "db"}
        lab.client.call("POST", f"{ROLES}/roles", {"metadata": {"name": "half"}, "rules": rules})
        binding = {"metadata": {"name": "half"}, "roleRef": reference, "subjects": [subject]}
        lab.client.call("POST", f"{ROLES}/rolebindings", binding)
        account = "/api/v1/namespaces/db/serviceaccounts/default/token"
        token = lab.client.call("POST", account, {"spec": {}})["status"]["token"]
        try:
            with pytest.raises(LabError) as caught:
                lab.client.call("GET", "/api/v1/namespaces/db/pods/pg-1/exec?command=true", token=token)
            assert str(caught.value) == f'pods "pg-1" is forbidden: {told}'
        finally:
            for kind in ("rolebindings", "roles"):
                lab.client.call("DELETE", f"{ROLES}/{kind}/half")


def test_a_deleted_pod_ends_the_exec_with_137(lab: Lab) -> None:
    spec = {"containers": [{"name": "c", "image": "busybox", "command": ["sleep", "60"]}]}
    pod = {"metadata": {"name": "brief"}, "spec": {**spec, "restartPolicy": "Never"}}
    lab.client.call("POST", "/api/v1/namespaces/db/pods", pod)
    eventually(lambda: lab.pod("brief")["status"]["phase"] == "Running")

    async def talk() -> Any:
        async with asyncio.timeout(20), lab.client.open_exec("brief", ["sleep", "60"]) as socket:
            await asyncio.to_thread(lab.delete_pod, "brief", 1)
            return await collect(socket)

    *_, status, code = asyncio.run(talk())
    assert (status["details"]["causes"], code) == ([{"reason": "ExitCode", "message": "137"}], 1000)


def test_exec_needs_get_and_create(faults: Lab) -> None:
    for verb in ("get", "create"):
        faults.add_fault("forbid", verb=verb, resource="pods", subresource="exec")
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            run(faults, ["true"])
        assert caught.value.status == 403
        faults.clear_faults()
    assert run(faults, ["true"])[2]["status"] == "Success"
