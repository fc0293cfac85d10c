"""ScheduledBackups: a Backup whenever one is due, by the clock on the wall."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING

from hasteward_lab.api.resources import BACKUPS, SCHEDULED_BACKUPS
from hasteward_lab.postgres.operator.cron import Schedule
from hasteward_lab.postgres.operator.view import Object, name_of
from hasteward_lab.waking import woken

if TYPE_CHECKING:
    from hasteward_lab.api.store import Event
    from hasteward_lab.postgres.operator.desk import Desk
    from hasteward_lab.postgres.operator.loop import Loop

_COPIED = ("cluster", "method", "target", "pluginConfiguration", "online", "onlineConfiguration")


class Scheduler:
    """Follows the schedules of one cluster."""

    def __init__(self, desk: Desk, loop: Loop) -> None:
        self._desk = desk
        self._loop = loop
        self._wake = asyncio.Event()
        desk.store.on_change(self._changed)

    def _changed(self, event: Event) -> None:
        if event.resource == SCHEDULED_BACKUPS:
            self._wake.set()

    async def run(self) -> None:
        """Work till the lab ends."""
        while True:
            self._wake.clear()
            waits = [self._look(item) for item in self._mine()] if self._loop.is_up else []
            due = min((wait for wait in waits if wait is not None), default=None)
            await woken(self._wake, due)

    def _mine(self) -> list[Object]:
        rows = self._desk.store.listing(SCHEDULED_BACKUPS, self._desk.namespace)
        return [row for row in rows if row["spec"].get("cluster", {}).get("name") == self._desk.name]

    def _look(self, item: Object) -> float | None:
        """Make the Backup that is due; the seconds till the next one, None when there is none."""
        spec, status = item["spec"], item.get("status", {})
        if spec.get("suspend") or "deletionTimestamp" in item["metadata"]:
            return None
        try:
            schedule = Schedule.parse(spec["schedule"])
        except ValueError as error:
            self._desk.event(item, "InvalidSchedule", str(error), "Warning")
            return None
        now = dt.datetime.now(dt.UTC)
        last = status.get("lastCheckTime")
        if last is None and not spec.get("immediate"):
            return self._tell(item, now, schedule.after(now))
        due = schedule.after(dt.datetime.fromisoformat(last)) if last else now
        if due is None or due > now:
            return None if due is None else (due - now).total_seconds()
        self._make(item, now, immediate=last is None)
        return self._tell(item, now, schedule.after(now), done=True)

    def _tell(
        self, item: Object, now: dt.datetime, following: dt.datetime | None, *, done: bool = False
    ) -> float | None:
        told = {"lastCheckTime": _text(now)}
        told |= {"lastScheduleTime": _text(now)} if done else {}
        told |= {"nextScheduleTime": _text(following)} if following else {}

        def change(found: Object) -> None:
            found.setdefault("status", {}).update(told)

        self._desk.store.modify(SCHEDULED_BACKUPS, self._desk.namespace, name_of(item), change)
        return None if following is None else max((following - now).total_seconds(), 0.05)

    def _make(self, item: Object, now: dt.datetime, *, immediate: bool) -> None:
        spec, name = item["spec"], f"{name_of(item)}-{now:%Y%m%d%H%M%S}"
        labels = {
            "cnpg.io/cluster": self._desk.name,
            "cnpg.io/immediateBackup": str(immediate).lower(),
            "cnpg.io/scheduled-backup": name_of(item),
        }
        meta: Object = {"name": name, "namespace": self._desk.namespace, "labels": labels}
        owner = self._owner(item)
        if owner:
            meta["ownerReferences"] = [owner]
        body = {key: spec[key] for key in _COPIED if key in spec}
        self._desk.create(BACKUPS, {"metadata": meta, "spec": body})
        self._desk.event(item, "BackupSchedule", f"Scheduled backup {name}")

    def _owner(self, item: Object) -> Object | None:
        view, wish = self._desk.look(), item["spec"].get("backupOwnerReference", "none")
        owner = item if wish == "self" else view.cluster if wish == "cluster" and view else None
        if owner is None:
            return None
        reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": name_of(owner)}
        return {**reference, "uid": owner["metadata"]["uid"], "controller": True}


def _text(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
