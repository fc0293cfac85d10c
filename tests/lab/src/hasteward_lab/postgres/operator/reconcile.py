"""One pass of the operator: gate after gate, in the order that makes some faults hide others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hasteward_lab.api.resources import CLAIMS, PODS
from hasteward_lab.postgres.operator import adoption, hibernation
from hasteward_lab.postgres.operator import status as state
from hasteward_lab.postgres.operator.belongings import Belongings
from hasteward_lab.postgres.operator.failover import Failover, role_of, set_role
from hasteward_lab.postgres.operator.instances import Instances, not_up
from hasteward_lab.postgres.operator.view import Object, View, name_of, out_of_space, ready

if TYPE_CHECKING:
    from hasteward_lab.postgres.level import Level
    from hasteward_lab.postgres.operator.desk import Desk
    from hasteward_lab.postgres.operator.instances import MakerOf
    from hasteward_lab.postgres.operator.poll import Poller, Report

DISABLED = "cnpg.io/reconciliationLoop"
_SOON, _BUSY, _LONG = 1.0, 5.0, 10.0


@dataclass(frozen=True)
class Parts:
    """What a pass works with."""

    desk: Desk
    level: Level
    maker: MakerOf
    poller: Poller
    failover: Failover
    instances: Instances
    belongings: Belongings


class Pass:
    """Runs passes; each tells after how many seconds the next one is due; None: when something happens."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def run(self) -> float | None:
        """One pass."""
        desk = self._parts.desk
        view = desk.look()
        if view is None or "deletionTimestamp" in view.cluster["metadata"]:
            return None
        if view.annotation(DISABLED) == "disabled":
            return None
        self._parts.belongings.keep(view)
        due = adoption.step(desk, self._parts.maker(view.cluster), view)
        if due is not None:
            return due
        view = self._derive(view)
        status = view.status
        if status.get("currentPrimary") != status.get("targetPrimary"):
            return self._between_primaries(view)
        reports = await self._parts.poller.ask(view.active_pods)
        rows: list[Object] = [{"name": row.name, "said": row.said} for row in reports]
        return self._judge(view, rows, reports)

    def _judge(self, asked: View, rows: list[Object], reports: list[Report]) -> float | None:
        view = self._parts.desk.write_status(asked, lambda fields: state.report(asked, fields, rows))
        due = self._guards(view, reports)
        return self._act(view, reports) if due is None else due

    def _derive(self, view: View) -> View:
        maker = self._parts.maker(view.cluster)

        def change(status: Object) -> None:
            state.derive(view, status, self._parts.level, maker.image, maker.major)
            target, current = status.get("targetPrimary"), status.get("currentPrimary")
            if current and target != current and target not in set(map(name_of, view.active_pods)):
                # A switchover to a pod that is not there is off; a failover comes to this and begins again.
                status["targetPrimary"] = current

        return self._parts.desk.write_status(view, change)

    def _between_primaries(self, view: View) -> float:
        current = view.status.get("currentPrimary")
        if current and self._parts.level.ready_gate:
            self._parts.failover.mark_unhealthy(view, current)
        return _SOON

    def _guards(self, view: View, reports: list[Report]) -> float | None:
        desk, level = self._parts.desk, self._parts.level
        if sum(row.primary for row in reports) > 1:
            return _BUSY
        self._label(view)
        ready_rows = [row for row in reports if row.pod_ready]
        if (
            ready_rows
            and all(row.said is None for row in ready_rows)
            and not any(row.said for row in reports)
        ):
            desk.phase(view, "Instance Status Extraction Error: HTTP communication issue")
            return _LONG
        if any(out_of_space(pod) for pod in view.pods):
            desk.phase(view, "Not enough disk space", "Insufficient disk space detected in a Pod")
            return _LONG
        if reports and reports[0].said is not None and not reports[0].pod_ready:
            return _LONG
        current = view.status.get("currentPrimary")
        failing = next((row for row in reports if row.name == current and row.said is None), None)
        if level.ready_gate and failing and failing.pod_ready:
            text = f"Primary {current} is ready but its status cannot be read: {failing.error}"
            desk.event(view.cluster, "PrimaryStatusCheckFailed", text, "Warning")
            return _LONG
        return None

    def _label(self, view: View) -> None:
        for pod in view.active_pods:
            set_role(self._parts.desk, PODS, pod, role_of(view, pod))
        for claim in view.claims:
            set_role(self._parts.desk, CLAIMS, claim, role_of(view, claim))

    def _act(self, view: View, reports: list[Report]) -> float | None:
        """One action at most."""
        instances = self._parts.instances
        due = hibernation.step(self._parts.desk, view)
        if due is None:
            due = self._parts.failover.step(view, reports)
        if due is None:
            due = instances.jobs(view)
        if due is None:
            due = self._sweep(view)
        if due is None:
            due = instances.unrecoverable(view)
        if due is not None:
            return due
        if not_up(view):
            text = "Some instances are not yet active. Please wait."
            self._parts.desk.phase(view, "Waiting for the instances to become active", text)
            return _SOON
        if not all(ready(pod) for pod in view.pods) or any(row.said is None for row in reports):
            # Every instance has to report before one is made, and the phase says nothing of it.
            return _SOON
        instances.resize(view)
        due = instances.reattach(view)
        if due is None:
            due = instances.scale(view)
        if due is not None:
            return due
        instances.clean_jobs(view)
        self._parts.desk.phase(view, state.HEALTHY)
        return None

    def _sweep(self, view: View) -> float | None:
        """Pods that ended are of no use to anybody."""
        for pod in view.pods:
            if pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}:
                self._parts.desk.delete(PODS, name_of(pod))
                return _SOON
        return None
