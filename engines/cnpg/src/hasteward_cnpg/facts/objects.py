"""Reads the Cluster object, pods and volume claims."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hasteward_cnpg.evidence import ClaimState, ClusterFacts, ContainerState, PodFacts
from hasteward_cnpg.resources import (
    CONTAINER,
    FENCED_INSTANCES,
    HIBERNATION,
    LABEL_INSTANCE,
    RECONCILIATION,
    VOLUME_STATUS,
    WAL_MOUNT,
)

#: the operator's own, unless postgresUID and postgresGID say otherwise
_USER = 26
#: a time that is further ahead of our clock says nothing about ours
_SKEW_SECONDS = 60.0
#: between a kubelet's first look at a pod and its first word of it; no server is up and down again within it
_FIRST_SECONDS = 10.0


def mapping(value: Any) -> Mapping[str, Any]:
    """`value` if it is an object, otherwise an empty one: absent parts of a Kubernetes object are empty."""
    return value if isinstance(value, Mapping) else {}


def parse_cluster(body: Mapping[str, Any], now: datetime | None = None) -> ClusterFacts:
    """The parts of a Cluster that decisions rest on; without `now` nothing has an age."""
    status, spec = mapping(body.get("status")), mapping(body.get("spec"))
    annotations = mapping(mapping(body.get("metadata")).get("annotations"))
    fenced, note = parse_fences(str(annotations.get(FENCED_INSTANCES, "")))
    return ClusterFacts(
        instances=int(spec.get("instances") or 0),
        instance_names=tuple(str(name) for name in status.get("instanceNames") or ()),
        current_primary=str(status.get("currentPrimary") or ""),
        target_primary=str(status.get("targetPrimary") or ""),
        phase=str(status.get("phase") or ""),
        fenced=fenced,
        fence_note=note,
        hibernated=str(annotations.get(HIBERNATION, "")).lower() == "on",
        reconciliation_off=str(annotations.get(RECONCILIATION, "")).lower() == "disabled",
        primary_age=_age(status.get("currentPrimaryTimestamp"), now),
    )


def _age(moment: Any, now: datetime | None) -> float | None:
    """Seconds since a time of the API's; None for what is none, or comes long after our own."""
    try:
        then = datetime.fromisoformat(str(moment))
    except ValueError:
        return None
    if now is None or then.tzinfo is None:
        return None
    seconds = (now - then).total_seconds()
    return max(0.0, seconds) if seconds > -_SKEW_SECONDS else None


def parse_fences(text: str) -> tuple[frozenset[str], str]:
    """The annotation's names, and what could not be understood of it (the operator ignores bad JSON)."""
    if not text.strip():
        return frozenset(), ""
    try:
        names = json.loads(text)
    except ValueError:
        return frozenset(), f"the annotation {FENCED_INSTANCES} is not JSON: {text!r}"
    if not isinstance(names, list):
        return frozenset(), f"the annotation {FENCED_INSTANCES} is not a list: {text!r}"
    return frozenset(str(name) for name in names), ""


def parse_pod(body: Mapping[str, Any], now: datetime | None = None) -> PodFacts:
    """The state of the container that runs the server, found by name; without `now` it has no age."""
    status = mapping(body.get("status"))
    statuses = status.get("containerStatuses") or ()
    entry = mapping(next((s for s in statuses if mapping(s).get("name") == CONTAINER), None))
    state = mapping(entry.get("state"))
    found = next((s for s in ContainerState if s.value in state), ContainerState.MISSING)
    detail = mapping(state.get(found.value))
    return PodFacts(
        phase=str(status.get("phase") or "Unknown"),
        terminating="deletionTimestamp" in mapping(body.get("metadata")),
        container=found,
        reason=str(detail.get("reason") or status.get("reason") or ""),
        ready=entry.get("ready") is True,
        restarts=int(entry.get("restartCount") or 0),
        age=_age(mapping(state.get("running")).get("startedAt"), now),
        unready=_age(_unready_since(status), now),
        fresh=_fresh(status),
        last=_ended(mapping(mapping(entry.get("lastState")).get("terminated"))),
        unplaced=_unplaced(_condition(status, "PodScheduled")),
    )


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    rows = (mapping(row) for row in status.get("conditions") or ())
    return next((row for row in rows if row.get("type") == kind), {})


def _unplaced(row: Mapping[str, Any]) -> str:
    """L66: the words of the scheduler."""
    if row.get("status") != "False" or row.get("reason") != "Unschedulable":
        return ""
    return str(row.get("message") or "it is unschedulable")


def _unready_since(status: Mapping[str, Any]) -> Any:
    """When the pod last was ready, or was made where it never was; None while it is ready."""
    found = _condition(status, "Ready")
    return found.get("lastTransitionTime") if found.get("status") == "False" else None


def _fresh(status: Mapping[str, Any]) -> bool | None:
    """Whether the pod has never been ready: a kubelet says "not ready" as soon as it sees a new pod."""
    try:
        since = datetime.fromisoformat(str(_unready_since(status)))
        begun = datetime.fromisoformat(str(status.get("startTime")))
        return (since - begun).total_seconds() < _FIRST_SECONDS
    except (ValueError, TypeError):
        return None


def _ended(last: Mapping[str, Any]) -> str:
    """Exit status and the kubelet's word for it; "" for a container that has not ended."""
    if "exitCode" not in last:
        return ""
    reason = str(last.get("reason") or "")
    return f"exit {last['exitCode']}{f', {reason}' if reason else ''}"


def name_of(body: Mapping[str, Any]) -> str:
    """``metadata.name``."""
    return str(mapping(body.get("metadata")).get("name") or "")


@dataclass(frozen=True, slots=True)
class Volumes:
    """The claims of data volumes by member, and those that were taken out of the cluster on purpose."""

    claims: Mapping[str, ClaimState]
    detached: tuple[str, ...]

    @property
    def owners(self) -> frozenset[str]:
        """Members that own a data volume which is not on its way out."""
        return frozenset(name for name, state in self.claims.items() if state is not ClaimState.TERMINATING)


def parse_volumes(bodies: list[dict[str, Any]]) -> Volumes:
    """Sort the claims of data volumes."""
    claims: dict[str, ClaimState] = {}
    detached: list[str] = []
    for body in bodies:
        metadata = mapping(body.get("metadata"))
        name = name_of(body)
        if mapping(metadata.get("annotations")).get(VOLUME_STATUS) == "detached":
            detached.append(name)
        else:
            owner = str(mapping(metadata.get("labels")).get(LABEL_INSTANCE) or name)
            claims[owner] = _claim_state(body, metadata)
    return Volumes(claims, tuple(sorted(detached)))


def _claim_state(body: Mapping[str, Any], metadata: Mapping[str, Any]) -> ClaimState:
    if "deletionTimestamp" in metadata:
        return ClaimState.TERMINATING
    phase = str(mapping(body.get("status")).get("phase") or "")
    return {"Bound": ClaimState.BOUND, "Lost": ClaimState.LOST}.get(phase, ClaimState.PENDING)


@dataclass(frozen=True, slots=True)
class HelperFacts:
    """What a helper pod must share with a member to be able to read its volume."""

    image: str
    node: str
    user: int
    group: int
    account: str
    wal_volume: bool
    wal_mount: str
    pull_secrets: tuple[str, ...]
    tolerations: tuple[Mapping[str, Any], ...]


def helper_facts(
    cluster: Mapping[str, Any], pod: Mapping[str, Any] | None, others: Mapping[str, Mapping[str, Any]]
) -> HelperFacts:
    """From the member's pod, else from another member's, and the Cluster; ValueError without any image.

    The image is the running one: `spec.imageName` is empty when an image catalogue is used (W25).
    """
    spec, status = mapping(cluster.get("spec")), mapping(cluster.get("status"))
    model = mapping(mapping(pod or next(iter(others.values()), None)).get("spec"))
    containers = [mapping(one) for one in model.get("containers") or ()]
    image = next((str(one.get("image") or "") for one in containers if one.get("name") == CONTAINER), "")
    image = image or str(status.get("image") or spec.get("imageName") or "")
    if not image:
        raise ValueError("no image is known that a helper pod could run")
    return HelperFacts(
        image=image,
        node=str(mapping(mapping(pod).get("spec")).get("nodeName") or ""),
        user=int(spec.get("postgresUID") or _USER),
        group=int(spec.get("postgresGID") or _USER),
        account=str(model.get("serviceAccountName") or ""),
        wal_volume=bool(spec.get("walStorage")),
        wal_mount=WAL_MOUNT,
        pull_secrets=tuple(str(mapping(one).get("name")) for one in model.get("imagePullSecrets") or ()),
        tolerations=tuple(mapping(one) for one in model.get("tolerations") or ()),
    )
