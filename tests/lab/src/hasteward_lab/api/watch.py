"""Watch: changes as a stream of JSON lines, resumable by resourceVersion."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import web

from hasteward_lab.api.errors import ApiError
from hasteward_lab.api.requests import Target
from hasteward_lab.api.selectors import Match, both
from hasteward_lab.api.store import Event, Store

Object = dict[str, Any]

_BOOKMARK_EVERY = 10.0


async def watch(request: web.Request, target: Target, store: Store) -> web.StreamResponse:
    """Answer a watch request until the client leaves or its timeout is over."""
    query = request.query
    match = both(query.get("labelSelector", ""), query.get("fieldSelector", ""))
    if target.name:
        name, inner = target.name, match
        match = lambda item: item["metadata"]["name"] == name and inner(item)  # noqa: E731  narrows the predicate above
    since = query.get("resourceVersion", "")
    first: list[Object] = []
    if since in {"", "0"}:
        namespace = target.namespace or None
        first = [item for item in store.listing(target.resource, namespace) if match(item)]
        since = str(store.version)
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    try:
        past, queue = store.subscribe(int(since))
    except ValueError:
        raise ApiError(400, f"invalid resource version {since!r}") from None
    except ApiError as error:
        # A real server opens the stream and tells it there; clients look for it there.
        await response.prepare(request)
        await response.write(_line("ERROR", error.body()))
        return response
    try:
        await response.prepare(request)
        for item in first:
            await response.write(_line("ADDED", item))
        for event in past:
            await _send(response, event, target, match)
        timeout = float(query.get("timeoutSeconds") or 3600)
        async with asyncio.timeout(timeout):
            bookmarks = query.get("allowWatchBookmarks") in {"1", "true"}
            await _follow(response, queue, target, match, store if bookmarks else None)
    except (TimeoutError, ConnectionError):
        pass
    finally:
        store.unsubscribe(queue)
    return response


async def _follow(
    response: web.StreamResponse,
    queue: asyncio.Queue[Event],
    target: Target,
    match: Match,
    bookmarks: Store | None,
) -> None:
    while True:
        try:
            event = await asyncio.wait_for(queue.get(), _BOOKMARK_EVERY)
        except TimeoutError:
            if bookmarks:
                await response.write(_bookmark(target, bookmarks.version))
            continue
        await _send(response, event, target, match)


def _bookmark(target: Target, version: int) -> bytes:
    resource = target.resource
    meta = {"resourceVersion": str(version)}
    return _line("BOOKMARK", {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta})


async def _send(response: web.StreamResponse, event: Event, target: Target, match: Match) -> None:
    if event.resource != target.resource:
        return

    def visible(item: Object | None) -> bool:
        if item is None:
            return False
        return target.namespace in {"", item["metadata"].get("namespace", "")} and match(item)

    before, after = visible(event.before), visible(event.after)
    if after and event.after is not None:
        await response.write(_line("MODIFIED" if before else "ADDED", event.after))
    elif before and event.before is not None:
        gone = event.after or event.before
        await response.write(_line("DELETED", gone))


def _line(kind: str, item: Object) -> bytes:
    return json.dumps({"type": kind, "object": item}, separators=(",", ":")).encode() + b"\n"
