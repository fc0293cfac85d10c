"""Registers the helpers of this folder: a Galera cluster in memory, and a real server."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import galera_kit as kit
    import galera_real as real
    from galera_kit import Stage


def _load(name: str) -> Any:
    """In importlib mode the folder is not on the path; its helpers are registered by hand."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


if not TYPE_CHECKING:
    kit = _load("galera_kit")
    real = _load("galera_real")
    _load("galera_model")
    _load("galera_sql")
    _load("galera_site")


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
