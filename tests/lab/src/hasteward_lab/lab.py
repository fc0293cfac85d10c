"""The lab as tests use it."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hasteward_lab import launch
from hasteward_lab.chaos.client import Chaos
from hasteward_lab.client import Client
from hasteward_lab.faults import Fault
from hasteward_lab.parts import kind
from hasteward_lab.postgres import hand
from hasteward_lab.state import LabError, StateDir, state_dir


class Lab:
    """A running lab. `with Lab.up() as lab:` ends it, and it ends with the process that started it."""

    def __init__(self, state: StateDir, lifeline: int = -1) -> None:
        config = state.load_config()
        self.state = state
        self.name = config.name
        self.namespace = config.namespace
        self.cluster = config.cluster
        self.part = config.part
        self.kubeconfig: Path = state.kubeconfig
        self._lifeline = lifeline
        self.client = Client(state)
        self.chaos = Chaos(self)

    @classmethod
    def up(
        cls,
        name: str | None = None,
        members: int = 3,
        namespace: str = "db",
        cluster: str | None = None,
        volume_size: str = "1Gi",
        *,
        postgres_bin: str | None = None,
        fsync: bool = False,
        time_scale: float = 0.1,
        level: str | None = None,
        spec: dict[str, Any] | None = None,
        part: str = "postgres",
        keep: bool = False,
        say: launch.Say = lambda _message: None,
    ) -> Self:
        """Start a lab; with `keep` it outlives this process.

        `level` is the operator's minor version to behave as; `spec` is laid over the Cluster's spec; `part`
        is the database (see `hasteward_lab.parts`).
        """
        state = state_dir(name or f"t{secrets.token_hex(4)}")
        wish = launch.Wish(
            members,
            namespace,
            cluster or kind(part).cluster,
            volume_size,
            postgres_bin,
            fsync,
            time_scale,
            level or kind(part).level,
            spec or {},
            part,
        )
        if keep:
            launch.up(state, wish, say)
            return cls(state)
        theirs, ours = os.pipe()
        try:
            launch.up(state, wish, say, lifeline=theirs)
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        return cls(state, ours)

    @classmethod
    def attach(cls, name: str) -> Self:
        """A lab that is already up."""
        return cls(state_dir(name))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def down(self) -> None:
        """End the lab; nothing is left."""
        launch.down(self.state)
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    @property
    def pods(self) -> list[str]:
        """The names of the cluster's pods."""
        return [row["metadata"]["name"] for row in self.get("pods")]

    @property
    def primary(self) -> str:
        """The current primary, as the Cluster's status tells it."""
        return str(self.cluster_object()["status"]["currentPrimary"])

    def get(self, plural: str) -> list[dict[str, Any]]:
        """All core objects of a kind in the lab's namespace."""
        rows: list[dict[str, Any]] = self.client.call("GET", f"/api/v1/namespaces/{self.namespace}/{plural}")[
            "items"
        ]
        return rows

    def pod(self, pod: str) -> dict[str, Any]:
        """One pod's object."""
        found: dict[str, Any] = self.client.call("GET", f"/api/v1/namespaces/{self.namespace}/pods/{pod}")
        return found

    def cluster_object(self) -> dict[str, Any]:
        """The Cluster's object."""
        found: dict[str, Any] = self.client.call("GET", self.cluster_path)
        return found

    @property
    def cluster_path(self) -> str:
        """Where the object is that stands for the cluster."""
        group, version, plural = kind(self.part).kind
        return f"/apis/{group}/{version}/namespaces/{self.namespace}/{plural}/{self.cluster}"

    def exec(
        self, pod: str, argv: list[str], stdin: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command in a pod over the API."""
        return self.client.exec(pod, argv, stdin)

    def psql(self, pod: str, sql: str, database: str = "postgres") -> str:
        """Run SQL in a pod as its superuser and return what it prints, unaligned; LabError if it fails."""
        argv = ["psql", "-X", "-U", "postgres", "-d", database, "-Atq", "-v", "ON_ERROR_STOP=1", "-f", "-"]
        done = self.exec(pod, argv, sql.encode())
        if done.returncode:
            raise LabError(f"psql in {pod}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout.decode().strip()

    def mariadb(self, pod: str, sql: str, database: str = "") -> str:
        """Run SQL in a pod as root and return what it prints, tab-separated; LabError if it fails."""
        script = 'export MYSQL_PWD="$MARIADB_ROOT_PASSWORD"; exec mariadb -u root --batch -N "$@"'
        done = self.exec(pod, ["sh", "-c", script, "sh", *filter(None, (database,))], sql.encode())
        if done.returncode:
            raise LabError(f"mariadb in {pod}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout.decode().strip()

    def stop(self, pod: str) -> None:
        """Hold a pod's container down until `start`."""
        self._hand("stop", pod)

    def shut_down(self, pod: str) -> None:
        """End a pod's server politely, and hold its container down until `start`."""
        self._hand("stop", pod, gentle=True)

    def start(self, pod: str) -> None:
        """Let a held container start again; `wait_ready` tells when its server answers."""
        self._hand("start", pod)

    def kill(self, pod: str) -> None:
        """Kill -9 a pod's container; the kubelet restarts it."""
        self._hand("kill", pod)

    def delete_pod(self, pod: str, grace: int | None = None) -> None:
        """Delete a pod through the API; it comes back on its volume."""
        query = "" if grace is None else f"?gracePeriodSeconds={grace}"
        self.client.call("DELETE", f"/api/v1/namespaces/{self.namespace}/pods/{pod}{query}")

    def wait_ready(self, *pods: str, timeout: float = 30.0) -> None:
        """Wait till these pods (all when none is named) are ready."""
        deadline = time.monotonic() + timeout
        while True:
            ready = {row["metadata"]["name"] for row in self.get("pods") if _is_ready(row)}
            wanted = set(pods) or self._members()
            if wanted <= ready:
                return
            if time.monotonic() > deadline:
                raise LabError(f"not ready after {timeout:g} s: {', '.join(sorted(wanted - ready))}")
            time.sleep(0.05)

    def _members(self) -> set[str]:
        config = self.state.load_config()
        first = kind(config.part).first
        return {f"{self.cluster}-{number}" for number in range(first, first + config.members)}

    def wait(self, condition: Callable[[], bool], timeout: float = 30.0) -> None:
        """Wait till a condition holds; LabError when it never does."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise LabError(f"it did not come to that within {timeout:g} s")
            time.sleep(0.05)

    def operator_down(self) -> None:
        """Take the operator down: nothing heals, instance managers and Kubernetes go on."""
        self.client.lab("POST", "operator", {"up": False})

    def operator_up(self) -> None:
        """Let the operator run again."""
        self.client.lab("POST", "operator", {"up": True})

    def promote(self, pod: str) -> None:
        """Ask for a switchover as `kubectl cnpg promote` does: the status, and no look at any lag."""
        hand.promote(self, pod)

    def fence(self, pod: str) -> None:
        """Fence an instance, or all of them with `*`."""
        hand.fence(self, pod)

    def unfence(self, pod: str) -> None:
        """End the fence of an instance, or every fence with `*`."""
        hand.unfence(self, pod)

    def annotate(self, **annotations: str | None) -> None:
        """Set annotations of the Cluster, `cnpg.io/` in front of each name; None takes one away."""
        hand.annotate(self, {f"cnpg.io/{name}": value for name, value in annotations.items()})

    def processes(self, pod: str) -> list[str]:
        """The command lines of all processes in a pod."""
        rows: list[str] = self._hand("processes", pod)
        return rows

    def fill(self, pod: str, leave_bytes: int) -> int:
        """Fill a pod's volume up to so many bytes and return what is free; negative empties it again."""
        return int(self._hand("fill", pod, leave=leave_bytes)["free"])

    def add_fault(self, kind: str, **fields: Any) -> None:
        """Put a fault in force: see `hasteward_lab.faults.Fault`."""
        fault = Fault.from_json({"kind": kind, **fields})
        self.client.lab("POST", "faults", fault.to_json())

    def clear_faults(self) -> None:
        """End all faults."""
        self.client.lab("DELETE", "faults")

    def faults(self) -> list[dict[str, Any]]:
        """The faults in force, each with how often it was met."""
        rows: list[dict[str, Any]] = self.client.lab("GET", "faults")
        return rows

    def audit(self) -> list[dict[str, Any]]:
        """Every call of the API so far: user, verb, resource, subresource, namespace, name, code."""
        rows: list[dict[str, Any]] = self.client.lab("GET", "audit")
        return rows

    def clear_audit(self) -> None:
        """Forget the calls so far."""
        self.client.lab("DELETE", "audit")

    def objects(self) -> dict[str, dict[str, Any]]:
        """Every object there is, of every kind and namespace, by `kind namespace/name`."""
        rows: list[dict[str, Any]] = self.client.lab("GET", "objects")
        return {
            f"{row['kind']} {row['metadata'].get('namespace', '')}/{row['metadata']['name']}": row
            for row in rows
        }

    def compact(self) -> None:
        """Make the API forget its watch history: older watches are answered with 410."""
        self.client.lab("POST", "compact", {})

    def _hand(self, action: str, pod: str, **more: Any) -> Any:
        return self.client.lab("POST", action, {"namespace": self.namespace, "pod": pod, **more})


def _is_ready(pod: dict[str, Any]) -> bool:
    if "deletionTimestamp" in pod["metadata"]:
        return False
    rows = pod.get("status", {}).get("conditions", [])
    return any(row["type"] == "Ready" and row["status"] == "True" for row in rows)
