"""How a Cluster says that it is backed up by its operator, and what a Backup object says of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.plan import Plan, Step
from hasteward.ports.kubernetes import Json
from hasteward_cnpg.facts.objects import mapping

#: what a status tells of a finished backup, for people and scripts
_DETAILS = (
    "backupId",
    "backupName",
    "destinationPath",
    "serverName",
    "beginWal",
    "endWal",
    "beginLSN",
    "endLSN",
)
#: the longest name that is also a label's value, which the operator makes of it
_LONGEST = 63


class Way(StrEnum):
    """`spec.method` of a Backup, in the order in which a cluster's ways are taken."""

    PLUGIN = "plugin"
    OBJECT_STORE = "barmanObjectStore"
    SNAPSHOT = "volumeSnapshot"


@dataclass(frozen=True, slots=True)
class Declared:
    """One way that a Cluster declares; `plugin` is the plugin's name, "" for the others."""

    way: Way
    plugin: str = ""

    def __str__(self) -> str:
        return f"{self.way} {self.plugin}".rstrip()


def declared(cluster: Mapping[str, Any]) -> tuple[Declared, ...]:
    """Every way, the first choice first. Of several plugins the one that archives the log comes first."""
    spec = mapping(cluster.get("spec"))
    backup = mapping(spec.get("backup"))
    found = [Declared(Way.PLUGIN, name) for name in _plugins(spec, mapping(cluster.get("status")))]
    found += [Declared(way) for way in (Way.OBJECT_STORE, Way.SNAPSHOT) if backup.get(way.value)]
    return tuple(found)


def _plugins(spec: Mapping[str, Any], status: Mapping[str, Any]) -> list[str]:
    """Enabled plugins, without those that make no backups, where the operator tells which can."""
    told = {
        str(mapping(one).get("name")): mapping(one).get("backupCapabilities") or ()
        for one in status.get("pluginStatus") or ()
    }
    some_can = any(told.values())
    rows = [mapping(one) for one in spec.get("plugins") or ()]
    rows.sort(key=lambda row: not row.get("isWALArchiver"))
    return [
        str(row.get("name"))
        for row in rows
        if row.get("enabled", True) and (told.get(str(row.get("name")), True) or not some_can)
    ]


def backup_name(cluster: ClusterRef, job: str) -> str:
    """What our Backup is called: the cluster, and when it was asked for."""
    ending = f"-{job.lower()}"
    return f"{cluster.name[: _LONGEST - len(ending)].rstrip('-.')}{ending}"


def backup_body(cluster: ClusterRef, name: str, way: Declared, run: str) -> Json:
    """The Backup to create. Which member it is taken from is what the Cluster says."""
    spec: Json = {"cluster": {"name": cluster.name}, "method": way.way.value}
    if way.plugin:
        spec["pluginConfiguration"] = {"name": way.plugin}
    return {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Backup",
        "metadata": {
            "name": name,
            "namespace": cluster.namespace,
            "labels": {"app.kubernetes.io/managed-by": "hasteward"},
            "annotations": {"hasteward.prplanit.com/run": run},
        },
        "spec": spec,
    }


class Phase(StrEnum):
    """How far a Backup has come."""

    #: the operator has not begun: another one runs, its member is not ready, or the log is not archived
    WAITING = "waiting"
    WORKING = "working"
    COMPLETED = "completed"
    FAILED = "failed"


_PHASES = {
    "": Phase.WAITING,
    "pending": Phase.WAITING,
    "walArchivingFailing": Phase.WAITING,
    "started": Phase.WORKING,
    "running": Phase.WORKING,
    "finalizing": Phase.WORKING,
    "completed": Phase.COMPLETED,
    "failed": Phase.FAILED,
    "invalid backup definition": Phase.FAILED,
}


@dataclass(frozen=True, slots=True)
class BackupState:
    """A Backup's status. `said` is the operator's own word for the phase, `error` what it says went wrong."""

    phase: Phase
    said: str
    error: str
    member: str
    started: str
    stopped: str
    details: Mapping[str, str]


def parse_backup(body: Mapping[str, Any]) -> BackupState:
    """The status; a phase that is not known here is work that still goes on."""
    status = mapping(body.get("status"))

    def text(name: str) -> str:
        return " ".join(str(status.get(name) or "").split())

    said = text("phase")
    details = {name: text(name) for name in _DETAILS if text(name)}
    elements = mapping(status.get("snapshotBackupStatus")).get("elements") or ()
    if elements:
        details["snapshots"] = ", ".join(str(mapping(one).get("name")) for one in elements)
    return BackupState(
        phase=_PHASES.get(said, Phase.WORKING),
        said=said or "not begun",
        error="; ".join(dict.fromkeys(filter(None, (text("error"), text("commandError"))))),
        member=str(mapping(status.get("instanceID")).get("podName") or ""),
        started=text("startedAt"),
        stopped=text("stoppedAt"),
        details=details,
    )


def native_plan(cluster: ClusterRef, name: str, way: Declared, others: Sequence[Declared]) -> Plan:
    """What a native backup does; every way that is not taken is named."""
    notes = ["nothing is written to the restic repository, and retention is the operator's"]
    if others:
        ways = ", ".join(str(one) for one in others)
        notes.append(f"the Cluster also declares {ways}: --native-method chooses")
    return Plan(
        title=f"back {cluster.namespace}/{cluster.name} up by its operator ({way})",
        steps=(
            Step(f"create Backup {name} with method {way}; it stays, whatever becomes of this run"),
            Step("wait until the operator says that it is completed, or why it failed"),
        ),
        notes=tuple(notes),
    )
