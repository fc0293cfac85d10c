"""A loop of the lab that is told to end ends, whatever happens at that moment."""

from __future__ import annotations

import asyncio

import pytest

from hasteward_lab.waking import woken


def test_who_is_cancelled_as_the_news_comes_is_cancelled() -> None:
    """With `asyncio.wait_for` of Python 3.11 an operator that was taken down in a busy moment went on."""

    async def taken_down() -> None:
        news = asyncio.Event()
        waiting = asyncio.ensure_future(woken(news, 60))
        for _ in range(3):
            await asyncio.sleep(0)
        news.set()
        waiting.cancel()
        await waiting

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(taken_down())


def test_news_are_told_from_the_end_of_patience() -> None:
    async def both() -> tuple[bool, bool]:
        news = asyncio.Event()
        late = await woken(news, 0.01)
        news.set()
        return late, await woken(news, 0.01)

    assert asyncio.run(both()) == (False, True)
