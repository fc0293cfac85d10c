"""The two worlds that must behave alike: the fake API server, and the lab's through the real adapter."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from hasteward.adapters.kubernetes.configuration import load
from hasteward.adapters.kubernetes.rest import KubernetesApi
from hasteward.adapters.system import SystemClock
from hasteward.ports.context import Clock
from hasteward.ports.kubernetes import PODS, Kubernetes, PodRef
from hasteward.testing import FakeKubernetes, Loss, Result, StreamFault, VirtualClock
from hasteward.testing.faults import Failure
from hasteward_lab.lab import Lab

NAMESPACE = "db"
POD = PodRef(NAMESPACE, "pg-1", "postgres")
#: a role that may look, and neither exec nor write
MAY_NOT = {
    (verb, what)
    for what in ("configmaps", "pods/exec")
    for verb in ("get", "list", "watch", "create", "update", "patch", "delete")
}


class FakeSide:
    """The fake, with a pod whose programs run on this machine, in the folder of the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self.clock: Clock = VirtualClock()
        self._fake = self._made()
        self.api: Kubernetes = self._fake

    def _made(self) -> FakeKubernetes:
        assert isinstance(self.clock, VirtualClock)
        fake = FakeKubernetes(self._program, clock=self.clock)
        meta = {"name": POD.name, "namespace": NAMESPACE, "labels": {"cnpg.io/cluster": "pg"}}
        fake.add(PODS, {"metadata": meta, "spec": {"containers": [{"name": POD.container}]}})
        return fake

    def _program(self, _pod: PodRef, argv: Sequence[str], stdin: bytes) -> Result:
        done = subprocess.run(list(argv), input=stdin, capture_output=True, cwd=self.folder, check=False)
        code = done.returncode if done.returncode >= 0 else 128 - done.returncode
        return Result(done.stdout, done.stderr, code)

    def limited(self) -> Kubernetes:
        """The API as somebody sees it who may only look at pods."""
        limited = self._made()
        limited.denied = MAY_NOT
        return limited

    def meanwhile(self, act: Callable[[], Any]) -> None:
        """Do something while the test waits."""
        assert isinstance(self.clock, VirtualClock)
        self.clock.after(0.5, act)

    def lose(self, loss: Loss, at: int, match: str, stream: str = "stdout") -> None:  # noqa: ARG002  it knows
        """Break the streams whose command contains `match`."""
        self._fake.faults[:] = [StreamFault(loss, at, match)]

    def compact(self) -> None:
        """Forget what happened."""
        self._fake.compact()

    def fail(self, failure: Failure, _code: int) -> None:
        """Let every call fail."""

        def told(call: str) -> None:
            if (error := failure(call)) is not None:
                raise error

        self._fake.on_call = told

    def heal(self) -> None:
        """No fault any more."""
        self._fake.faults.clear()
        self._fake.on_call = lambda _: None


class LabSide:
    """The lab, where everything is real but the API server's own mind."""

    folder = "/controller/tmp"

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.clock: Clock = SystemClock()
        self.api: Kubernetes = KubernetesApi(load(lab.kubeconfig).configuration)

    def limited(self) -> Kubernetes:
        """The API as the shipped role `view` sees it."""
        return KubernetesApi(load(self._lab.kubeconfig, "view").configuration)

    def meanwhile(self, act: Callable[[], Any]) -> None:
        """Do something while the test waits."""
        threading.Timer(0.3, act).start()

    def lose(self, loss: Loss, at: int, match: str, stream: str = "stdout") -> None:
        """Break the streams whose command contains `match`."""
        kind = {
            Loss.CUT: "cut",
            Loss.STALL: "stall",
            Loss.FALSE_SUCCESS: "false-success",
            Loss.NO_STATUS: "no-status",
            Loss.FLIP: "flip",
        }[loss]
        self._lab.add_fault(kind, command=match, after=at, stream=stream)

    def compact(self) -> None:
        """Forget what happened."""
        self._lab.compact()

    def fail(self, _failure: Failure, code: int) -> None:
        """Answer every call about ConfigMaps with an HTTP status."""
        self._lab.add_fault("http", resource="configmaps", code=code)

    def heal(self) -> None:
        """No fault any more."""
        self._lab.clear_faults()


@pytest.fixture(scope="package")
def lab() -> Iterator[Lab]:
    """The smallest lab."""
    with Lab.up(members=1, volume_size="256Mi") as running:
        yield running


@pytest.fixture(params=["fake", pytest.param("lab", marks=pytest.mark.servers)])
def side(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FakeSide | LabSide]:
    """One of the two."""
    made = FakeSide(tmp_path) if request.param == "fake" else LabSide(request.getfixturevalue("lab"))
    yield made
    made.heal()
