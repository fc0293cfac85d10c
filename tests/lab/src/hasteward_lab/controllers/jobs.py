"""Jobs: pods run to completion, again after failures, within limits."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from hasteward_lab.api import automount, events
from hasteward_lab.api.resources import JOBS, PODS
from hasteward_lab.api.store import generated, now
from hasteward_lab.controllers.base import Controller, owned_by, reference

if TYPE_CHECKING:
    from hasteward_lab.api.store import Store

Object = dict[str, Any]

_BACK_OFF, _BACK_OFF_MOST = 10.0, 600.0


class Jobs(Controller):
    """The job controller."""

    watches = (JOBS, PODS)
    # The waits between two tries end by the clock.
    resync = 1.0

    def __init__(self, store: Store, scale: float) -> None:
        super().__init__(store)
        self._scale = scale

    def reconcile(self) -> None:
        """Look at every job."""
        for job in self.store.listing(JOBS):
            if "deletionTimestamp" in job["metadata"]:
                continue
            if _finished(job):
                self._expire(job)
            elif not job["spec"].get("suspend"):
                self._advance(job)

    def _advance(self, job: Object) -> None:
        meta, spec = job["metadata"], job["spec"]
        mine = [pod for pod in self.store.listing(PODS, meta["namespace"]) if owned_by(pod, job)]
        by_phase = {phase: [p for p in mine if _phase(p) == phase] for phase in ("Succeeded", "Failed")}
        succeeded, failed = len(by_phase["Succeeded"]), len(by_phase["Failed"])
        restarts = sum(_restarts(pod) for pod in mine if _phase(pod) not in by_phase)
        active = [
            pod for pod in mine if _phase(pod) not in by_phase and "deletionTimestamp" not in pod["metadata"]
        ]
        begun = job.get("status", {}).get("startTime") or now()
        counts: Object = {"startTime": begun, "active": len(active), "succeeded": succeeded, "failed": failed}
        end = self._end(job, succeeded, failed + restarts, begun)
        if end:
            for pod in active:
                self.store.delete(PODS, meta["namespace"], pod["metadata"]["name"])
            counts["active"] = 0
        elif self._may_start(by_phase["Failed"]):
            missing = spec.get("completions", 1) - succeeded - len(active)
            for _ in range(min(missing, spec.get("parallelism", 1) - len(active))):
                self._start(job)
                counts["active"] += 1
        self._publish(job, counts, end)

    def _end(self, job: Object, succeeded: int, failed: int, begun: str) -> tuple[str, str, str] | None:
        spec = job["spec"]
        if succeeded >= spec.get("completions", 1):
            return "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
        limit = spec.get("activeDeadlineSeconds")
        if limit is not None and _since(begun) >= float(limit):
            return "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"
        if failed > spec.get("backoffLimit", 6):
            return "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
        return None

    def _may_start(self, failed: list[Object]) -> bool:
        """Say whether the wait after the last failure is over."""
        if not failed:
            return True
        wait = min(_BACK_OFF * 2 ** (len(failed) - 1), _BACK_OFF_MOST) * self._scale
        return bool(min(_since(_ended_at(pod)) for pod in failed) >= wait)

    def _start(self, job: Object) -> None:
        meta, template = job["metadata"], job["spec"]["template"]
        labels = {
            **(template.get("metadata", {}).get("labels") or {}),
            "batch.kubernetes.io/controller-uid": meta["uid"],
            "batch.kubernetes.io/job-name": meta["name"],
            "controller-uid": meta["uid"],
            "job-name": meta["name"],
        }
        name = f"{meta['name'][:57]}-{generated()}"
        pod_meta: Object = {"name": name, "namespace": meta["namespace"], "labels": labels}
        pod_meta["annotations"] = dict(template.get("metadata", {}).get("annotations") or {})
        pod_meta["ownerReferences"] = reference(job)
        pod = {"metadata": pod_meta, "spec": template["spec"]}
        self.store.create(PODS, automount.mounted(self.store, pod))
        events.record(
            self.store, job, "Normal", "SuccessfulCreate", f"Created pod: {name}", component="job-controller"
        )

    def _publish(self, job: Object, counts: Object, end: tuple[str, str, str] | None) -> None:
        meta = job["metadata"]

        def change(item: Object) -> None:
            status = item.setdefault("status", {})
            status.update(counts)
            status["ready"] = 0 if end else counts["active"]
            status["uncountedTerminatedPods"] = {}
            if end is None:
                return
            kind, reason, message = end
            first = "SuccessCriteriaMet" if kind == "Complete" else "FailureTarget"
            row = {"status": "True", "reason": reason, "message": message}
            row |= {"lastProbeTime": now(), "lastTransitionTime": now()}
            status["conditions"] = [{"type": name, **row} for name in (first, kind)]
            if kind == "Complete":
                status["completionTime"] = now()

        written = self.store.modify(JOBS, meta["namespace"], meta["name"], change)
        if end and written:
            kind = "Normal" if end[0] == "Complete" else "Warning"
            reason = "Completed" if end[0] == "Complete" else end[1]
            message = "Job completed" if end[0] == "Complete" else end[2]
            events.record(self.store, written, kind, reason, message, component="job-controller")

    def _expire(self, job: Object) -> None:
        limit = job["spec"].get("ttlSecondsAfterFinished")
        ended = job["status"]["conditions"][-1]["lastTransitionTime"]
        if limit is not None and _since(ended) >= limit:
            meta = job["metadata"]
            self.store.delete(JOBS, meta["namespace"], meta["name"])


def _phase(pod: Object) -> str:
    return str(pod.get("status", {}).get("phase", "Pending"))


def _restarts(pod: Object) -> int:
    return sum(row["restartCount"] for row in pod.get("status", {}).get("containerStatuses", []))


def _finished(job: Object) -> bool:
    rows = job.get("status", {}).get("conditions", [])
    return any(row["type"] in {"Complete", "Failed"} and row["status"] == "True" for row in rows)


def _since(time: str) -> float:
    return (dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(time)).total_seconds()


def _ended_at(pod: Object) -> str:
    for row in pod["status"].get("containerStatuses", []):
        ended = row.get("state", {}).get("terminated", {}).get("finishedAt")
        if ended:
            return str(ended)
    return str(pod["metadata"]["creationTimestamp"])
