"""Shares the lab of the folder above; every stock kubectl of this machine is tried."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from hasteward_lab.lab import Lab


def _kubectls() -> dict[str, str]:
    """Every kubectl by its release: the one beside this Python, the system's, those LAB_KUBECTLS lists."""
    more = map(Path, filter(None, os.environ.get("LAB_KUBECTLS", "").split(os.pathsep)))
    places = (Path(sys.executable).with_name("kubectl"), Path("/usr/bin/kubectl"), *more)
    return {_release(path): str(path) for path in reversed(places) if path.exists()}


def _release(path: Path) -> str:
    argv = [str(path), "version", "--client", "-o", "json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return str(json.loads(done.stdout)["clientVersion"]["gitVersion"]).partition("+")[0].partition("-")[0]


def _number(release: str) -> tuple[int, ...]:
    return tuple(map(int, release.removeprefix("v").split(".")))


KUBECTLS = _kubectls()
# They exec over WebSockets and know the commands the transcripts use; older ones have a file of their own.
CURRENT = sorted((each for each in KUBECTLS if _number(each) >= (1, 30)), key=_number, reverse=True)
OLD = [each for each in KUBECTLS if _number(each) < (1, 29)]


def _one(release: str) -> Any:
    """The newest is tried in every run, the others when there is time."""
    return pytest.param(release, marks=[] if release == CURRENT[0] else [pytest.mark.long])


class Kubectl(Protocol):
    """Runs one kubectl; what it printed, and AssertionError when it did not end as it should."""

    def __call__(self, *argv: str, stdin: Any = None, code: int = 0, context: str = "") -> str:
        """Run to the end."""


@pytest.fixture(params=[_one(release) for release in CURRENT])
def kubectl(request: pytest.FixtureRequest, lab: Lab) -> Kubectl:
    return runner(lab, KUBECTLS[request.param])


@pytest.fixture(
    params=OLD or [pytest.param("", marks=pytest.mark.skip("no old kubectl: LAB_KUBECTLS names one"))]
)
def old_kubectl(request: pytest.FixtureRequest, lab: Lab) -> Kubectl:
    return runner(lab, KUBECTLS[request.param])


def runner(lab: Lab, program: str) -> Kubectl:
    """What runs this kubectl."""
    env = {"PATH": os.environ["PATH"], "HOME": str(lab.state.root), "KUBECONFIG": str(lab.kubeconfig)}

    def run(*argv: str, stdin: Any = None, code: int = 0, context: str = "") -> str:
        text = stdin if isinstance(stdin, str | None) else json.dumps(stdin)
        chosen = ["--context", context] if context else []
        done = subprocess.run(
            [program, *chosen, *argv],
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


class Forwarding(Protocol):
    """Keeps a port-forward while a block runs."""

    def __call__(
        self, release: str, what: str, port: int
    ) -> contextlib.AbstractContextManager[tuple[int, Callable[[], str]]]:
        """Yield the local port, and what reads kubectl's next complaint."""


@pytest.fixture
def forwarded(lab: Lab) -> Forwarding:
    env = {"PATH": os.environ["PATH"], "HOME": str(lab.state.root), "KUBECONFIG": str(lab.kubeconfig)}

    @contextlib.contextmanager
    def forward(release: str, what: str, port: int) -> Iterator[tuple[int, Callable[[], str]]]:
        argv = [KUBECTLS[release], "port-forward", "--address=127.0.0.1", what, f":{port}"]
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
