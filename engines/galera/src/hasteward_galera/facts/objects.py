"""Reads the MariaDB object, its StatefulSet, pods and claims."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from hasteward_galera.evidence import (
    ClaimFacts,
    ClusterFacts,
    Condition,
    Hint,
    OperatorState,
    PodFacts,
    SetFacts,
)
from hasteward_galera.facts.galera import position
from hasteward_galera.resources import CONTAINER, USER

_DISK_FULL = re.compile(r"No space left on device|Disk is full|Disk full|OS errno 28", re.IGNORECASE)


def mapping(value: object) -> Mapping[str, Any]:
    """A JSON object, or an empty one: the API leaves out what is empty."""
    return value if isinstance(value, Mapping) else {}


def name_of(body: Mapping[str, Any]) -> str:
    """An object's name."""
    return str(body["metadata"]["name"])


def parse_cluster(body: Mapping[str, Any]) -> ClusterFacts:
    """The facts of a MariaDB; ValueError when it is no Galera cluster."""
    spec, status = mapping(body["spec"]), mapping(body.get("status"))
    galera = mapping(spec.get("galera"))
    if not galera.get("enabled"):
        raise ValueError("spec.galera.enabled is not set: it is no Galera cluster")
    recovery, done = mapping(galera.get("recovery")), mapping(status.get("galeraRecovery"))
    secret = mapping(spec.get("rootPasswordSecretKeyRef"))
    name = str(secret.get("name") or f"{name_of(body)}-root")
    return ClusterFacts(
        replicas=int(spec.get("replicas", 1)),
        image=str(spec.get("image", "")),
        suspended=bool(spec.get("suspend", False)),
        primary=str(status.get("currentPrimary", "")),
        conditions={
            str(row["type"]): Condition(
                str(row["status"]), str(row.get("reason", "")), str(row.get("message", ""))
            )
            for row in status.get("conditions") or ()
        },
        # a block that is there and says nothing is off; no block at all is on
        recovery_enabled=bool(recovery.get("enabled", False)) if "recovery" in galera else True,
        forced_pod=str(recovery.get("forceClusterBootstrapInPod") or ""),
        shared_volume=bool(mapping(galera.get("config")).get("reuseStorageVolume", False)),
        secret=("", "") if spec.get("rootEmptyPassword") else (name, str(secret.get("key") or "password")),
        library=str(galera.get("galeraLibPath") or ""),
        recovering=bool(done),
        state={str(pod): _state(row) for pod, row in mapping(done.get("state")).items()},
        recovered={str(pod): _state(row) for pod, row in mapping(done.get("recovered")).items()},
        bootstrap_pod=str(mapping(done.get("bootstrap")).get("pod") or ""),
    )


def _state(row: Mapping[str, Any]) -> OperatorState:
    return OperatorState(
        str(row.get("uuid", "")), int(row.get("seqno", -1)), bool(row.get("safeToBootstrap", False))
    )


def hints(cluster: ClusterFacts, member: str) -> tuple[Hint, ...]:
    """What the operator wrote down about a member: never more than a hint."""
    found = []
    for source, rows in (("recovered", cluster.recovered), ("state", cluster.state)):
        row = rows.get(member)
        try:
            at = position(row.uuid, row.seqno) if row is not None else None
        except ValueError:
            continue
        if at is not None:
            found.append(Hint(f"status.galeraRecovery.{source}", at))
    return tuple(found)


def parse_set(body: Mapping[str, Any]) -> SetFacts:
    """The facts of the StatefulSet."""
    spec, status = mapping(body["spec"]), mapping(body.get("status"))
    policy = mapping(spec.get("persistentVolumeClaimRetentionPolicy"))
    return SetFacts(
        replicas=int(spec.get("replicas", 1)),
        ready=int(status.get("readyReplicas", 0)),
        deletes_claims=policy.get("whenScaled") == "Delete",
    )


def parse_pod(body: Mapping[str, Any]) -> PodFacts:
    """The facts of a pod, about its server's container, found by its name (L56)."""
    meta, spec, status = body["metadata"], mapping(body.get("spec")), mapping(body.get("status"))
    rows = [row for row in status.get("containerStatuses") or () if row["name"] == CONTAINER]
    state = mapping(rows[0].get("state")) if rows else {}
    word = next((str(found.get("reason", "")) for found in state.values() if found), "")
    security = mapping(spec.get("securityContext"))
    conditions = status.get("conditions") or ()
    unscheduled = [
        row for row in conditions if row.get("type") == "PodScheduled" and row["status"] == "False"
    ]
    return PodFacts(
        phase=str(status.get("phase", "Unknown")),
        terminating="deletionTimestamp" in meta,
        running="running" in state,
        ready=bool(rows[0].get("ready", False)) if rows else False,
        reason=word,
        restarts=int(rows[0].get("restartCount", 0)) if rows else 0,
        uid=str(meta.get("uid", "")),
        node=str(spec.get("nodeName", "")),
        scheduled=not unscheduled,
        account=str(spec.get("serviceAccountName", "")),
        user=int(security.get("runAsUser", USER)),
        group=int(security.get("fsGroup", security.get("runAsGroup", USER))),
        pull_secrets=tuple(str(row["name"]) for row in spec.get("imagePullSecrets") or ()),
        tolerations=tuple(dict(row) for row in spec.get("tolerations") or ()),
    )


def mounts(body: Mapping[str, Any]) -> frozenset[str]:
    """The volume claims that a pod which has not ended uses."""
    if mapping(body.get("status")).get("phase") in {"Succeeded", "Failed"}:
        return frozenset()
    volumes = mapping(body.get("spec")).get("volumes") or ()
    return frozenset(
        str(row["persistentVolumeClaim"]["claimName"]) for row in volumes if row.get("persistentVolumeClaim")
    )


def parse_claim(body: Mapping[str, Any], member: str, pods: Iterable[Mapping[str, Any]]) -> ClaimFacts:
    """A claim, and which pods besides its member's own have it mounted: also those of recovery Jobs (W10)."""
    name = name_of(body)
    users = sorted(name_of(pod) for pod in pods if name_of(pod) != member and name in mounts(pod))
    phase = str(mapping(body.get("status")).get("phase", "Unknown"))
    return ClaimFacts(phase, str(body["metadata"].get("uid", "")), tuple(users))


def disk_full(log: str) -> bool:
    """Whether a log ends with a disk that is full."""
    return any(_DISK_FULL.search(line) for line in log.splitlines()[-40:])
