"""A Galera cluster whose operator may be pushed about."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator

import pytest

from hasteward_lab.lab import Lab
from hasteward_lab.mariadb import hand
from hasteward_lab.state import LabError


class Site:
    """A lab with the looks these tests take."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def shell(self, pod: str, script: str) -> str:
        """Run a shell script in a pod."""
        done = self.lab.exec(pod, ["bash", "-c", script])
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def kubectl(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run kubectl to its end."""
        env = {"PATH": os.environ["PATH"], "HOME": str(self.lab.state.root)}
        env["KUBECONFIG"] = str(self.lab.kubeconfig)
        return subprocess.run(
            ["kubectl", *argv], env=env, capture_output=True, text=True, check=False, timeout=30
        )

    def http(self, source: str, host: str, port: int, request: str, *, user: str = "") -> tuple[int, str]:
        """An HTTP request from inside a pod: the status and the body."""
        mount = "/var/run/secrets/mariadb-operator/agent/password"
        auth = f'"$(printf "{user}:%s" "$(cat {mount})" | base64 -w0)"' if user else '""'
        script = (
            f"exec 3<>/dev/tcp/{host}/{port}; "
            f"printf '{request} HTTP/1.0\\r\\nHost: a\\r\\nAuthorization: Basic %s\\r\\n\\r\\n' {auth} >&3; "
            "cat <&3"
        )
        head, _, body = self.shell(source, script).partition("\r\n\r\n")
        return int(head.split(" ", 2)[1]), body

    def events(self) -> list[str]:
        """The reasons of the operator's events."""
        return [row["reason"] for row in self.lab.get("events") if row["involvedObject"]["kind"] == "MariaDB"]

    def refused(self, call: Callable[[], object]) -> str:
        """What the API says to a call that it refuses."""
        with pytest.raises(LabError) as caught:
            call()
        return str(caught.value)

    def patch(self, spec: dict[str, object]) -> object:
        """Merge something into the MariaDB's spec."""
        return self.lab.client.call("PATCH", self.lab.cluster_path, {"spec": spec})

    def stateful_set(self) -> dict[str, object]:
        """The StatefulSet's spec."""
        path = f"/apis/apps/v1/namespaces/{self.lab.namespace}/statefulsets/{self.lab.cluster}"
        found: dict[str, object] = self.lab.client.call("GET", path)["spec"]
        return found


@pytest.fixture(scope="module")
def shared() -> Iterator[Site]:
    """One cluster per file."""
    with hand.well(spec={"livenessProbe": {"failureThreshold": 30}}) as lab:
        yield Site(lab)


@pytest.fixture
def site(shared: Site) -> Site:
    """The file's cluster, healthy before each test."""
    hand.healthy(shared.lab)
    return shared


@pytest.fixture
def site_of() -> Callable[[Lab], Site]:
    """For tests that need a cluster of their own kind."""
    return Site
