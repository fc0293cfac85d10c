"""What a person does to a Cluster with kubectl or its plugin, for tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hasteward_lab.postgres.instance.fencing import ALL, ANNOTATION, fenced_names
from hasteward_lab.postgres.operator.status import micro
from hasteward_lab.state import LabError

if TYPE_CHECKING:
    from hasteward_lab.lab import Lab

_TRIES = 20


def _path(lab: Lab) -> str:
    return f"/apis/postgresql.cnpg.io/v1/namespaces/{lab.namespace}/clusters/{lab.cluster}"


def _patch(lab: Lab, path: str, body: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Patch what was read, with its version; read again when somebody was faster."""
    for attempt in range(_TRIES):
        cluster = lab.cluster_object()
        wanted = body(cluster)
        wanted.setdefault("metadata", {})["resourceVersion"] = cluster["metadata"]["resourceVersion"]
        try:
            lab.client.call("PATCH", path, wanted)
        except LabError as error:
            if "has been modified" not in str(error) or attempt == _TRIES - 1:
                raise
        else:
            return


def promote(lab: Lab, pod: str) -> None:
    """Write what the plugin's promote writes."""
    if pod not in lab.pods:
        raise LabError(f"there is no pod {pod!r}")
    status = {
        "targetPrimary": pod,
        "targetPrimaryTimestamp": micro(),
        "phase": "Switchover in progress",
        "phaseReason": f"Switching over to {pod}",
    }
    _patch(lab, f"{_path(lab)}/status", lambda _cluster: {"status": dict(status)})


def annotate(lab: Lab, annotations: Mapping[str, str | None]) -> None:
    """Set or take away annotations of the Cluster."""
    _patch(lab, _path(lab), lambda _cluster: {"metadata": {"annotations": dict(annotations)}})


def _write(lab: Lab, change: Callable[[frozenset[str]], frozenset[str]]) -> None:
    def body(cluster: dict[str, Any]) -> dict[str, Any]:
        names = sorted(change(fenced_names(cluster)))
        return {"metadata": {"annotations": {ANNOTATION: json.dumps(names) if names else None}}}

    _patch(lab, _path(lab), body)


def fence(lab: Lab, pod: str) -> None:
    """Add a name; where all are fenced already it changes nothing."""
    _write(lab, lambda names: names if ALL in names else (frozenset({ALL}) if pod == ALL else names | {pod}))


def unfence(lab: Lab, pod: str) -> None:
    """Take a name away; a single one cannot be while all are fenced."""

    def change(names: frozenset[str]) -> frozenset[str]:
        if pod == ALL:
            return frozenset()
        if ALL in names:
            raise LabError("all instances are fenced: end that first")
        return names - {pod}

    _write(lab, change)
