"""Volumes of a Cluster that was deleted and left them behind: a Cluster of the same name takes them over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasteward_lab.api.resources import CLAIMS, PODS
from hasteward_lab.postgres.objects import Maker, serial_of
from hasteward_lab.postgres.operator.status import instance_of, micro, set_phase
from hasteward_lab.postgres.operator.view import Object, View, label, name_of, terminating

if TYPE_CHECKING:
    from hasteward_lab.postgres.operator.desk import Desk

_SOON = 1.0


def step(desk: Desk, maker: Maker, view: View) -> float | None:
    """One step of the first reconcile of a Cluster; None when there is nothing to adopt, or no more."""
    orphans = [claim for claim in view.claims if _orphan(claim)]
    if view.status.get("currentPrimary") or view.status.get("targetPrimary") or not orphans:
        return None
    pods = [pod for pod in view.pods if not pod["metadata"].get("ownerReferences")]
    if pods:
        # They run by the wish of a Cluster that is no more.
        for pod in pods:
            if not terminating(pod):
                desk.delete(PODS, name_of(pod))
        return _SOON
    for claim in orphans:
        desk.change(
            CLAIMS, claim, lambda item: item["metadata"].update(ownerReferences=maker.owner(block=False))
        )
    primary = _primary(orphans)

    def restored(status: Object) -> None:
        status.update(
            {"currentPrimary": primary, "targetPrimary": primary, "targetPrimaryTimestamp": micro()}
        )
        set_phase(status, "Setting up primary", f"Restoring {primary}")

    desk.write_status(view, restored)
    return _SOON


def _orphan(claim: Object) -> bool:
    meta = claim["metadata"]
    owned, serial = meta.get("ownerReferences"), (meta.get("annotations") or {}).get("cnpg.io/nodeSerial")
    return bool(not owned and serial and not terminating(claim))


def _primary(claims: list[Object]) -> str:
    """The instance whose volume is labelled so; without such a one the highest serial."""
    marked = [claim for claim in claims if label(claim, "cnpg.io/instanceRole") == "primary"]
    return max((instance_of(claim) for claim in marked or claims), key=serial_of)
