"""The life of Backup objects. Sources: IC/backup_controller.go, API/backup_types.go."""

from __future__ import annotations

from typing import Any

import pytest

from hasteward_lab.lab import Lab

pytestmark = pytest.mark.servers

PLUGIN = "barman-cloud.cloudnative-pg.io"
GROUP = "postgresql.cnpg.io/v1"


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


def test_13_a_backup_completes_fails_or_waits(site_of: Any) -> None:
    """IC/backup_controller.go: not configured is failed at once, not ready pending; no plugin runs."""
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
