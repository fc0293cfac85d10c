"""What every engine must keep, kept by this one: how it introduces itself, and its triage."""

from __future__ import annotations

import pytest
from galera_kit import CLUSTER, World, gvwstate, node

from hasteward import testing
from hasteward.testing import HEALTHY
from hasteward.testing.conformance import InfoConformance, TriageConformance
from hasteward_galera.plugin import plugin


def _split(world: World) -> None:
    world.among("db-0", "db-1")
    world.among("db-2")


def _not_primary(world: World) -> None:
    world.among("db-0", "db-1")
    world.servers["db-2"].primary = False


def _other_history(world: World) -> None:
    world.among("db-0", "db-1")
    world.among("db-2")
    world.servers["db-2"].uuid = "99999999-63a8-11ef-98a2-2b0c0aa0a627"


def _donor(world: World) -> None:
    world.servers["db-1"].state = "Donor/Desynced"


def _down(world: World) -> None:
    world.among("db-0", "db-1")
    world.stop("db-2", gvwstate=gvwstate(*(node(n) for n in range(3))))


def _no_component(world: World) -> None:
    for server in world.servers.values():
        server.primary = False


SICK = {
    "split": _split,
    "member apart": _not_primary,
    "other history": _other_history,
    "donor": _donor,
    "member down": _down,
    "no component": _no_component,
}


def world(state: str) -> testing.World:
    truth = World()
    if state != HEALTHY:
        SICK[state](truth)
    return testing.World(CLUSTER, truth.kubernetes(), content=lambda: None, damage=lambda: None)


@pytest.mark.timeout(600)
class TestGalera(InfoConformance, TriageConformance):
    engine = plugin
    states = tuple(SICK)

    def world(self, state: str = HEALTHY) -> testing.World:
        return world(state)
