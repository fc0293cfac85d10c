"""What the operator sees at the beginning of a pass: the Cluster and all objects that belong to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hasteward_lab.api.resources import CLAIMS, CLUSTERS, JOBS, PODS
from hasteward_lab.kubelet.status import is_ready

if TYPE_CHECKING:
    from hasteward_lab.api.store import Store

Object = dict[str, Any]

EXIT_NO_SPACE = 4


def name_of(item: Object) -> str:
    """An object's name."""
    return str(item["metadata"]["name"])


def label(item: Object, key: str) -> str:
    """A label of an object; empty when it has none such."""
    return str((item["metadata"].get("labels") or {}).get(key, ""))


def terminating(item: Object) -> bool:
    """Say whether an object is on its way out."""
    return "deletionTimestamp" in item["metadata"]


def active(pod: Object) -> bool:
    """Say whether a pod counts: not ended, not ending."""
    return not terminating(pod) and pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}


def running(pod: Object) -> bool:
    """Say whether a pod's containers have been started, ready or not."""
    return not terminating(pod) and pod.get("status", {}).get("phase") == "Running"


def ready(pod: Object) -> bool:
    """Say whether a pod counts as ready: the condition alone is not enough for one on its way out."""
    return active(pod) and is_ready(pod)


def out_of_space(pod: Object) -> bool:
    """Say whether the container ended because its log volume was full, and has not recovered since."""
    for row in pod.get("status", {}).get("containerStatuses", []):
        states = [row["state"]] if row["ready"] else [row["state"], row.get("lastState", {})]
        if any(state.get("terminated", {}).get("exitCode") == EXIT_NO_SPACE for state in states):
            return True
    return False


@dataclass(frozen=True)
class View:
    """One look at everything."""

    cluster: Object
    pods: tuple[Object, ...]
    claims: tuple[Object, ...]
    jobs: tuple[Object, ...]

    @classmethod
    def take(cls, store: Store, namespace: str, name: str) -> View | None:
        """Look; None when there is no such Cluster."""
        cluster = store.find(CLUSTERS, namespace, name)
        if cluster is None:
            return None

        def own(rows: list[Object]) -> tuple[Object, ...]:
            return tuple(row for row in rows if label(row, "cnpg.io/cluster") == name)

        pods = own(store.listing(PODS, namespace))
        return cls(
            cluster,
            tuple(pod for pod in pods if label(pod, "cnpg.io/podRole") == "instance"),
            own(store.listing(CLAIMS, namespace)),
            own(store.listing(JOBS, namespace)),
        )

    @property
    def status(self) -> Object:
        """The Cluster's status."""
        found: Object = self.cluster.get("status", {})
        return found

    @property
    def spec(self) -> Object:
        """The Cluster's spec."""
        found: Object = self.cluster["spec"]
        return found

    @property
    def namespace(self) -> str:
        """The Cluster's namespace."""
        return str(self.cluster["metadata"]["namespace"])

    @property
    def name(self) -> str:
        """The Cluster's name."""
        return name_of(self.cluster)

    def annotation(self, key: str) -> str:
        """An annotation of the Cluster; empty when it has none such."""
        return str((self.cluster["metadata"].get("annotations") or {}).get(key, ""))

    def pod(self, name: str) -> Object | None:
        """An instance's pod."""
        return next((pod for pod in self.pods if name_of(pod) == name), None)

    @property
    def active_pods(self) -> tuple[Object, ...]:
        """The pods that count."""
        return tuple(pod for pod in self.pods if active(pod))

    @property
    def unfinished_jobs(self) -> tuple[Object, ...]:
        """The jobs still at work."""
        return tuple(job for job in self.jobs if not (_ended(job, "Complete") or _ended(job, "Failed")))

    @property
    def failed_jobs(self) -> tuple[Object, ...]:
        """The jobs that gave up."""
        return tuple(job for job in self.jobs if _ended(job, "Failed"))

    @property
    def finished_jobs(self) -> tuple[Object, ...]:
        """The jobs that are done."""
        return tuple(job for job in self.jobs if _ended(job, "Complete"))


def _ended(job: Object, kind: str) -> bool:
    rows = job.get("status", {}).get("conditions") or []
    return any(row["type"] == kind and row["status"] == "True" for row in rows)
