"""Who is to be primary: decided from live polls, never from what was written down before."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from hasteward_lab.api.resources import PODS, QUORUMS
from hasteward_lab.postgres.instance.fencing import is_fenced
from hasteward_lab.postgres.operator.status import instance_of, micro, set_phase
from hasteward_lab.postgres.operator.view import Object, View, ready

if TYPE_CHECKING:
    from hasteward_lab.postgres.level import Level
    from hasteward_lab.postgres.operator.desk import Desk
    from hasteward_lab.postgres.operator.poll import Report

PENDING = "pending"
_SINCE = "currentPrimaryFailingSinceTimestamp"
_SOON = 1.0


class Failover:
    """One step of a failover per pass; None when there is nothing to do."""

    def __init__(self, desk: Desk, level: Level, scale: float) -> None:
        self._desk = desk
        self._level = level
        self._scale = scale

    def step(self, view: View, reports: list[Report]) -> float | None:
        """Look at the first of the sorted reports: if that is not the target, something has to happen."""
        status = view.status
        old = str(status.get("currentPrimary", ""))
        first = reports[0] if reports else None
        if first is None or first.said is None or not old:
            return None
        if first.name == status.get("targetPrimary"):
            if _SINCE in status:
                self._desk.write_status(view, lambda fields: fields.pop(_SINCE, None))
            return None
        pod = view.pod(old)
        if self._primary_lives(view, pod, reports, old):
            return None
        if not self._quorum_holds(view, reports, old):
            return None
        waiting = self._failover_delay(view)
        if waiting is not None:
            return waiting
        return self._fail_over(view, reports, old, first.name)

    def _primary_lives(self, view: View, pod: Object | None, reports: list[Report], old: str) -> bool:
        if is_fenced(view.cluster, old):
            return True
        if any(row.name == old and row.unavailable for row in reports):
            return True
        # Its readiness counts, not what it answers: that is what keeps a slow one from being replaced.
        return pod is not None and ready(pod)

    def _quorum_holds(self, view: View, reports: list[Report], old: str) -> bool:
        """Say whether one who has every commit is surely among those who answer; true where nobody asks."""
        asked = (view.spec.get("postgresql", {}).get("synchronous") or {}).get("failoverQuorum")
        if not asked or view.status.get("targetPrimary") == PENDING:
            return True
        told = (self._desk.store.find(QUORUMS, view.namespace, view.name) or {}).get("status") or {}
        names = told.get("standbyNames") or []
        if told.get("primary") != old or not names:
            return False
        readable = sum(row.name in names and row.said is not None and not row.unavailable for row in reports)
        return bool(readable + int(told["standbyNumber"]) > len(names))

    def _failover_delay(self, view: View) -> float | None:
        delay = float(view.spec.get("failoverDelay", 0)) * self._scale
        if delay <= 0:
            return None
        since = view.status.get(_SINCE)
        if since is None:
            self._desk.write_status(view, lambda fields: fields.update({_SINCE: micro()}))
            return _SOON
        begun = dt.datetime.strptime(since, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=dt.UTC)
        passed = (dt.datetime.now(dt.UTC) - begun).total_seconds()
        return _SOON if passed < delay else None

    def _fail_over(self, view: View, reports: list[Report], old: str, winner: str) -> float:
        desk = self._desk
        desk.event(
            view.cluster, "FailingOver", f"Current primary isn't healthy, initiating a failover from {old}"
        )

        def pending(fields: Object) -> None:
            fields.update({"targetPrimary": PENDING, "targetPrimaryTimestamp": micro()})
            set_phase(fields, "Failing over", f"Initiating a failover from {old}")

        view = desk.write_status(view, pending)
        if self._level.ready_gate:
            self.mark_unhealthy(view, old)
        if any(row.receiving for row in reports):
            return _SOON
        desk.event(view.cluster, "FailoverTarget", f"Failing over from {old} to {winner}")

        def chosen(fields: Object) -> None:
            fields.update({"targetPrimary": winner, "targetPrimaryTimestamp": micro()})
            set_phase(fields, "Failing over", f"Failing over from {old} to {winner}")
            fields.pop(_SINCE, None)

        desk.write_status(view, chosen)
        return _SOON

    def mark_unhealthy(self, view: View, name: str) -> None:
        """Take the old primary out of the services at once, whatever its readiness says."""
        pod = view.pod(name)
        if pod is not None:
            set_role(self._desk, PODS, pod, "unhealthy")


def set_role(desk: Desk, resource: Any, item: Object, role: str) -> None:
    """Write both labels that tell an instance's role."""

    def change(new: Object) -> None:
        new["metadata"].setdefault("labels", {}).update({"role": role, "cnpg.io/instanceRole": role})

    desk.change(resource, item, change)


def role_of(view: View, item: Object) -> str:
    """The role of a pod or a claim by the status."""
    return "primary" if instance_of(item) == view.status.get("currentPrimary") else "replica"
