"""Makes and removes instances: claims, the job that fills them, the pod. One at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hasteward_lab.api import automount
from hasteward_lab.api.resources import CLAIMS, JOBS, PODS
from hasteward_lab.kubelet.volumes import parse_size
from hasteward_lab.postgres import objects
from hasteward_lab.postgres.operator.status import instance_of, set_phase
from hasteward_lab.postgres.operator.view import Object, View, active, name_of, terminating

if TYPE_CHECKING:
    from hasteward_lab.postgres.level import Level
    from hasteward_lab.postgres.operator.desk import Desk

MakerOf = Callable[[Object], objects.Maker]
UNRECOVERABLE = "alpha.cnpg.io/unrecoverable"
_SOON, _JOB, _CREATED = 1.0, 5.0, 30.0


class Instances:
    """The steps of a pass that are about which instances there are."""

    def __init__(
        self, desk: Desk, level: Level, maker: MakerOf, provision: Callable[[str, str], None]
    ) -> None:
        self._desk = desk
        self._level = level
        self._maker = maker
        self._provision = provision

    def unrecoverable(self, view: View) -> float | None:
        """Remove instances that a person gave up; never the primary."""
        if not self._level.unrecoverable:
            return None
        protected = {view.status.get("currentPrimary"), view.status.get("targetPrimary")}
        for pod in view.pods:
            marked = (pod["metadata"].get("annotations") or {}).get(UNRECOVERABLE) == "true"
            name = name_of(pod)
            if not marked or name in protected:
                continue
            any_state = self._level.unrecoverable_any_state
            if not any_state and not all(_is_up(each) for each in view.pods):
                continue
            if any_state:
                text = f"Deleting unrecoverable instance {name}"
                self._desk.event(view.cluster, "DeleteUnrecoverableInstance", text)
            self.remove(view, name, force=any_state and not _is_up(pod))
            return _SOON
        return None

    def remove(self, view: View, name: str, *, force: bool = False) -> None:
        """Delete an instance's claims, its pod and its jobs."""
        for claim in view.claims:
            if instance_of(claim) == name and not terminating(claim):
                self._desk.delete(CLAIMS, name_of(claim))
        self._desk.delete(PODS, name, grace=0 if force else None)
        for job in view.jobs:
            if instance_of(job) == name:
                self._desk.delete(JOBS, name_of(job))

    def resize(self, view: View) -> None:
        """Ask for larger volumes where the spec has grown; they never shrink."""
        sizes = {
            name_of(claim): claim["spec"]["resources"]["requests"]["storage"]
            for name in view.status.get("instanceNames", [])
            for claim in objects.claims(self._maker(view.cluster), name)
        }
        for claim in view.claims:
            wanted, held = sizes.get(name_of(claim)), claim["spec"]["resources"]["requests"]["storage"]
            if wanted and not terminating(claim) and parse_size(wanted) > parse_size(held):
                self._desk.change(CLAIMS, claim, _requesting(wanted))

    def reattach(self, view: View) -> float | None:
        """Give a dangling volume its pod back; the primary's first."""
        dangling = {
            name
            for name in view.status.get("instanceNames", [])
            if view.pod(name) is None and name in view.status.get("danglingPVC", [])
        }
        if not dangling:
            return None
        usable = [name for name in dangling if self._usable(view, name)]
        if not usable:
            return None
        current = view.status.get("currentPrimary")
        usable.sort(key=lambda name: (name != current, objects.serial_of(name)))
        self.start(view, usable[0])
        return _SOON

    def _usable(self, view: View, name: str) -> bool:
        """A volume whose job never came to an end is no instance's; before 1.31 it waits for a person."""
        claim = next(row for row in view.claims if name_of(row) == name)
        state = (claim["metadata"].get("annotations") or {}).get("cnpg.io/pvcStatus")
        if state != "initializing":
            return True
        job = f"{name}-join"
        if self._level.job_recreated and not any(name_of(row) == job for row in view.jobs):
            self._desk.create(JOBS, objects.job(self._maker(view.cluster), name, "join"))
        return False

    def start(self, view: View, name: str) -> None:
        """Create the pod of an instance whose volumes are filled."""
        self._ready_claims(view, name)
        pod = objects.pod(self._maker(view.cluster), name)
        self._desk.create(PODS, automount.mounted(self._desk.store, pod))

    def _ready_claims(self, view: View, name: str) -> None:
        def ready(claim: Object) -> None:
            claim["metadata"].setdefault("annotations", {})["cnpg.io/pvcStatus"] = "ready"

        for claim in view.claims:
            if instance_of(claim) == name:
                self._desk.change(CLAIMS, claim, ready)

    def jobs(self, view: View) -> float | None:
        """Wait for jobs; start the pod of one that is done."""
        for job in view.finished_jobs:
            name = instance_of(job)
            if view.pod(name) is None and any(name_of(row) == name for row in view.claims):
                self.start(view, name)
                return _SOON
        if view.failed_jobs and self._level.failed_job_phase:
            failed = name_of(view.failed_jobs[0])
            self._desk.phase(
                view, "Cluster is unrecoverable and needs manual intervention", f"Job {failed} failed"
            )
            return _JOB
        return _JOB if view.unfinished_jobs or view.failed_jobs else None

    def clean_jobs(self, view: View) -> None:
        """Delete the jobs that are done."""
        for job in view.finished_jobs:
            self._desk.delete(JOBS, name_of(job))

    def scale(self, view: View) -> float | None:
        """Add a missing instance by a join job, or remove one too many."""
        wanted, there = int(view.spec["instances"]), int(view.status.get("instances", 0))
        if there > wanted:
            return self._scale_down(view)
        if there == wanted:
            return None
        if there == 0:
            text = "All PVCs are missing"
            self._desk.phase(view, "Cluster is unrecoverable and needs manual intervention", text)
            return _JOB
        serial = self._next_serial(view)
        name = f"{view.name}-{serial}"
        if any(name_of(claim).startswith(name) and instance_of(claim) == name for claim in view.claims):
            # Still on its way out: the name is not free yet.
            return _SOON
        self._join(view, name, serial)
        return _CREATED

    def _next_serial(self, view: View) -> int:
        if not self._level.serial_reuse:
            return int(view.status.get("latestGeneratedNode", 0)) + 1
        taken = {objects.serial_of(name) for name in view.status.get("instanceNames", [])}
        return next(serial for serial in range(1, 1000) if serial not in taken)

    def _join(self, view: View, name: str, serial: int) -> None:
        job = f"{name}-join"

        def change(status: Object) -> None:
            set_phase(status, "Creating a new replica", f"Creating replica {job}")
            if not self._level.serial_reuse:
                status["latestGeneratedNode"] = serial

        view = self._desk.write_status(view, change)
        self._desk.event(view.cluster, "CreatingInstance", f"Creating instance {name}")
        maker = self._maker(view.cluster)
        self.make_claims(maker, name)
        self._desk.create(JOBS, objects.job(maker, name, "join"))

    def make_claims(self, maker: objects.Maker, name: str) -> None:
        """Create an instance's claims and the volumes behind them."""
        for claim in objects.claims(maker, name):
            self._provision(name_of(claim), claim["spec"]["resources"]["requests"]["storage"])
            self._desk.create(CLAIMS, claim)

    def _scale_down(self, view: View) -> float:
        names: list[str] = list(view.status.get("instanceNames", []))
        primary = view.status.get("currentPrimary")
        candidates = [name for name in names if name != primary]
        victim = max(candidates, key=lambda name: (view.pod(name) is None, objects.serial_of(name)))
        self._desk.event(view.cluster, "ScaleDown", f"Scaling down: removing instance {victim}")
        self.remove(view, victim)
        return _SOON


def _requesting(size: str) -> Callable[[Object], None]:
    def change(claim: Object) -> None:
        claim["spec"]["resources"]["requests"]["storage"] = size

    return change


def _is_up(pod: Object) -> bool:
    return active(pod) and pod.get("status", {}).get("phase") == "Running"


def not_up(view: View) -> list[Any]:
    """The pods that do not run."""
    return [pod for pod in view.pods if not _is_up(pod)]
