"""What must be saved first and cannot be is a refusal."""

from __future__ import annotations

from typing import Any

import pytest

from hasteward.domain.capability import EngineInfo
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import Refused
from hasteward.domain.repair import Target
from hasteward.domain.report import Remediation
from hasteward.pipelines.escrow import Escrow, steps
from hasteward.plugins import Engine

CLUSTER = ClusterRef("toy", "db", "box")
TARGET = Target("box-2", 2, Remediation.RESEED, "it lost its way", gives_up="branch 3 of box-2: 2 commits")
NOBODY: Any = None


def test_an_engine_that_cannot_dump_cannot_save_before_a_reseed() -> None:
    engine = Engine(EngineInfo("toy", "a toy"), NOBODY, frozenset())

    with pytest.raises(Refused, match="cannot dump") as caught:
        steps(engine, CLUSTER, (TARGET,), wanted=True)

    assert "--no-escrow" in caught.value.hint


def test_a_capture_without_a_repository_is_refused() -> None:
    with pytest.raises(Refused, match="no repository was given"):
        Escrow(NOBODY, NOBODY, CLUSTER, None).require()
