"""Watch: changes as a stream of JSON lines, resumable by resourceVersion."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import web

from hasteward_lab.api import events, table
from hasteward_lab.api.context import ApiContext
from hasteward_lab.api.errors import ApiError, cause, invalid
from hasteward_lab.api.requests import Target
from hasteward_lab.api.selectors import both
from hasteward_lab.api.store import Event
from hasteward_lab.faults import WATCH_KINDS, Call, Fault

Object = dict[str, Any]

_BOOKMARK_EVERY = 10.0
_YES = {"1", "true"}


class _Dropped(Exception):
    """The fault says: this connection is lost."""


async def watch(request: web.Request, target: Target, context: ApiContext, call: Call) -> web.StreamResponse:
    """Answer a watch request until the client leaves or its timeout is over."""
    query = request.query
    since = query.get("resourceVersion", "")
    initial = query.get("sendInitialEvents") in _YES
    if initial and query.get("resourceVersionMatch") != "NotOlderThan":
        told = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        raise invalid(
            "ListOptions", "meta.k8s.io", "", [cause("resourceVersionMatch", told, "FieldValueForbidden")]
        )
    begin = initial or since in {"", "0"}
    current = context.store.version
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    try:
        past, queue = context.store.subscribe(current if begin else int(since))
    except ValueError:
        raise ApiError(400, f"invalid resource version {since!r}") from None
    except ApiError as error:
        # A real server opens the stream and tells it there; clients look for it there.
        await response.prepare(request)
        await response.write(_line("ERROR", error.body()))
        return response
    stream = _Stream(request, response, target, context, call)
    try:
        await response.prepare(request)
        if begin and query.get("sendInitialEvents", "true") in _YES:
            await stream.begin(current, mark=initial)
        async with asyncio.timeout(float(query.get("timeoutSeconds") or 3600)):
            await stream.follow(past, queue)
    except _Dropped:
        if request.transport:
            request.transport.abort()
    except (TimeoutError, ConnectionError):
        pass
    finally:
        context.store.unsubscribe(queue)
        context.faults.forget(stream.struck_by)
    return response


class _Stream:
    """One open watch."""

    def __init__(
        self,
        request: web.Request,
        response: web.StreamResponse,
        target: Target,
        context: ApiContext,
        call: Call,
    ) -> None:
        query = request.query
        self._response = response
        self._target = target
        self._context = context
        self._call = call
        self._stored = events.stored(target.resource)
        self._select = both(query.get("labelSelector", ""), query.get("fieldSelector", ""), target.resource)
        self._bookmarks = query.get("allowWatchBookmarks") in _YES
        self._table = table.wanted(request.headers.get("Accept", ""))
        self._include = query.get("includeObject", "")
        self._wake = asyncio.Event()
        self._sent = 0
        self._fault: Fault | None = context.faults.take(call, *WATCH_KINDS)
        context.faults.tell(self.struck_by)

    def struck_by(self, fault: Fault) -> None:
        """Take a fault that comes while the watch is open."""
        if fault.kind in WATCH_KINDS and fault.nth == 0 and fault.matches(self._call):
            self._fault, self._sent = fault, 0
            self._wake.set()

    async def begin(self, version: int, *, mark: bool) -> None:
        """Send what is there as ADDED."""
        target = self._target
        for item in self._context.store.listing(self._stored, target.namespace or None):
            if self._visible(item):
                await self._write("ADDED", item)
        if mark:
            await self._bookmark(version, {"k8s.io/initial-events-end": "true"})

    async def follow(self, past: list[Event], queue: asyncio.Queue[Event]) -> None:
        """Send what happened since, and what happens."""
        for event in past:
            await self._send(event)
        while True:
            await self._strike()
            found = await self._next(queue)
            if found is not None:
                await self._send(found)
            elif self._bookmarks and not self._wake.is_set():
                await self._bookmark(self._context.store.version)
            self._wake.clear()

    async def _next(self, queue: asyncio.Queue[Event]) -> Event | None:
        getting = asyncio.ensure_future(queue.get())
        waking = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait(
                {getting, waking}, timeout=_BOOKMARK_EVERY, return_when=asyncio.FIRST_COMPLETED
            )
            return getting.result() if getting.done() else None
        finally:
            for task in (getting, waking):
                task.cancel()

    async def _strike(self) -> None:
        fault = self._fault
        if fault is None or self._sent < fault.after:
            return
        if fault.kind == "watch-drop":
            await asyncio.sleep(fault.seconds)
            raise _Dropped
        # Nothing comes any more and the connection stays, for so long or for ever.
        await asyncio.sleep(fault.seconds or 3600)
        self._fault = None

    def _visible(self, item: Object | None) -> bool:
        if item is None:
            return False
        meta = item["metadata"]
        if self._target.name and meta["name"] != self._target.name:
            return False
        shown = events.shown(self._target.resource, item)
        return self._target.namespace in {"", meta.get("namespace", "")} and self._select(shown)

    async def _send(self, event: Event) -> None:
        if event.resource != self._stored:
            return
        before, after = self._visible(event.before), self._visible(event.after)
        if after and event.after is not None:
            await self._write("MODIFIED" if before else "ADDED", event.after)
        elif before and event.before is not None:
            gone = event.after or event.before
            # The object as it was, with the version of its going.
            told = {**event.before, "metadata": {**event.before["metadata"]}} if event.after else gone
            told["metadata"]["resourceVersion"] = str(event.version)
            await self._write("DELETED", told)

    async def _write(self, kind: str, item: Object) -> None:
        await self._strike()
        shown = events.shown(self._target.resource, item)
        if self._table:
            meta = {"resourceVersion": item["metadata"]["resourceVersion"]}
            defined = self._context.catalog.version_of(self._target.resource)
            shown = table.render(self._target.resource, [shown], meta, self._include, defined)
            if self._sent:
                shown["columnDefinitions"] = None
        self._sent += 1
        await self._response.write(_line(kind, shown))

    async def _bookmark(self, version: int, annotations: dict[str, str] | None = None) -> None:
        resource = self._target.resource
        meta: Object = {"resourceVersion": str(version), "creationTimestamp": None}
        if annotations:
            meta["annotations"] = annotations
        item = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}
        await self._response.write(_line("BOOKMARK", item))


def _line(kind: str, item: Object) -> bytes:
    return json.dumps({"type": kind, "object": item}, separators=(",", ":")).encode() + b"\n"
