"""What the tests of this folder share: a Galera cluster in memory, and a real server."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import galera_kit as kit
import galera_real as real
import pytest
from galera_kit import Stage
from galera_site import Site

from hasteward_lab.mariadb import hand


@pytest.fixture
def stage() -> Stage:
    """Three servers that are well."""
    return kit.Stage()


@pytest.fixture(scope="module")
def galera() -> Iterator[real.Node]:
    """A real server that is a Galera cluster of one."""
    # in memory: a server that makes and drops schemas waits for the disk most of the time
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="hsg-", dir=memory if os.access(memory, os.W_OK) else "/tmp"))
    node = real.Node(folder)
    try:
        node.make()
        node.start()
        yield node
    finally:
        node.kill()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="package")
def galera_lab() -> Iterator[Site]:
    """Three real members with a shop in them; every test leaves them well."""
    with hand.well() as lab:
        found = Site(lab)
        found.fill()
        yield found
