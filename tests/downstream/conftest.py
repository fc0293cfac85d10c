"""The toy engine: its files, and its modules without being installed."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

TOY = Path(__file__).with_name("hasteward-keyval")
#: its own tests run where it is installed
collect_ignore_glob = [f"{TOY.name}/*"]


@pytest.fixture(scope="session")
def toy() -> Path:
    return TOY


@pytest.fixture(scope="module")
def toy_tests() -> Iterator[ModuleType]:
    """The toy's conformance tests as a module."""
    sys.path.insert(0, str(TOY / "src"))
    path = TOY / "tests" / "test_conformance.py"
    spec = importlib.util.spec_from_file_location("keyval_conformance", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(TOY / "src"))
        for name in [name for name in sys.modules if name.startswith("hasteward_keyval")]:
            del sys.modules[name]
