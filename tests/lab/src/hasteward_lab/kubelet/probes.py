"""A container's probes: startup first, then readiness and liveness, by command, HTTP(S) or TCP."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from hasteward_lab.kubelet.network import enter

if TYPE_CHECKING:
    from hasteward_lab.kubelet.container import RunningContainer

Object = dict[str, Any]
# An event: Normal or Warning, reason, message.
Tell = Callable[[str, str, str], None]

# Coming up is noticed at once, whatever the period: a lab is to be up in seconds. Going down takes its time.
_STARTING, _LEAST, _LEAST_TIMEOUT = 0.1, 0.5, 2.0
_RETURNING = 1.0
#: threads that go from network to network and do nothing else
WANDERERS = ThreadPoolExecutor(max_workers=8, thread_name_prefix="probe")


class Prober:
    """Probes one run of one container."""

    def __init__(
        self, spec: Object, running: RunningContainer, namespace: str, scale: float, tell: Tell
    ) -> None:
        self._spec = spec
        self._running = running
        self._namespace = namespace
        self._scale = scale
        self._tell = tell

    async def follow(self, ready: Callable[[bool], None]) -> None:
        """Tell each change of readiness; returns when the container has to be killed."""
        if not await self._started():
            self._restarts("startup")
            return
        watching = [asyncio.create_task(self._readiness(ready)), asyncio.create_task(self._liveness())]
        try:
            done, _ = await asyncio.wait(watching, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            # Its polite end may take half an hour; nobody is to be sent there meanwhile.
            ready(False)  # noqa: FBT003 - it takes nothing else
            self._restarts("liveness")
        finally:
            for task in watching:
                task.cancel()

    def _restarts(self, kind: str) -> None:
        text = f"Container {self._spec['name']} failed {kind} probe, will be restarted"
        self._tell("Normal", "Killing", text)

    def _failed(self, kind: str, why: str) -> None:
        self._tell("Warning", "Unhealthy", f"{kind} probe failed: {why}")

    async def _started(self) -> bool:
        probe = self._spec.get("startupProbe")
        if not probe:
            return True
        budget = self._period(probe) * int(probe.get("failureThreshold", 3))
        deadline = time.monotonic() + budget
        # Asked ten times as often as by a kubelet, so that only the last failure is an event.
        while why := await self._failure(probe):
            if time.monotonic() > deadline:
                self._failed("Startup", why)
                return False
            await asyncio.sleep(_STARTING)
        return True

    async def _readiness(self, ready: Callable[[bool], None]) -> None:
        probe = self._spec.get("readinessProbe")
        begun, now_ready, failures = False, not probe, 0
        if not probe:
            ready(now_ready)
            await asyncio.Event().wait()
            return
        while True:
            why = await self._failure(probe)
            failures = failures + 1 if why else 0
            if not why and not now_ready:
                now_ready = begun = True
                ready(now_ready)
            elif why and now_ready:
                self._failed("Readiness", why)
                now_ready = failures < int(probe.get("failureThreshold", 3))
                if not now_ready:
                    ready(now_ready)
            period = self._period(probe)
            await asyncio.sleep(period if now_ready else min(period, _RETURNING if begun else _STARTING))

    async def _liveness(self) -> None:
        probe = self._spec.get("livenessProbe")
        if not probe:
            await asyncio.Event().wait()
            return
        failures = 0
        while failures < int(probe.get("failureThreshold", 3)):
            await asyncio.sleep(self._period(probe))
            why = await self._failure(probe)
            failures = failures + 1 if why else 0
            if why:
                self._failed("Liveness", why)

    def _period(self, probe: Object) -> float:
        return max(float(probe.get("periodSeconds", 10)) * self._scale, _LEAST)

    async def _failure(self, probe: Object) -> str:
        """Why a probe does not pass now; empty when it does."""
        timeout = max(float(probe.get("timeoutSeconds", 1)) * self._scale, _LEAST_TIMEOUT)
        if "exec" not in probe:
            # The socket's own clock decides. One of this loop would also count what the lab itself was late
            # by on a busy machine, and end a server that had answered.
            return await asyncio.get_running_loop().run_in_executor(WANDERERS, self._asks, probe, timeout)
        command = probe["exec"]["command"]
        try:
            async with asyncio.timeout(timeout + 1.0):
                done = await self._running.run(command)
        except TimeoutError:
            return f"command timed out: {command!r} timed out after {timeout:g}s"
        return (done.stdout + done.stderr).decode(errors="replace") or "no output" if done.returncode else ""

    def _asks(self, probe: Object, timeout: float) -> str:
        """From the pod's own network, for a kubelet is on the pod's node: no partition is between them."""
        enter(self._namespace)
        what = probe.get("httpGet") or probe.get("tcpSocket") or {}
        port = what.get("port")
        if isinstance(port, str):
            port = next(row["containerPort"] for row in self._spec["ports"] if row["name"] == port)
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
                return "" if "tcpSocket" in probe else _got(connection, what)
        except OSError as error:
            return f"{what.get('path', '')}:{port}: {error}"


def _got(connection: socket.socket, what: Object) -> str:
    stream = connection
    if what.get("scheme", "HTTP").upper() == "HTTPS":
        stream = _tls().wrap_socket(connection)
    with stream:
        stream.sendall(f"GET {what.get('path', '/')} HTTP/1.0\r\nHost: pod\r\n\r\n".encode())
        words = stream.recv(64).split(b" ", 2)
        # Read to the end, so that the server is not met by a reset.
        with contextlib.suppress(OSError):
            while stream.recv(4096):
                pass
    code = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    return "" if 200 <= code < 400 else f"HTTP probe failed with statuscode: {code}"


@functools.cache
def _tls() -> ssl.SSLContext:
    """A context that verifies nothing, as a kubelet's; made once, for making it costs more than using it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
