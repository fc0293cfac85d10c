"""Waiting for the kernel to say so: a pipe that can be read, a process that has ended. Nothing polls."""

from __future__ import annotations

import asyncio
import os
import subprocess


async def ready(descriptor: int, *, write: bool) -> None:
    """Wait till a pipe can be read or written."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def fire() -> None:
        if not future.done():
            future.set_result(None)

    add, remove = (loop.add_writer, loop.remove_writer) if write else (loop.add_reader, loop.remove_reader)
    add(descriptor, fire)
    try:
        await future
    finally:
        remove(descriptor)


async def ended(process: subprocess.Popen[bytes]) -> None:
    """Wait till a process has ended, and bury it; any number may wait for the same one."""
    if process.poll() is not None:
        return
    descriptor = os.pidfd_open(process.pid)
    try:
        await ready(descriptor, write=False)
    finally:
        os.close(descriptor)
    process.wait()
