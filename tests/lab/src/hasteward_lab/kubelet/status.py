"""A pod's status as the kubelet writes it: phases, conditions, container states, back-off."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hasteward_lab.api.store import now

Object = dict[str, Any]

_BACK_OFF_FIRST, _BACK_OFF_MOST = 10.0, 300.0


def back_off(restarts: int) -> float:
    """Seconds a container waits before it is started again: the first time none, then 10, 20, 40 ..."""
    return 0.0 if restarts <= 1 else min(_BACK_OFF_FIRST * 2 ** (restarts - 2), _BACK_OFF_MOST)


@dataclass
class ContainerState:
    """What is known of one container."""

    name: str
    image: str
    state: Object = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    last: Object = field(default_factory=dict)
    ready: bool = False
    restarts: int = 0
    starts: int = 0

    def started(self) -> None:
        """The container runs."""
        self.starts += 1
        self.ready = False
        self.state = {"running": {"startedAt": now()}}

    def ended(self, code: int) -> None:
        """The container ended with this exit code."""
        begun = self.state.get("running", {}).get("startedAt", now())
        ended = {
            "exitCode": code,
            "reason": "Completed" if code == 0 else "Error",
            "startedAt": begun,
            "finishedAt": now(),
            "containerID": self.container_id,
        }
        self.ready = False
        self.last = {"terminated": ended}
        self.state = {"terminated": ended}

    def waiting(self, seconds: float, pod: str, namespace: str) -> None:
        """The container waits for its next start."""
        message = f"back-off {int(seconds)}s restarting failed container={self.name} pod={pod}_{namespace}"
        self.ready = False
        self.state = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}

    @property
    def container_id(self) -> str:
        """A new one for each start, as a container runtime has it."""
        return f"containerd://{self.starts:064x}"

    def to_json(self) -> Object:
        """One entry of containerStatuses."""
        return {
            "name": self.name,
            "image": self.image,
            "imageID": self.image,
            "containerID": self.container_id if self.starts else "",
            "state": self.state,
            "lastState": self.last,
            "ready": self.ready,
            "started": "running" in self.state,
            "restartCount": self.restarts,
        }


def pod_status(
    pod: Object,
    containers: list[ContainerState],
    address: str,
    ended: str = "",
    first: list[ContainerState] | None = None,
) -> Object:
    """The status of a pod whose containers are in these states; `ended` is the phase of one that is over.

    `first` are the init containers, if there are any.
    """
    ready = all(container.ready for container in containers)
    begun = any(container.starts for container in containers)
    old = pod.get("status", {})
    status: Object = {
        "phase": ended or ("Running" if begun else "Pending"),
        "hostIP": "10.88.0.1",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "qosClass": "Burstable",
        "startTime": old.get("startTime", now()),
        "containerStatuses": [container.to_json() for container in containers],
    }
    if first:
        status["initContainerStatuses"] = [container.to_json() for container in first]
    prepared = all(container.ready for container in first or [])
    why = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(ended, "ContainersNotReady")
    wanted = {
        "PodReadyToStartContainers": (not ended, ""),
        "PodScheduled": (True, ""),
        "Initialized": (prepared, "PodCompleted" if ended == "Succeeded" else "ContainersNotInitialized"),
        "ContainersReady": (ready, why),
        "Ready": (ready, why),
    }
    before = {row["type"]: row for row in old.get("conditions", [])}
    status["conditions"] = [
        _condition(kind, holds, reason, before.get(kind)) for kind, (holds, reason) in wanted.items()
    ]
    return status


def _condition(kind: str, holds: bool, reason: str, before: Object | None) -> Object:
    value = "True" if holds else "False"
    if before and before["status"] == value:
        return before
    row: Object = {"type": kind, "status": value, "lastProbeTime": None, "lastTransitionTime": now()}
    if not holds and reason:
        row["reason"] = reason
    return row


def is_ready(pod: Object) -> bool:
    """Say whether a pod's Ready condition is true."""
    rows = pod.get("status", {}).get("conditions", [])
    return any(row["type"] == "Ready" and row["status"] == "True" for row in rows)
