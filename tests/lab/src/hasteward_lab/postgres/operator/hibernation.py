"""Hibernation: the pods go, the primary's first; the volumes stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasteward_lab.api.resources import PODS
from hasteward_lab.postgres.operator.status import HEALTHY, set_condition
from hasteward_lab.postgres.operator.view import Object, View, name_of, terminating

if TYPE_CHECKING:
    from hasteward_lab.postgres.operator.desk import Desk

ANNOTATION = KIND = "cnpg.io/hibernation"
_SOON = 5.0


def step(desk: Desk, view: View) -> float | None:
    """One step; None when the cluster is not to hibernate, or has to become healthy first."""
    if view.annotation(ANNOTATION) != "on":
        if any(row["type"] == KIND for row in view.status.get("conditions", [])):
            desk.write_status(view, _forget)
        return None
    hibernating = any(
        row["type"] == KIND and row["reason"] != "WaitingForHealthy"
        for row in view.status.get("conditions", [])
    )
    if not hibernating and view.status.get("phase") != HEALTHY:
        _tell(desk, view, "False", "WaitingForHealthy", "Waiting for the cluster to be healthy")
        return None
    if not view.pods:
        _tell(desk, view, "True", "Hibernated", "Cluster has been hibernated")
        return _SOON
    if any(terminating(pod) for pod in view.pods):
        text = "Waiting for the pods to be deleted"
        _tell(desk, view, "False", "WaitingPodsDeletion", text)
        return _SOON
    view = _tell(desk, view, "False", "DeletingPods", "Hibernation is in progress")
    primary = view.status.get("currentPrimary")
    # The primary first: so the replicas have all of its log when they go.
    victims = [pod for pod in view.pods if name_of(pod) == primary] or list(view.pods)
    for pod in victims:
        desk.delete(PODS, name_of(pod))
    return _SOON


def _tell(desk: Desk, view: View, value: str, reason: str, message: str) -> View:
    return desk.write_status(view, lambda status: set_condition(status, KIND, value, reason, message))


def _forget(status: Object) -> None:
    status["conditions"] = [row for row in status["conditions"] if row["type"] != KIND]
