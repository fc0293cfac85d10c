"""The API as instance managers reach it: on the bridge, by the pod's own network, straight to the store.

Not the public API server: faults and the audit of a test are about the tool, not about the operator's own
programs. Optimistic concurrency is the same, and so is a partition: without network there is no API.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from hasteward_lab.api.errors import ApiError, conflict
from hasteward_lab.api.resources import CLUSTERS, LEASES, QUORUMS
from hasteward_lab.kubelet.network import GATEWAY
from hasteward_lab.postgres.operator.status import set_condition

if TYPE_CHECKING:
    from hasteward_lab.api.store import Event, Store

Object = dict[str, Any]


class Door:
    """Serves one cluster's instance managers."""

    def __init__(self, store: Store, namespace: str, cluster: str, token: str, told: Object) -> None:
        self._store = store
        self._key = (namespace, cluster)
        self._token = token
        self._told = told
        self._waiting: set[asyncio.Event] = set()
        self.initial_sql: list[str] = []
        self.port = 0
        store.on_change(self._changed)

    async def open(self) -> None:
        """Begin to answer."""
        application = web.Application()
        application.router.add_get("/v1/cluster", self._wrap(self._cluster))
        application.router.add_get("/v1/lease", self._wrap(self._lease))
        application.router.add_put("/v1/lease", self._wrap(self._put_lease))
        application.router.add_post("/v1/status", self._wrap(self._status))
        application.router.add_post("/v1/condition", self._wrap(self._condition))
        application.router.add_put("/v1/quorum", self._wrap(self._quorum))
        application.router.add_get("/v1/initial-sql", self._wrap(self._sql))
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, GATEWAY, 0).start()
        self.port = runner.addresses[0][1]

    def _wrap(self, serve: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            said = request.headers.get("Authorization", "").removeprefix("Bearer ").split("/")[0]
            if said != self._token:
                return web.json_response({"message": "Unauthorized"}, status=401)
            try:
                answer = await serve(request)
            except ApiError as error:
                return web.json_response({"message": str(error)}, status=error.code)
            return web.Response(status=204) if answer is None else web.json_response(answer)

        return handle

    def _changed(self, event: Event) -> None:
        if event.resource == CLUSTERS:
            for waiting in self._waiting:
                waiting.set()

    async def _cluster(self, request: web.Request) -> Object | None:
        since, seconds = request.query.get("since", ""), float(request.query.get("wait", "0"))
        changed = asyncio.Event()
        self._waiting.add(changed)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while self._store.get(CLUSTERS, *self._key)["metadata"]["resourceVersion"] == since:
                        await changed.wait()
                        changed.clear()
        finally:
            self._waiting.discard(changed)
        cluster = self._store.get(CLUSTERS, *self._key)
        if since and cluster["metadata"]["resourceVersion"] == since:
            return None
        return {**self._told, "cluster": cluster}

    async def _status(self, request: web.Request) -> Object:
        body = await request.json()
        cluster = self._store.get(CLUSTERS, *self._key)
        if cluster["metadata"]["resourceVersion"] != body["resourceVersion"]:
            raise conflict("clusters", CLUSTERS.group, self._key[1])
        cluster.setdefault("status", {}).update(body["status"])
        return self._store.update(CLUSTERS, cluster, status=True)

    async def _condition(self, request: web.Request) -> Object:
        row = await request.json()
        cluster = self._store.get(CLUSTERS, *self._key)
        set_condition(
            cluster.setdefault("status", {}), row["type"], row["status"], row["reason"], row["message"]
        )
        return self._store.update(CLUSTERS, cluster, status=True)

    async def _lease(self, _request: web.Request) -> Object:
        return self._store.get(LEASES, *self._key)

    async def _put_lease(self, request: web.Request) -> Object:
        body = await request.json()
        body["metadata"].update({"namespace": self._key[0], "name": self._key[1]})
        if "resourceVersion" in body["metadata"]:
            return self._store.update(LEASES, body)
        return self._store.create(LEASES, body)

    async def _quorum(self, request: web.Request) -> None:
        told = await request.json()
        self._store.modify(QUORUMS, *self._key, lambda item: item.update(status=told))

    async def _sql(self, _request: web.Request) -> list[str]:
        return self.initial_sql
