"""Fixtures for tests that run against a lab: `pytest_plugins = ["hasteward_lab.pytest_plugin"]`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hasteward_lab.lab import Lab


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """One lab for the whole session, waits shortened; tests leave it as they found it."""
    with Lab.up(volume_size="512Mi", time_scale=0.1) as running:
        yield running
