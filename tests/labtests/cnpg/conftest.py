"""A cluster whose operator may be pushed about, and the questions its tests ask again and again."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hasteward_lab.lab import Lab

HEALTHY = "Cluster in healthy state"
# Short of log on purpose: what is not held by a slot is gone after a few segments.
PARAMETERS = {"wal_keep_size": "0", "min_wal_size": "32MB", "max_wal_size": "64MB"}


class Site:
    """A lab with the looks these tests take."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    @property
    def status(self) -> dict[str, Any]:
        """The Cluster's status."""
        found: dict[str, Any] = self.lab.cluster_object().get("status", {})
        return found

    def condition(self, kind: str) -> str:
        """The value of a condition; empty when there is none."""
        rows = self.status["conditions"]
        return next((row["status"] for row in rows if row["type"] == kind), "")

    def healthy(self, timeout: float = 60.0) -> None:
        """Wait till all is as it should be, and streams."""
        members = self.lab.cluster_object()["spec"]["instances"]

        def settled() -> bool:
            status = self.status
            return bool(
                status["phase"] == HEALTHY
                and status["readyInstances"] == members == status["instances"]
                and status["currentPrimary"] == status["targetPrimary"]
                and not self.jobs()
            )

        self.until(settled, timeout)
        streams = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
        self.until(lambda: int(self.lab.psql(self.lab.primary, streams)) >= members - 1, timeout)

    def until(self, check: Callable[[], bool], timeout: float = 30.0) -> None:
        """Wait till a check holds; if it never does, the status is told, and what the unready ones say."""
        deadline = time.monotonic() + timeout
        while not check():
            assert time.monotonic() < deadline, self.account()
            time.sleep(0.05)

    def account(self) -> str:
        """The status, and the last words of every member that is not ready."""
        status = self.status
        ready = status.get("instancesStatus", {}).get("healthy", [])
        rows = [json.dumps(status, indent=1)]
        for pod in sorted(set(self.lab.pods) - set(ready)):
            # One whose container has not started has no log to ask for.
            with contextlib.suppress(OSError):
                rows += [f"{pod}:", *(json.dumps(line) for line in self.logs(pod, "tailLines=40"))]
        return "\n".join(rows)

    def stays(self, check: Callable[[], bool], seconds: float) -> None:
        """Make sure a check holds all the time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert check(), json.dumps(self.status, indent=1)
            time.sleep(0.05)

    def container(self, pod: str) -> dict[str, Any]:
        """The state of a pod's container."""
        rows: list[dict[str, Any]] = self.lab.pod(pod)["status"].get("containerStatuses", [])
        return rows[0] if rows else {"state": {}, "ready": False, "restartCount": 0}

    def running(self, pod: str) -> bool:
        """Say whether a pod's container runs, ready or not."""
        return pod in self.lab.pods and "running" in self.container(pod)["state"]

    def server_runs(self, pod: str) -> bool:
        """Say whether there is a PostgreSQL in a pod."""
        return any(line.startswith("postgres") for line in self.lab.processes(pod))

    def logs(self, pod: str, query: str = "") -> list[dict[str, Any]]:
        """A container's log."""
        lab = self.lab
        path = f"/api/v1/namespaces/{lab.namespace}/pods/{pod}/log?{query}"
        lines = raw(lab, path).splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def said(self, pod: str, words: str, query: str = "") -> bool:
        """Say whether words are in a container's log."""
        return any(words in json.dumps(line) for line in self.logs(pod, query))

    def objects(self, group: str, plural: str) -> list[dict[str, Any]]:
        """All objects of a kind."""
        path = f"/apis/{group}/namespaces/{self.lab.namespace}/{plural}"
        rows: list[dict[str, Any]] = self.lab.client.call("GET", path)["items"]
        return rows

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs."""
        return self.objects("batch/v1", "jobs")

    def events(self) -> list[str]:
        """The reasons of the operator's events on the Cluster."""
        rows = self.lab.get("events")
        return [row["reason"] for row in rows if row["involvedObject"]["kind"] == "Cluster"]

    def claim(self, name: str) -> dict[str, Any] | None:
        """A claim, if it is there."""
        rows = self.lab.get("persistentvolumeclaims")
        return next((row for row in rows if row["metadata"]["name"] == name), None)

    def delete_claim(self, name: str) -> None:
        """Delete a claim."""
        path = f"/api/v1/namespaces/{self.lab.namespace}/persistentvolumeclaims/{name}"
        self.lab.client.call("DELETE", path)

    def mark_unrecoverable(self, pod: str) -> None:
        """Give an instance up."""
        path = f"/api/v1/namespaces/{self.lab.namespace}/pods/{pod}"
        body = {"metadata": {"annotations": {"alpha.cnpg.io/unrecoverable": "true"}}}
        self.lab.client.call("PATCH", path, body)

    def shell(self, pod: str, script: str) -> str:
        """Run a shell script in a pod."""
        done = self.lab.exec(pod, ["sh", "-c", script])
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def churn(self, segments: int = 8) -> None:
        """Let the primary go through so many segments, and forget what nobody holds."""
        for _ in range(segments):
            self.lab.psql(self.lab.primary, "SELECT txid_current(), pg_switch_wal()")
        self.lab.psql(self.lab.primary, "CHECKPOINT")


def raw(lab: Lab, path: str) -> str:
    """A call whose answer is no JSON."""
    import urllib.request

    client = lab.client
    config = lab.state.load_config()
    headers = {"Authorization": f"Bearer {config.tokens['admin']}"}
    request = urllib.request.Request(client._base + path, headers=headers)  # noqa: S310 - the lab's own https address
    with urllib.request.urlopen(request, context=client._tls, timeout=30) as answer:  # noqa: S310 - as above
        return str(answer.read().decode())


@pytest.fixture(scope="module")
def shared() -> Iterator[Site]:
    """One cluster per file."""
    spec = {"postgresql": {"parameters": PARAMETERS}}
    with Lab.up(volume_size="384Mi", time_scale=0.1, spec=spec) as lab:
        yield Site(lab)


@pytest.fixture
def site(shared: Site) -> Site:
    """The file's cluster, healthy before each test.

    It keeps no WAL and has no archive, and a killed primary forgets what is older than its own recovery. The
    last checkpoint that all have in common, which pg_rewind goes back to, must not be older than that.
    """
    shared.healthy()
    shared.lab.psql(shared.lab.primary, "CHECKPOINT")
    return shared


@pytest.fixture
def site_of() -> Callable[[Lab], Site]:
    """For tests that need a cluster of their own kind."""
    return Site
