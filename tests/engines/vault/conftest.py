"""What the tests of this folder share: a Raft cluster in memory, and one of real OpenBao servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import vault_kit as kit
import vault_real as real
from vault_kit import Stage
from vault_real import Bao

from hasteward_lab.lab import Lab


@pytest.fixture
def stage() -> Stage:
    """Three servers that are well."""
    return kit.Stage()


@pytest.fixture(scope="package")
def bao() -> Iterator[Bao]:
    """Three real servers for the folder; every test leaves them well."""
    with Lab.up(part="openbao", cluster="bao", namespace="vault", volume_size="256Mi") as lab:
        yield real.Bao(lab)
