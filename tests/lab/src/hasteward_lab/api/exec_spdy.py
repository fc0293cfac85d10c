"""`pods/exec` as kubectl spoke it before WebSockets: a SPDY stream for each pipe and one for the status."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from typing import IO, TYPE_CHECKING

from hasteward_lab.api.messages import exit_status
from hasteward_lab.waiting import ended, ready

if TYPE_CHECKING:
    import subprocess

    from hasteward_lab.api.runtime import Runtime
    from hasteward_lab.api.store import Object
    from hasteward_lab.api.tunnel import Stream, Tunnel

UPGRADE = "spdy/3.1"
PROTOCOL = "v4.channel.k8s.io"
_READ = 64 << 10
_STREAMS_WITHIN = 10.0


class Session:
    """Carries one exec; no fault strikes here: they are for WebSockets."""

    def __init__(self, tunnel: Tunnel, wanted: set[str]) -> None:
        self._tunnel = tunnel
        self._wanted = {*wanted, "error"}
        self._streams: dict[str, Stream] = {}

    async def refuse(self, status: Object) -> None:
        """Tell why nothing was started."""
        if await self._opened():
            await self._finish(status)

    async def run(self, process: subprocess.Popen[bytes], runtime: Runtime) -> None:
        """Carry the streams till the process is done or the client is gone."""
        if await self._opened():
            await self._carry(process)
        _close(process.stdin)
        runtime.adopt(process, [pipe for pipe in (process.stdout, process.stderr) if pipe])

    async def _opened(self) -> bool:
        """Wait till the client has opened all streams it asked for."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STREAMS_WITHIN):
                while not self._wanted <= set(self._streams):
                    stream = await self._tunnel.opened.get()
                    if stream is None:
                        return False
                    self._streams[stream.kind] = stream
        return self._wanted <= set(self._streams)

    async def _carry(self, process: subprocess.Popen[bytes]) -> None:
        loop = asyncio.get_running_loop()
        feeding = loop.create_task(self._feed(process.stdin))
        work = loop.create_task(self._output(process))
        leaving = loop.create_task(self._tunnel.gone.wait())
        await asyncio.wait({work, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            feeding.cancel()
            await self._finish(exit_status(process.returncode))
        for task in (work, leaving):
            task.cancel()
        # What arrived before the client left still goes in; then comes a clean end of file.
        await asyncio.gather(work, leaving, feeding, return_exceptions=True)

    async def _output(self, process: subprocess.Popen[bytes]) -> None:
        pipes = {"stdout": process.stdout, "stderr": process.stderr}
        pumps = [self._pump(pipe, self._streams[name]) for name, pipe in pipes.items() if pipe]
        await asyncio.gather(*pumps)
        await ended(process)

    async def _pump(self, pipe: IO[bytes], stream: Stream) -> None:
        descriptor = pipe.fileno()
        os.set_blocking(descriptor, False)
        while True:
            await ready(descriptor, write=False)
            data = os.read(descriptor, _READ)
            if not data:
                return
            await stream.write(data)

    async def _feed(self, pipe: IO[bytes] | None) -> None:
        if pipe is None or "stdin" not in self._streams:
            return
        descriptor = pipe.fileno()
        os.set_blocking(descriptor, False)
        try:
            while view := memoryview(await self._streams["stdin"].read()):
                while view:
                    await ready(descriptor, write=True)
                    view = view[os.write(descriptor, view) :]
        except BrokenPipeError:
            return
        _close(pipe)

    async def _finish(self, status: Object) -> None:
        await self._streams["error"].write(json.dumps(status).encode())
        for stream in self._streams.values():
            await stream.close()


def _close(pipe: IO[bytes] | None) -> None:
    if pipe and not pipe.closed:
        with contextlib.suppress(OSError):
            pipe.close()
