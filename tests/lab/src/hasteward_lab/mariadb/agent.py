"""The agent beside each server: Galera's files over HTTP, and the answers to the kubelet's probes."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from hasteward_lab.mariadb import files, sql
from hasteward_lab.mariadb.init import condition
from hasteward_lab.mariadb.kinds import MARIADBS
from hasteward_lab.mariadb.names import AGENT_PORT, AUTH, CONFIG, DATA, PROBE_PORT

if TYPE_CHECKING:
    from hasteward_lab.api.store import Store
    from hasteward_lab.kubelet.native import Place

Object = dict[str, Any]
USER = "mariadb-operator"


class Agent:
    """`mariadb-operator agent galera`, for every pod."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def __call__(self, place: Place) -> None:
        """Serve a pod till cancelled."""
        one = _OneAgent(self._store, place)
        runners = []
        try:
            for port, app in ((AGENT_PORT, one.api()), (PROBE_PORT, one.probes())):
                runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
                runners.append(runner)
                await runner.setup()
                await web.SockSite(runner, await place.listen(port)).start()
            place.say(f"listening on :{AGENT_PORT} and :{PROBE_PORT}")
            await asyncio.Event().wait()
        finally:
            for runner in runners:
                with contextlib.suppress(OSError):
                    await runner.cleanup()


class _OneAgent:
    def __init__(self, store: Store, place: Place) -> None:
        self._store = store
        self._place = place
        self._data = place.mounts[DATA]
        self._config = place.mounts[CONFIG]
        self._env = dict(place.env)

    def api(self) -> web.Application:
        """What the operator asks."""
        app = web.Application(middlewares=[self._authenticated])
        app.router.add_get("/health", _well)
        app.router.add_get("/api/galera/state", self._state)
        app.router.add_get("/api/galera/bootstrap", self._has_bootstrap)
        app.router.add_put("/api/galera/bootstrap", self._enable)
        app.router.add_delete("/api/galera/bootstrap", self._disable)
        app.router.add_put("/api/environment", self._environment)
        return app

    def probes(self) -> web.Application:
        """What the kubelet asks."""
        app = web.Application()
        app.router.add_get("/health", _well)
        app.router.add_get("/liveness", self._liveness)
        app.router.add_get("/readiness", self._readiness)
        return app

    @web.middleware
    async def _authenticated(self, request: web.Request, handler: Any) -> web.StreamResponse:
        path = self._place.mounts.get(AUTH, Path("/nowhere")) / "password"
        if request.path != "/health" and path.exists():
            word = f"{USER}:{path.read_text(encoding='utf-8')}"
            wanted = "Basic " + base64.b64encode(word.encode()).decode()
            if not hmac.compare_digest(request.headers.get("Authorization", ""), wanted):
                return _message(401, "unauthorized")
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _state(self, _request: web.Request) -> web.Response:
        try:
            state = files.read_state(self._data)
        except files.CorruptError as error:
            return _message(500, f"error unmarshalling galera state: {error}")
        return web.json_response(state.to_json()) if state else _message(404, "galera state not found")

    async def _has_bootstrap(self, _request: web.Request) -> web.Response:
        there = (self._config / files.BOOTSTRAP_CNF).exists()
        return web.Response() if there else _message(404, "bootstrap not enabled")

    async def _enable(self, request: web.Request) -> web.Response:
        body: Object = await request.json() if request.can_read_body else {}
        try:
            state = files.read_state(self._data)
        except files.CorruptError as error:
            return _message(500, f"error unmarshalling galera state: {error}")
        if state is None:
            return _message(500, "galera state does not exist")
        uuid, seqno = body.get("uuid", state.uuid), int(body.get("seqno", state.seqno))
        chosen = files.GaleraState(state.version, uuid, seqno, safe_to_bootstrap=True)
        (self._data / files.GRASTATE).write_text(chosen.render(), encoding="ascii")
        files.write_bootstrap(self._config)
        self._place.say(f"bootstrap enabled at {uuid}:{seqno}")
        return web.Response()

    async def _disable(self, _request: web.Request) -> web.Response:
        path = self._config / files.BOOTSTRAP_CNF
        if not path.exists():
            return _message(404, "bootstrap not enabled")
        path.unlink()
        self._place.say("bootstrap disabled")
        return web.Response()

    async def _environment(self, request: web.Request) -> web.Response:
        body: Object = await request.json()
        self._env[body["key"]] = body["value"]
        return web.Response()

    async def _liveness(self, _request: web.Request) -> web.Response:
        """While the recovery latch is set nobody is killed."""
        found = self._store.find(MARIADBS, self._place.namespace, self._env["MARIADB_NAME"])
        latched = found is not None and condition(found, "GaleraReady") == "False"
        if latched and await self._place.reaches_api():
            return web.Response()
        seen = await self._look()
        return web.Response(status=200 if seen and seen.primary else 500)

    async def _readiness(self, _request: web.Request) -> web.Response:
        seen = await self._look()
        found = self._store.find(MARIADBS, self._place.namespace, self._env["MARIADB_NAME"]) or {}
        donor = found.get("spec", {}).get("galera", {}).get("availableWhenDonor", False)
        well = seen is not None and seen.primary and (seen.synced or (donor and seen.donor))
        return web.Response(status=200 if well else 500)

    async def _look(self) -> sql.Wsrep | None:
        password = self._env.get("MARIADB_ROOT_PASSWORD", "")
        try:
            return await self._place.inside(lambda: sql.wsrep("127.0.0.1", password))
        except OSError:
            return None


async def _well(_request: web.Request) -> web.Response:
    return web.Response()


def _message(status: int, text: str) -> web.Response:
    return web.json_response({"message": text}, status=status)
