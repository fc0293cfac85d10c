"""Registers the helper of this folder, and one lab with three real OpenBao servers for what needs them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import vault_kit as kit
    from vault_kit import Stage


def _load() -> Any:
    """In importlib mode the folder is not on the path; the helper is registered by hand."""
    if "vault_kit" not in sys.modules:
        spec = importlib.util.spec_from_file_location("vault_kit", Path(__file__).with_name("vault_kit.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["vault_kit"] = module
        spec.loader.exec_module(module)
    return sys.modules["vault_kit"]


if not TYPE_CHECKING:
    kit = _load()


@pytest.fixture
def stage() -> Stage:
    """Three servers that are well."""
    return kit.Stage()
