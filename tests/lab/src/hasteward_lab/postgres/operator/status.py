"""The Cluster's status: what every pass derives from objects, and the phase that is written on its own."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from hasteward_lab.api.store import now
from hasteward_lab.postgres import objects
from hasteward_lab.postgres.operator.view import View, active, label, name_of, ready, running, terminating

if TYPE_CHECKING:
    from hasteward_lab.postgres.level import Level

Object = dict[str, Any]

HEALTHY = "Cluster in healthy state"


def micro() -> str:
    """The time with microseconds, as the status carries it."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def set_condition(status: Object, kind: str, value: str, reason: str, message: str) -> None:
    """Set one condition; its time changes only with its value."""
    rows: list[Object] = status.setdefault("conditions", [])
    row = {"type": kind, "status": value, "reason": reason, "message": message}
    for index, old in enumerate(rows):
        if old["type"] == kind:
            changed = old["status"] != value
            rows[index] = {**row, "lastTransitionTime": now() if changed else old["lastTransitionTime"]}
            return
    rows.append({**row, "lastTransitionTime": now()})


def set_phase(status: Object, phase: str, reason: str = "") -> None:
    """Set the phase and, with it, Ready: nothing else changes either of them."""
    status["phase"] = phase
    if reason:
        status["phaseReason"] = reason
    else:
        status.pop("phaseReason", None)
    if phase == HEALTHY:
        set_condition(status, "Ready", "True", "ClusterIsReady", "Cluster is Ready")
    else:
        set_condition(status, "Ready", "False", "ClusterIsNotReady", "Cluster Is Not Ready")


def instance_of(item: Object) -> str:
    """The instance an object belongs to."""
    return label(item, "cnpg.io/instanceName") or name_of(item)


def classify(view: View) -> tuple[list[str], dict[str, list[str]]]:
    """The instances there are, by their volumes, and the volumes by state."""
    groups: dict[str, list[str]] = {}
    for claim in view.claims:
        lost = claim.get("status", {}).get("phase") == "Lost"
        detached = _annotation(claim, "cnpg.io/pvcStatus") == "detached"
        if not (terminating(claim) or lost or detached):
            groups.setdefault(instance_of(claim), []).append(name_of(claim))
    with_pod = {name_of(pod) for pod in view.pods}
    with_job = {instance_of(job) for job in view.jobs}
    names: list[str] = []
    found: dict[str, list[str]] = {}
    for instance, claims in sorted(groups.items(), key=lambda row: objects.serial_of(row[0])):
        needed = set(objects.claim_names(view.cluster, instance))
        if not needed <= set(claims):
            found.setdefault("unusablePVC", []).extend(claims)
            continue
        names.append(instance)
        key = "danglingPVC"
        if instance in with_pod:
            key = "healthyPVC"
        elif instance in with_job:
            key = "initializingPVC"
        found.setdefault(key, []).extend(claims)
    return names, found


def _annotation(item: Object, key: str) -> str:
    return str((item["metadata"].get("annotations") or {}).get(key, ""))


def states(view: View) -> dict[str, list[str]]:
    """The pods by state; those on their way out are in none."""
    found: dict[str, list[str]] = {}
    for pod in view.pods:
        if terminating(pod):
            continue
        key = "failed"
        if ready(pod):
            key = "healthy"
        elif active(pod) and running(pod):
            key = "replicating"
        found.setdefault(key, []).append(name_of(pod))
    return found


def derive(view: View, status: Object, level: Level, image: str, major: int) -> None:
    """Write what follows from the objects; neither phase nor Ready are among it."""
    names, claims = classify(view)
    for key in ("healthyPVC", "danglingPVC", "initializingPVC", "resizingPVC", "unusablePVC"):
        status.pop(key, None)
    status.update(claims)
    picture = {"image": image, "majorVersion": major}
    topology: Object = {"successfullyExtracted": True, "nodesUsed": len({_node(pod) for pod in view.pods})}
    topology["instances"] = {name_of(pod): {} for pod in view.pods}
    status.update(
        {
            "instances": len(names),
            "instanceNames": names,
            "pvcCount": sum(len(rows) for rows in claims.values()),
            "readyInstances": sum(ready(pod) for pod in view.pods),
            "instancesStatus": states(view),
            "selector": f"cnpg.io/cluster={view.name},cnpg.io/podRole=instance",
            "writeService": f"{view.name}-rw",
            "readService": f"{view.name}-r",
            "image": image,
            "pgDataImageInfo": picture,
            "managedRolesStatus": {},
            "switchReplicaClusterStatus": {},
            "topology": topology,
            "cloudNativePGOperatorHash": objects.OPERATOR_HASH,
            "certificates": _certificates(view),
        }
    )
    status.pop("jobCount", None)
    if view.jobs:
        status["jobCount"] = len(view.jobs)
    for key in ("secretsResourceVersion", "configMapResourceVersion"):
        status.setdefault(key, {})
    if level.initialized_condition:
        begun = bool(status.get("currentPrimary"))
        reason, text = (
            ("BootstrapCompleted", "Cluster has been bootstrapped")
            if begun
            else ("BootstrapPending", "Cluster bootstrap is pending")
        )
        set_condition(status, "Initialized", "True" if begun else "False", reason, text)


def _node(pod: Object) -> str:
    return str(pod["spec"].get("nodeName", ""))


def _certificates(view: View) -> Object:
    names = {
        "clientCASecret": "ca",
        "serverCASecret": "ca",
        "serverTLSSecret": "server",
        "replicationTLSSecret": "replication",
    }
    return {key: f"{view.name}-{suffix}" for key, suffix in names.items()}


def report(view: View, status: Object, reports: list[Object]) -> None:
    """Write what the instances said of themselves in this pass."""
    rows: Object = {}
    systems = set()
    for row in sorted(reports, key=lambda row: str(row["name"])):
        pod = view.pod(row["name"]) or {}
        old = status.get("instancesReportedState", {}).get(row["name"], {})
        said = row["said"] or {}
        entry: Object = {
            "isPrimary": bool(said.get("isPrimary", old.get("isPrimary", False))),
            "ip": pod.get("status", {}).get("podIP", ""),
        }
        if said.get("timeLineID"):
            entry["timeLineID"] = said["timeLineID"]
        if said.get("systemID"):
            systems.add(said["systemID"])
        if row["name"] == status.get("currentPrimary") and said.get("isPrimary") and said.get("timeLineID"):
            status["timelineID"] = said["timeLineID"]
        rows[row["name"]] = entry
    status["instancesReportedState"] = rows
    if len(systems) == 1:
        status["systemID"] = systems.pop()
        text = "A single, unique system ID was found across reporting instances."
        set_condition(status, "ConsistentSystemID", "True", "Unique", text)
    elif systems:
        text = f"Multiple system IDs were found: {sorted(systems)}"
        set_condition(status, "ConsistentSystemID", "False", "Mismatch", text)
    else:
        text = "No instances are present in the cluster to report a system ID."
        set_condition(status, "ConsistentSystemID", "False", "NotFound", text)
