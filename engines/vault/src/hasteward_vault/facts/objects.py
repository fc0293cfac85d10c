"""Reads StatefulSets and pods."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hasteward_vault.evidence import PodFacts, SetFacts
from hasteward_vault.resources import (
    CONTAINERS,
    DATA_PATHS,
    DATA_VOLUME,
    LABEL_INSTANCE,
    LABEL_NAME,
    PRODUCTS,
)

_ORDINAL = re.compile(r".*-(\d+)")


def name_of(body: Mapping[str, Any]) -> str:
    """An object's name."""
    return str(body["metadata"]["name"])


def ordinal_of(member: str) -> int:
    """The number at the end of a pod's name; ValueError when there is none."""
    found = _ORDINAL.fullmatch(member)
    if found is None:
        raise ValueError(f"{member!r} has no number")
    return int(found[1])


def choose_set(sets: list[Any], name: str) -> Mapping[str, Any] | None:
    """The StatefulSet called `name`, or the one server set of the Helm release `name`."""
    for body in sets:
        if name_of(body) == name:
            return dict(body)
    released = [body for body in sets if (body["metadata"].get("labels") or {}).get(LABEL_INSTANCE) == name]
    return dict(released[0]) if len(released) == 1 else None


def looks_like_ours(body: Mapping[str, Any]) -> bool:
    """Whether the labels of the Helm charts are on it."""
    return (body["metadata"].get("labels") or {}).get(LABEL_NAME) in PRODUCTS


def parse_set(body: Mapping[str, Any]) -> SetFacts:
    """The facts of a StatefulSet; KeyError or ValueError when it lacks what every one has."""
    spec = body["spec"]
    containers = spec["template"]["spec"]["containers"]
    chosen = next((row for row in containers if row["name"] in CONTAINERS), containers[0])
    mounts = {row["name"]: str(row["mountPath"]) for row in chosen.get("volumeMounts", [])}
    claims = [str(row["metadata"]["name"]) for row in spec.get("volumeClaimTemplates") or []]
    paths = [mounts.get(DATA_VOLUME), *(path for path in DATA_PATHS if path in mounts.values())]
    return SetFacts(
        name=name_of(body),
        replicas=int(spec.get("replicas", 1)),
        selector=dict(spec["selector"]["matchLabels"]),
        container=str(chosen["name"]),
        data=next((path for path in paths if path), DATA_PATHS[0]),
        claim=DATA_VOLUME if DATA_VOLUME in claims else "",
    )


def parse_pod(body: Mapping[str, Any], container: str) -> PodFacts:
    """The facts of a pod, about its server's container."""
    meta, status = body["metadata"], body.get("status") or {}
    rows = [row for row in status.get("containerStatuses") or [] if row["name"] == container]
    state = (rows[0].get("state") or {}) if rows else {}
    word = next((str(found.get("reason", "")) for found in state.values() if found), "")
    return PodFacts(
        phase=str(status.get("phase", "Unknown")),
        terminating="deletionTimestamp" in meta,
        running="running" in state,
        reason=word,
        restarts=int(rows[0].get("restartCount", 0)) if rows else 0,
        address=str(status.get("podIP", "")),
        uid=str(meta.get("uid", "")),
    )
