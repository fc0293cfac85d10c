"""Waiting for news without losing one's end."""

from __future__ import annotations

import asyncio


async def woken(event: asyncio.Event, seconds: float | None) -> bool:
    """Whether the event came in time. None waits for ever.

    `asyncio.wait_for` of Python 3.11 forgets that it was cancelled when the event comes at that very moment:
    a loop around it then runs on, and whoever awaits its end does so for ever.
    """
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
