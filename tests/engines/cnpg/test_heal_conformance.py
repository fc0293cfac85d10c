"""What every engine must keep when it heals, kept by this one; on a cluster in memory."""

from __future__ import annotations

from types import MappingProxyType

import heal_kit
import pytest

from hasteward import testing
from hasteward.domain.repair import RepairRequest
from hasteward.testing import HEALTHY
from hasteward.testing.conformance.heal import HealConformance
from hasteward.testing.conformance.triage import TriageConformance
from hasteward_cnpg.plugin import plugin

#: nothing of its own is lost in these, so no dump is needed
UNSAVED = RepairRequest(escrow=False)


@pytest.mark.timeout(600)
class TestCnpg(TriageConformance, HealConformance):
    """The quick ones: a restart has few acts."""

    engine = plugin
    states = tuple(heal_kit.SICK)
    repairs = MappingProxyType({"down": UNSAVED})

    def world(self, state: str = HEALTHY) -> testing.World:
        return heal_kit.make(state)[1]


@pytest.mark.long
@pytest.mark.timeout(3600)
class TestRepairsAtLength(HealConformance):
    """Treatments of many acts: thousands of places where each may fail or die."""

    engine = plugin
    repairs = MappingProxyType(
        dict.fromkeys(
            ("stuck", "stuck, no room", "stray", "stray that cannot be rewound", "empty", "two"), UNSAVED
        )
    )
    world = TestCnpg.world
