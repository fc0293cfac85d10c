"""Shares the lab of the folder above; every stock kubectl of this machine is tried."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from hasteward_lab.lab import Lab
from hasteward_lab.pytest_plugin import faults, lab

__all__ = ["faults", "lab"]


def _kubectls() -> list[str]:
    """The kubectl beside this Python, the system's where there is one, and those LAB_KUBECTLS lists."""
    more = map(Path, filter(None, os.environ.get("LAB_KUBECTLS", "").split(os.pathsep)))
    places = (Path(sys.executable).with_name("kubectl"), Path("/usr/bin/kubectl"), *more)
    found = [str(path) for path in places if path.exists()]
    return found or [shutil.which("kubectl") or "kubectl"]


def _name(path: str) -> str:
    """What a kubectl is called in a test's name: the release, for nothing else tells two of them apart."""
    done = subprocess.run(
        [path, "version", "--client", "-o", "json"], capture_output=True, text=True, check=True
    )
    return str(json.loads(done.stdout)["clientVersion"]["gitVersion"]).partition("+")[0]


class Kubectl(Protocol):
    """Runs one kubectl; what it printed, and AssertionError when it did not end as it should."""

    def __call__(self, *argv: str, stdin: Any = None, code: int = 0, context: str = "") -> str:
        """Run to the end."""


@pytest.fixture(params=_kubectls(), ids=_name)
def kubectl(request: pytest.FixtureRequest, lab: Lab) -> Kubectl:
    env = {"PATH": os.environ["PATH"], "HOME": str(lab.state.root), "KUBECONFIG": str(lab.kubeconfig)}

    def run(*argv: str, stdin: Any = None, code: int = 0, context: str = "") -> str:
        text = stdin if isinstance(stdin, str | None) else json.dumps(stdin)
        chosen = ["--context", context] if context else []
        done = subprocess.run(
            [request.param, *chosen, *argv],
            env=env,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == code, f"{argv}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    return run


@pytest.fixture
def forwarded(request: pytest.FixtureRequest, lab: Lab, kubectl: Kubectl) -> Any:
    """A port-forward while a block runs: the local port, and what kubectl has complained of so far."""
    program = request.node.callspec.params["kubectl"]
    env = {"PATH": os.environ["PATH"], "HOME": str(lab.state.root), "KUBECONFIG": str(lab.kubeconfig)}

    @contextlib.contextmanager
    def forward(what: str, port: int) -> Iterator[tuple[int, Callable[[], str]]]:
        argv = [program, "port-forward", "--address=127.0.0.1", what, f":{port}"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(argv, env=env, text=True, **pipes) as process:
            try:
                said = process.stdout.readline()
                found = re.match(r"Forwarding from 127\.0\.0\.1:(\d+) -> ", said)
                assert found, said + process.stderr.read()
                yield int(found[1]), process.stderr.readline
            finally:
                process.terminate()

    return forward


@pytest.fixture
def space(lab: Lab) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"t{os.urandom(3).hex()}"
    lab.client.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    # What a controller puts into a fresh namespace is there before a test looks.
    path = f"/api/v1/namespaces/{name}/configmaps"
    lab.wait(lambda: bool(lab.client.call("GET", path)["items"]))
    yield name
    lab.client.call("DELETE", f"/api/v1/namespaces/{name}")
