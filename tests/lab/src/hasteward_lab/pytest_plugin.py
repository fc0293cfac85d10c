"""Fixtures for tests that run against a lab: `pytest_plugins = ["hasteward_lab.pytest_plugin"]`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from typing import Protocol

import pytest

from hasteward_lab.lab import Lab


def pytest_configure(config: pytest.Config) -> None:
    """The marks that the tests of `hasteward_lab.conformance` carry."""
    config.addinivalue_line("markers", "long: takes minutes on real servers")


class Kubectl(Protocol):
    """Runs stock kubectl against the lab."""

    def __call__(self, *argv: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl to its end."""


@pytest.fixture(scope="package")
def lab() -> Iterator[Lab]:
    """One lab for the package that imports this, else for the session; tests leave it as they found it."""
    with Lab.up(volume_size="512Mi", time_scale=0.1) as running:
        yield running


@pytest.fixture
def faults(lab: Lab) -> Iterator[Lab]:
    """The lab, without any fault afterwards."""
    yield lab
    lab.clear_faults()


@pytest.fixture
def kubectl(lab: Lab) -> Kubectl:
    """Stock kubectl against the lab."""
    env = {"PATH": os.environ["PATH"], "HOME": str(lab.state.root), "KUBECONFIG": str(lab.kubeconfig)}

    def run(*argv: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["kubectl", *argv], env=env, input=stdin, capture_output=True, text=True, check=False, timeout=30
        )

    return run
