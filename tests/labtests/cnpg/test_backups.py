"""The life of Backup objects. Sources: IC/backup_controller.go, API/backup_types.go."""

from __future__ import annotations

import re
from typing import Any

import pytest

from hasteward_lab.lab import Lab

pytestmark = pytest.mark.servers

PLUGIN = "barman-cloud.cloudnative-pg.io"
GROUP = "postgresql.cnpg.io/v1"
SCHEDULES = f"/apis/{GROUP}/namespaces/db/scheduledbackups"


def make(site: Any, name: str, **spec: Any) -> None:
    lab: Lab = site.lab
    body = {
        "apiVersion": GROUP,
        "kind": "Backup",
        "metadata": {"name": name, "namespace": lab.namespace},
        "spec": {"cluster": {"name": lab.cluster}, **spec},
    }
    lab.client.call("POST", f"/apis/{GROUP}/namespaces/{lab.namespace}/backups", body)


def found(site: Any, name: str) -> dict[str, Any]:
    rows = site.objects(GROUP, "backups")
    return next(row.get("status", {}) for row in rows if row["metadata"]["name"] == name)


@pytest.mark.long
def test_row_13_a_backup_completes_fails_or_waits(site_of: Any) -> None:
    """IC/backup_controller.go: not configured is failed at once, not ready pending; no plugin runs.

    Meanwhile IC/scheduledbackup_controller.go makes others by the clock: six fields, seconds first.
    """
    plugins = [{"name": PLUGIN, "enabled": True, "parameters": {"barmanObjectName": "store"}}]
    with Lab.up(members=2, volume_size="192Mi", time_scale=0.1, spec={"plugins": plugins}) as lab:
        site = site_of(lab)
        make(site, "unconfigured", method="volumeSnapshot")
        site.until(lambda: found(site, "unconfigured").get("phase") == "failed")
        assert "no volumeSnapshot section" in found(site, "unconfigured")["error"]

        plugin = {"method": "plugin", "pluginConfiguration": {"name": PLUGIN}}
        make(site, "good", **plugin)
        seen: set[str] = set()

        def done() -> bool:
            seen.add(found(site, "good").get("phase", ""))
            return "completed" in seen

        site.until(done)
        assert seen <= {"", "pending", "started", "completed"}
        assert found(site, "good")["instanceID"]["podName"] == "pg-2"
        assert site.condition("LastBackupSucceeded") == "True"

        lab.fence("*")
        site.until(lambda: site.status["readyInstances"] == 0)
        make(site, "waiting", **plugin)
        site.until(lambda: found(site, "waiting").get("phase") == "pending")
        lab.unfence("*")
        site.until(lambda: found(site, "waiting").get("phase") == "completed", 60)

        name = scheduled(site, plugin)
        lab.client.call("PATCH", f"{SCHEDULES}/each", {"spec": {"suspend": True}})
        site.until(lambda: found(site, name).get("phase") == "completed", 60)


def scheduled(site: Any, plugin: dict[str, Any]) -> str:
    spec = {**plugin, "cluster": {"name": "pg"}, "schedule": "*/2 * * * * *", "backupOwnerReference": "self"}
    body = {"apiVersion": GROUP, "kind": "ScheduledBackup", "metadata": {"name": "each"}, "spec": spec}
    made = site.lab.client.call("POST", SCHEDULES, body)

    def children() -> list[dict[str, Any]]:
        rows = site.objects(GROUP, "backups")
        return [row for row in rows if row["metadata"].get("labels", {}).get("cnpg.io/scheduled-backup")]

    site.until(lambda: len(children()) > 1)
    metadata = children()[0]["metadata"]
    assert re.fullmatch(r"each-\d{14}", metadata["name"])
    assert metadata["labels"] == {
        "cnpg.io/cluster": "pg",
        "cnpg.io/immediateBackup": "false",
        "cnpg.io/scheduled-backup": "each",
    }
    assert metadata["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
    status = site.lab.client.call("GET", f"{SCHEDULES}/each")["status"]
    assert set(status) == {"lastCheckTime", "lastScheduleTime", "nextScheduleTime"}
    return str(metadata["name"])
