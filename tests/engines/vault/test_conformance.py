"""What every engine must keep, kept by this one."""

from __future__ import annotations

from types import MappingProxyType

import pytest
from vault_kit import CLUSTER, World, archive

from hasteward import testing
from hasteward.domain.repair import RepairRequest
from hasteward.testing import HEALTHY, EngineConformance
from hasteward.testing.conformance.heal import HealConformance
from hasteward_vault.plugin import plugin


def _stale_leader(world: World) -> None:
    world.servers["bao-0"].marks = ""


def _sealed(world: World) -> None:
    world.servers["bao-2"].sealed = True
    world.contact["bao-2"] = "1m0s"


def _does_not_follow(world: World) -> None:
    world.servers["bao-2"].follows = ""


def _stray(world: World) -> None:
    world.voters.remove("bao-2")
    world.servers["bao-2"].follows = ""


def _dead_peer(world: World) -> None:
    world.voters.append("bao-7")
    world.contact["bao-7"] = "2h0m0s"


def _majority_lost(world: World) -> None:
    world.lose("bao-1", "bao-2")


SICK = {
    "majority lost": _majority_lost,
    "stale leader": _stale_leader,
    "sealed member": _sealed,
    "member that does not follow": _does_not_follow,
    "stray member": _stray,
    "dead peer": _dead_peer,
}


@pytest.mark.timeout(600)
class TestVault(EngineConformance):
    engine = plugin
    states = tuple(SICK)
    repairs = MappingProxyType({"dead peer": RepairRequest()})

    def world(self, state: str = HEALTHY) -> testing.World:
        truth = World()
        if state != HEALTHY:
            SICK[state](truth)

        def damage() -> None:
            truth.snapshot = archive(index=51, state=b"\x09" * 900)

        return testing.World(
            cluster=CLUSTER, kubernetes=truth.kubernetes(), content=lambda: truth.snapshot, damage=damage
        )


class _AtLength(HealConformance):
    """Treatments of many acts: thousands of places where each may fail or die."""

    engine = plugin
    world = TestVault.world


@pytest.mark.long
@pytest.mark.timeout(1800)
class TestRepairsAtLength(_AtLength):
    """With a leader."""

    repairs = MappingProxyType(
        dict.fromkeys(("member that does not follow", "stray member"), RepairRequest())
    )


@pytest.mark.long
@pytest.mark.timeout(3600)
class TestMajorityLostAtLength(_AtLength):
    """Without one: some eight hundred calls, five thousand ways to end, four minutes of a core."""

    repairs = MappingProxyType({"majority lost": RepairRequest(instance=0, force=True)})
