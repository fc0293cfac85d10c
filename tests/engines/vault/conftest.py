"""Registers the helpers of this folder: a Raft cluster in memory, and one of real OpenBao servers."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import vault_kit as kit
    from vault_kit import Stage


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
    _load("vault_files")
    kit = _load("vault_kit")
    _load("vault_real")


@pytest.fixture
def stage() -> Stage:
    """Three servers that are well."""
    return kit.Stage()
