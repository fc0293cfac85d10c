"""Reads the Cluster object, pods and volume claims."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hasteward_cnpg.evidence import ClusterFacts, ContainerState, PodFacts
from hasteward_cnpg.resources import CONTAINER, FENCED_INSTANCES, HIBERNATION, LABEL_INSTANCE, VOLUME_STATUS


def mapping(value: Any) -> Mapping[str, Any]:
    """`value` if it is an object, otherwise an empty one: absent parts of a Kubernetes object are empty."""
    return value if isinstance(value, Mapping) else {}


def parse_cluster(body: Mapping[str, Any]) -> ClusterFacts:
    """The parts of a Cluster that decisions rest on."""
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
    )


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


def parse_pod(body: Mapping[str, Any]) -> PodFacts:
    """The state of the container that runs the server, found by name."""
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
    )


def name_of(body: Mapping[str, Any]) -> str:
    """``metadata.name``."""
    return str(mapping(body.get("metadata")).get("name") or "")


def parse_volumes(bodies: list[dict[str, Any]]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Members that own a data volume, and volumes that were taken out of the cluster on purpose."""
    owners: set[str] = set()
    detached: list[str] = []
    for body in bodies:
        metadata = mapping(body.get("metadata"))
        name = name_of(body)
        if mapping(metadata.get("annotations")).get(VOLUME_STATUS) == "detached":
            detached.append(name)
        elif "deletionTimestamp" not in metadata:
            owners.add(str(mapping(metadata.get("labels")).get(LABEL_INSTANCE) or name))
    return frozenset(owners), tuple(sorted(detached))
