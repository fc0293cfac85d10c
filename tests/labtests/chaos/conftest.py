"""One lab for the folder; every test leaves it as it found it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from hasteward_lab.lab import Lab

Eventually = Callable[..., None]


@pytest.fixture
def eventually() -> Eventually:
    def wait(check: Callable[[], bool], limit: float = 20.0) -> None:
        deadline = time.monotonic() + limit
        while not check():
            assert time.monotonic() < deadline, "it never came to that"
            time.sleep(0.05)

    return wait


@pytest.fixture(scope="session")
def chaos_lab() -> Iterator[Lab]:
    with Lab.up(volume_size="512Mi", time_scale=0.1) as lab:
        yield lab


@pytest.fixture
def lab(chaos_lab: Lab) -> Iterator[Lab]:
    """The lab, whole again afterwards whatever a test did."""
    yield chaos_lab
    chaos_lab.clear_faults()
    chaos_lab.chaos.heal()
    assert chaos_lab.chaos.network() == []
