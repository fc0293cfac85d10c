"""Backups: one at a time per cluster, oldest first, and `failed` is final."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

from hasteward_lab.api.errors import ApiError
from hasteward_lab.api.resources import BACKUPS, CLUSTERS
from hasteward_lab.api.store import now
from hasteward_lab.postgres.operator.status import HEALTHY, set_condition
from hasteward_lab.postgres.operator.view import Object, View, name_of, ready

if TYPE_CHECKING:
    from hasteward_lab.api.store import Event
    from hasteward_lab.postgres.operator.desk import Desk
    from hasteward_lab.postgres.operator.loop import Loop

_RETRY, _TAKES = 30.0, 5.0
_FINAL = {"completed", "failed"}


class Backups:
    """Takes the Backup objects of one cluster through their phases; nothing is really stored anywhere."""

    def __init__(self, desk: Desk, loop: Loop, scale: float) -> None:
        self._desk = desk
        self._loop = loop
        self._scale = scale
        self._wake = asyncio.Event()
        desk.store.on_change(self._changed)

    def _changed(self, event: Event) -> None:
        if event.resource == BACKUPS and event.before is None:
            self._wake.set()

    async def run(self) -> None:
        """Work till the lab ends."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while (backup := self._oldest()) is not None:
                if self._loop.is_up:
                    await self._take(backup)
                else:
                    await asyncio.sleep(_RETRY * self._scale)

    def _oldest(self) -> Object | None:
        rows = [
            row
            for row in self._desk.store.listing(BACKUPS, self._desk.namespace)
            if row["spec"].get("cluster", {}).get("name") == self._desk.name
            and row.get("status", {}).get("phase") not in _FINAL
        ]
        rows.sort(key=lambda row: (row["metadata"]["creationTimestamp"], name_of(row)))
        return rows[0] if rows else None

    async def _take(self, backup: Object) -> None:
        view = self._desk.look()
        if view is None:
            return
        method = backup["spec"].get("method", "barmanObjectStore")
        reason, message = _refusal(view, backup["spec"], method)
        if reason:
            self._desk.event(backup, reason, message, "Warning")
            self._write(backup, {"phase": "failed", "method": method, "error": message})
            return
        pod = _target(view, backup["spec"].get("target") or _preferred(view))
        if pod is None or view.status.get("phase") != HEALTHY:
            self._desk.event(backup, "BackupPending", "The target pod is not ready", "Warning")
            self._write(backup, {"phase": "pending", "method": method})
            await asyncio.sleep(_RETRY * self._scale)
            return
        await self._execute(backup, method, pod)

    async def _execute(self, backup: Object, method: str, pod: Object) -> None:
        container = pod["status"]["containerStatuses"][0]["containerID"]
        begun: Object = {"phase": "started", "method": method, "startedAt": now()}
        begun["instanceID"] = {"podName": name_of(pod), "ContainerID": container}
        self._desk.event(backup, "Starting", f"Starting backup for cluster {self._desk.name}")
        self._write(backup, begun)
        self._condition("False", "BackupStarted", "New Backup starting up")
        # A plugin's backup is never `running`; an object store's is.
        if method == "barmanObjectStore":
            self._write(backup, {"phase": "running"})
        await asyncio.sleep(_TAKES * self._scale)
        there = (self._desk.look() or View({}, (), (), ())).pod(name_of(pod))
        rows = (there or {}).get("status", {}).get("containerStatuses", [])
        if not there or not ready(there) or rows[0]["containerID"] != container:
            text = "instance manager restarted while the backup was running"
            self._desk.event(backup, "InstanceManagerRestarted", text, "Warning")
            self._write(backup, {"phase": "failed", "error": text})
            self._condition("False", "LastBackupFailed", text)
            return
        self._write(backup, await self._done(backup, method))
        self._desk.event(backup, "Completed", "Backup completed")
        self._condition("True", "LastBackupSucceeded", "Backup was successful")

    async def _done(self, backup: Object, method: str) -> Object:
        """What a completed status tells. Snapshots are made first, and are then waited for to be ready."""
        ended: Object = {"phase": "completed", "stoppedAt": now()}
        if method == "volumeSnapshot":
            element = {"name": name_of(backup), "type": "PG_DATA"}
            self._write(backup, {"phase": "finalizing", "snapshotBackupStatus": {"elements": [element]}})
            await asyncio.sleep(_TAKES * self._scale)
            return ended | {"backupName": name_of(backup)}
        name = f"backup-{secrets.token_hex(6)}"
        return ended | {"backupId": name, "backupName": name}

    def _write(self, backup: Object, fields: Object) -> None:
        """Merge into the status; a Backup that was deleted meanwhile is let go."""
        found = self._desk.store.find(BACKUPS, self._desk.namespace, name_of(backup))
        if found is None:
            return
        found["status"] = {**found.get("status", {}), **fields}
        try:
            self._desk.store.update(BACKUPS, found, status=True)
        except ApiError:
            self._wake.set()

    def _condition(self, value: str, reason: str, message: str) -> None:
        def change(cluster: Object) -> None:
            set_condition(cluster.setdefault("status", {}), "LastBackupSucceeded", value, reason, message)

        self._desk.store.modify(CLUSTERS, self._desk.namespace, self._desk.name, change)


def _refusal(view: View, spec: Object, method: str) -> tuple[str, str]:
    """Why a backup cannot even begin: event reason and message, both empty when it can."""
    if view.annotation("cnpg.io/hibernation") == "on":
        return "ClusterIsHibernated", "cannot backup a hibernated cluster"
    configured: dict[str, Any] = view.spec.get("backup") or {}
    if method == "plugin":
        wanted = (spec.get("pluginConfiguration") or {}).get("name", "")
        plugins = [row["name"] for row in view.spec.get("plugins") or [] if row.get("enabled", True)]
        if wanted not in plugins:
            return "ClusterHasNoBackupExecutorPlugin", f"requested plugin is not available: {wanted}"
    elif method == "volumeSnapshot" and not configured.get("volumeSnapshot"):
        return "ClusterHasNoVolumeSnapshotSection", "no volumeSnapshot section defined on the target cluster"
    elif method == "barmanObjectStore" and not configured.get("barmanObjectStore"):
        return "ClusterHasNoBarmanSection", "no barmanObjectStore section defined on the target cluster"
    return "", ""


def _preferred(view: View) -> str:
    return str((view.spec.get("backup") or {}).get("target", "prefer-standby"))


def _target(view: View, wish: str) -> Object | None:
    """The pod a backup runs in; a standby where one is ready and nothing else is asked for."""
    primary = view.pod(str(view.status.get("currentPrimary")))
    standbys = [pod for pod in view.pods if pod is not primary and ready(pod)]
    if wish == "prefer-standby" and standbys:
        return standbys[0]
    return primary if primary and ready(primary) else None
