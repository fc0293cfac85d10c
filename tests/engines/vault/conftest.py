"""Registers the helpers of this folder: a Raft cluster in memory, and one of real OpenBao servers."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hasteward_lab.lab import Lab

if TYPE_CHECKING:
    import vault_kit as kit
    import vault_real as real
    from vault_kit import Stage
    from vault_real import Bao


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
    real = _load("vault_real")


@pytest.fixture
def stage() -> Stage:
    """Three servers that are well."""
    return kit.Stage()


@pytest.fixture(scope="package")
def bao() -> Iterator[Bao]:
    """Three real servers for the folder; every test leaves them well."""
    with Lab.up(part="openbao", cluster="bao", namespace="vault", volume_size="256Mi") as lab:
        yield real.Bao(lab)
