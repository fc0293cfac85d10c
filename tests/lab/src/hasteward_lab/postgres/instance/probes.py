"""What the manager answers on its ports: the kubelet's probes and the operator's status poll."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

from . import conf, report, wire
from .fencing import is_fenced
from .settings import STATUS_PORT

if TYPE_CHECKING:
    from .manager import Manager
    from .web import Answer

VERSION_FIELD = "instanceManagerVersion"
_API_SILENCE = 5.0
# spec.probes.liveness.isolationCheck, both of its timeouts. An API that is slow is not to cost a primary its
# life: the other instances are asked while the kubelet still waits for the answer.
_ISOLATION = 1.0


class Probes:
    """The answers, from the state of one manager."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._session = f"{time.time_ns():x}"
        self._ready = False

    def answer(self, path: str, certified: bool) -> Answer:
        """One request; some paths are for holders of a client certificate only."""
        fixed = {
            "/startupz": self._startup,
            "/readyz": self._readiness,
            "/healthz": self._liveness,
            "/pg/status": self._status,
        }
        if path in fixed:
            return fixed[path]()
        if path == "/failsafe":
            return 200, "OK"
        if path not in {"/pg/controldata", "/cache/cluster"}:
            return 404, "404 page not found"
        if not certified and (path == "/cache/cluster" or self._manager.level.get("client_certificate")):
            return 401, "client certificate required"
        if path == "/cache/cluster":
            return 200, self._manager.cluster
        text = conf.control_data(self._manager.settings.pgdata)
        return 200, {"data": "".join(f"{key}: {value}\n" for key, value in text.items())}

    def _startup(self) -> Answer:
        if self._manager.fenced or self._manager.rewinding:
            return 200, "Skipped"
        said = wire.ping()
        passes = {"accepting"} | ({"rejecting"} if self._manager.level.get("startup_ok_rejecting") else set())
        return (200, "OK") if said in passes else (500, f"server is not ready: {said}")

    def _readiness(self) -> Answer:
        self._ready = self._manager.server.running and not self._manager.fenced and self._is_ready()
        return (200, "OK") if self._ready else (500, "instance is not ready yet")

    def _is_ready(self) -> bool:
        probe = self._manager.cluster.get("spec", {}).get("probes", {}).get("readiness", {})
        kind = probe.get("type", "pg_isready")
        if wire.ping() != "accepting":
            return False
        if kind == "pg_isready" or self._manager.settings.holds_primary():
            return True
        try:
            with wire.Connection() as connection:
                if kind == "query":
                    return bool(connection.query("SELECT 1"))
                rows = connection.query("SELECT 1 FROM pg_stat_wal_receiver WHERE status = 'streaming'")
                return bool(rows)
        except (OSError, wire.ServerError):
            return False

    def _liveness(self) -> Answer:
        manager = self._manager
        if not manager.level.get("isolation_check") or not manager.server.running:
            return 200, "OK"
        silent = time.monotonic() - manager.api_seen > max(_API_SILENCE * manager.scale, 1.0)
        if not silent or not manager.settings.holds_primary() or manager.api_answers(_ISOLATION):
            return 200, "OK"
        states = manager.cluster.get("status", {}).get("instancesReportedState", {})
        others = [row["ip"] for name, row in states.items() if name != manager.settings.pod]
        if not others or any(map(_reaches, others)):
            return 200, "OK"
        return 500, "liveness check failed: neither the API server nor any other instance can be reached"

    def _status(self) -> Answer:
        manager, settings = self._manager, self._manager.settings
        base: dict[str, Any] = {
            "pod": {"metadata": {"name": settings.pod, "namespace": settings.namespace}},
            "isPodReady": self._ready,
            "isPrimary": settings.holds_primary(),
            "isPgRewindRunning": manager.rewinding,
            "mightBeUnavailable": manager.fenced or is_fenced(manager.cluster, settings.pod),
            "sessionID": self._session,
            "executableHash": manager.told.get("hash", ""),
            VERSION_FIELD: manager.told.get("version", ""),
            "instanceArch": "amd64",
        }
        if manager.rewinding:
            return 200, {**base, "isPrimary": False}
        try:
            return 200, {**base, **report.ask(settings)}
        except (OSError, wire.ServerError, ValueError) as error:
            if not manager.fenced:
                return 500, f"error while getting the instance status: {error}"
            return 200, {**base, "mightBeUnavailableMaskedError": str(error)}


def _reaches(address: str) -> bool:
    try:
        socket.create_connection((address, STATUS_PORT), timeout=_ISOLATION).close()
    except OSError:
        return False
    return True
