"""The life of one instance: coherent data first, then the fence, then the server, then whatever is asked."""

from __future__ import annotations

import datetime as dt
import signal
import socket
import threading
import time
from typing import Any

from . import conf, disk, logs, rewind, slots, synchronous, tablespaces, web, wire
from .door import Door, DoorError
from .fencing import is_fenced
from .lease import PrimaryLease
from .probes import Probes
from .server import Server, bury_orphans, fast, smart
from .settings import Settings

_TICK, _BURIAL = 0.25, 2.0
_UNFENCE_PAUSE, _PROMOTION = 20.0, 60.0
_LONG_POLL = 20.0
_DRAIN = 0.15


class End(Exception):
    """The manager ends with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Manager:
    """PID 1. The main thread alone starts, stops and promotes; others only look and answer."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.server = Server(settings)
        self.told: dict[str, Any] = {"cluster": {}, "level": {}, "scale": 1.0}
        self.fenced = False
        self.rewinding = False
        self.api_seen = time.monotonic()
        self._door = Door(settings)
        self._lease = PrimaryLease(self._door, settings.pod)
        self._asked = False
        self._wake = threading.Event()
        self._next_burial = 0.0
        self._next_slots = 0.0
        self._done_version = ""
        self._quorum: dict[str, Any] = {}

    @property
    def cluster(self) -> dict[str, Any]:
        """The Cluster as last seen."""
        found: dict[str, Any] = self.told["cluster"]
        return found

    @property
    def level(self) -> dict[str, bool]:
        """What this version of the operator does."""
        found: dict[str, bool] = self.told["level"]
        return found

    @property
    def scale(self) -> float:
        """The factor on every wait."""
        return float(self.told["scale"])

    def api_answers(self, patience: float) -> bool:
        """Ask the API, now, and wait so many seconds for an answer."""
        try:
            self._door.cluster(patience=patience)
        except DoorError:
            return False
        return True

    def run(self) -> int:
        """Live until told to end, or until the server is no more."""
        signal.signal(signal.SIGTERM, self._ask_to_end)
        signal.signal(signal.SIGINT, self._ask_to_end)
        logs.follow_collector()
        logs.info("Starting CloudNativePG Instance Manager")
        try:
            web.serve(Probes(self).answer)
            self._first_look()
            self._become_coherent()
            tablespaces.make_folders(self.cluster)
            if is_fenced(self.cluster, self.settings.pod):
                logs.info("Instance is fenced, won't start PostgreSQL")
                self.fenced = True
            else:
                self._start()
            while True:
                self._round()
        except End as end:
            time.sleep(_DRAIN)
            return end.code

    # Waiting.

    def _ask_to_end(self, _number: int, _frame: object) -> None:
        self._asked = True
        self._wake.set()

    def _pause(self, seconds: float) -> None:
        """Wait, scaled already, unless asked to end or the server ended."""
        deadline = time.monotonic() + seconds
        while True:
            self._check_end()
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self._wake.wait(min(left, _TICK))
            self._wake.clear()

    def _pause_scaled(self, seconds: float) -> None:
        self._pause(seconds * self.scale)

    def _check_end(self) -> None:
        if time.monotonic() > self._next_burial:
            self._next_burial = time.monotonic() + _BURIAL
            bury_orphans()
        if self._asked:
            self._shut_down()
        code = self.server.ended_code()
        if code is not None:
            self._server_is_gone(code)

    def _server_is_gone(self, code: int) -> None:
        logs.error("PostgreSQL process exited with errors", code=code)
        if not disk.has_room(self.settings.pgdata):
            logs.info("Detected low-disk space condition")
            raise End(disk.EXIT_NO_SPACE)
        raise End(1)

    def _shut_down(self) -> None:
        """Asked from outside: clients first get time to go."""
        spec = self.cluster.get("spec", {})
        if self.server.running:
            if self.settings.holds_primary():
                self.server.checkpoint()
            patience = float(spec.get("smartShutdownTimeout", 180)) * self.scale
            self.server.stop(smart(patience, float(spec.get("stopDelay", 1800)) * self.scale))
        self._lease.release()
        raise End(0)

    # Looking.

    def _first_look(self) -> None:
        while True:
            try:
                self.told = self._door.cluster() or self.told
                break
            except DoorError as error:
                logs.error("Cannot read the Cluster", error=str(error))
                self._pause(0.3)
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            version = self.cluster["metadata"]["resourceVersion"]
            try:
                told = self._door.cluster(version, _LONG_POLL)
                self.api_seen = time.monotonic()
            except (DoorError, ValueError):
                time.sleep(0.3)
                continue
            if told:
                self.told = told
                self._wake.set()

    def _target(self) -> tuple[str, str]:
        status = self.cluster.get("status", {})
        return status.get("targetPrimary", ""), status.get("currentPrimary", "")

    # Starting.

    def _become_coherent(self) -> None:
        """A primary's data directory may start only on the primary; elsewhere it is rewound first."""
        wait = 1.0
        conf.write(self.settings, self.told)
        while self.settings.holds_primary():
            # Anew at every try: a pg_rewind that failed half-way leaves these files empty.
            conf.write(self.settings, self.told)
            target, current = self._target()
            if target == self.settings.pod:
                try:
                    self._claim_primary()
                except _NoLongerTargetError:
                    continue
                return
            if target != current or not self._service_answers():
                self._pause_scaled(1.0)
                continue
            try:
                self._return_as_replica()
            except rewind.RewindError as error:
                logs.error("Reconciler error", error=str(error))
                self._pause_scaled(wait)
                wait = min(wait * 2, 60.0)

    def _service_answers(self) -> bool:
        try:
            socket.create_connection((self.settings.service, 5432), timeout=2.0).close()
        except OSError:
            self._pause_scaled(4.0)
            return False
        return True

    def _return_as_replica(self) -> None:
        logs.info("This is an old primary instance, waiting for the switchover to finish: rewinding")
        self.rewinding = True
        try:
            self.server.forget_stale_files()
            rewind.archive_ready(self.settings)
            rewind.rewind(
                self.settings, retries=self.level.get("rewind_retries", False), pause=self._pause_scaled
            )
            conf.write(self.settings, self.told)
            self.settings.standby_signal.touch(mode=0o600)
        finally:
            self.rewinding = False

    def _claim_primary(self) -> None:
        if self.level.get("lease"):
            self._lease.acquire(self.cluster.get("spec", {}), self.scale, self._pause_as_target)
        self._publish_primary()

    def _pause_as_target(self, seconds: float) -> None:
        self._pause(seconds)
        if self._target()[0] != self.settings.pod:
            raise _NoLongerTargetError

    def _publish_primary(self) -> None:
        """Tell that this is the primary now; another writer may come in between, so with the version."""
        while self._target() != (self.settings.pod, self.settings.pod):
            stamp = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            fields = {"currentPrimary": self.settings.pod, "currentPrimaryTimestamp": stamp}
            try:
                self.told = self._door.cluster() or self.told
                if self._target()[0] != self.settings.pod:
                    return
                self._door.patch_status(fields, self.cluster["metadata"]["resourceVersion"])
                self.told = self._door.cluster() or self.told
            except DoorError as error:
                logs.info("Cannot set the current primary yet", error=str(error))
                self._pause(0.1)

    def _start(self) -> None:
        if not disk.has_room(self.settings.pgdata):
            logs.info("Not enough WAL disk space, avoid starting PostgreSQL")
            raise End(disk.EXIT_NO_SPACE)
        self.server.start()

    # Living.

    def _round(self) -> None:
        version = self.cluster["metadata"]["resourceVersion"]
        if version != self._done_version:
            self._done_version = version
            try:
                self._reconcile()
            except _NoLongerTargetError:
                logs.info("No longer the target primary")
            except (OSError, wire.ServerError, DoorError) as error:
                logs.error("Reconciler error", error=str(error))
                self._done_version = ""
                self._pause_scaled(1.0)
        if time.monotonic() > self._next_slots and not self.fenced:
            self._next_slots = time.monotonic() + max(slots.wish(self.cluster)[2] * self.scale, 0.5)
            self._keep_slots()
        self._pause(_TICK)

    def _reconcile(self) -> None:
        self._follow_fence()
        if self.fenced:
            return
        if conf.write(self.settings, self.told):
            self.server.reload()
        target, current = self._target()
        if self.settings.holds_primary():
            if target != self.settings.pod:
                self._step_down()
            if current != self.settings.pod:
                self._publish_primary()
            self._keep_tablespaces()
            self._tell_quorum()
        elif target == self.settings.pod:
            self._promote()

    def _follow_fence(self) -> None:
        wanted = is_fenced(self.cluster, self.settings.pod)
        delay = float(self.cluster.get("spec", {}).get("switchoverDelay", 3600)) * self.scale
        if wanted and not self.fenced:
            logs.info("Fence request is active, proceeding shutting down the instance")
            self.fenced = True
            self.server.stop(fast(delay))
        elif self.fenced and not wanted:
            logs.info("Unfencing the instance")
            self._start()
            self.fenced = False
            self._pause_scaled(_UNFENCE_PAUSE)

    def _step_down(self) -> None:
        logs.info("I am an old primary instance: shutting down")
        self.server.checkpoint()
        delay = float(self.cluster.get("spec", {}).get("switchoverDelay", 3600)) * self.scale
        self.server.stop(fast(delay))
        self._lease.release()
        raise End(0)

    def _promote(self) -> None:
        """Become primary: the Lease, then no more WAL from the old one, then a new timeline."""
        logs.info("I'm the target primary, wait for the wal_receiver to be terminated")
        if self.level.get("lease"):
            self._lease.acquire(self.cluster.get("spec", {}), self.scale, self._pause_as_target)
        self.server.wait_accepting(_PROMOTION)
        while self.server.sql("SELECT 1 FROM pg_stat_wal_receiver"):
            self._pause_as_target(min(1.0 * self.scale, 1.0))
        logs.info("Extracting pg_controldata and promoting the instance")
        if (
            self.server.sql("SELECT pg_promote(true, 60)") != [["t"]]
            or self.settings.holds_primary() is False
        ):
            raise OSError("the promotion did not come to an end")
        self.server.checkpoint()
        self._publish_primary()
        self._keep_slots()

    def _keep_tablespaces(self) -> None:
        """Make the declared ones on a primary, and tell so."""
        rows = tablespaces.declared(self.cluster)
        if not rows or self.cluster.get("status", {}).get("tablespacesStatus") == rows:
            return
        tablespaces.make(self.server, rows)
        self._door.patch_status({"tablespacesStatus": rows}, self.cluster["metadata"]["resourceVersion"])

    def _tell_quorum(self) -> None:
        told = synchronous.quorum(self.cluster)
        if told and told != self._quorum:
            self._door.put_quorum(told)
            self._quorum = told

    def _keep_slots(self) -> None:
        try:
            if self.settings.holds_primary():
                slots.on_primary(self.server, self.settings, self.cluster)
            else:
                slots.on_standby(self.settings, self.cluster)
        except (OSError, wire.ServerError) as error:
            logs.emit("instance-manager", "Cannot keep the replication slots", "debug", error=str(error))


class _NoLongerTargetError(Exception):
    """The wish to promote this instance was taken back."""
