"""W12: every remedy that triage prints is a command that exists."""

from __future__ import annotations

import shlex
from collections.abc import Callable

import pytest
from galera_kit import OTHER, ZERO, Stage, U, World, grastate, gvwstate, node

from hasteward import plugins
from hasteward.cli import parser


def _operator(world: World) -> None:
    world.latch, world.spec, world.retention = "False", {"suspend": True}, "Delete"


def _switches(world: World) -> None:
    world.galera = {"recovery": {"forceClusterBootstrapInPod": "db-1"}}
    world.servers["db-2"].stale = True
    world.spec = {"suspend": True}


def _down(world: World) -> None:
    for number, server in enumerate(world.servers.values()):
        world.stop(server.name, recovered=(U, number + 1), restarts=4)


def _apart(world: World) -> None:
    world.among("db-0", "db-1")
    world.among("db-2")
    world.servers["db-2"].uuid = OTHER
    world.servers["db-1"].version = "12.0"


def _own(world: World) -> None:
    world.among("db-0", "db-1")
    world.stop("db-2", view=(node(2, 9),), view_names=("db-2",), gvwstate=gvwstate(node(2, 9)))


def _empty(world: World) -> None:
    world.among("db-0", "db-1")
    world.stop("db-2", transfer=True, grastate=grastate(ZERO), gvwstate="", restarts=4)


def _stuck(world: World) -> None:
    world.latch, world.ready_message = "False", "recovery status not completed"
    world.stop("db-2", scheduled=False, log="Disk is full")


def _slow(world: World) -> None:
    world.servers["db-0"].desync, world.servers["db-1"].paused, world.servers["db-2"].free = 1, 0.9, 1
    world.servers["db-1"].state = "Joined"


def _no_primary(world: World) -> None:
    for server in world.servers.values():
        server.primary = False


def _mute(world: World) -> None:
    world.servers["db-2"].answers = False
    world.servers["db-1"].view = ()


@pytest.mark.parametrize(
    "spoil", [_operator, _switches, _down, _apart, _own, _empty, _stuck, _slow, _no_primary, _mute]
)
@pytest.mark.parametrize("deep", [False, True])
def test_every_remedy_is_a_command_that_exists(
    stage: Stage, spoil: Callable[[World], None], deep: bool
) -> None:
    spoil(stage.world)
    found = plugins.load(plugins.installed_entry_points())

    report = stage.triage(deep=deep)

    assert report.diagnoses
    for diagnosis in report.diagnoses:
        words = shlex.split(diagnosis.remedy.partition("   (")[0])
        assert words[0] in {"hasteward", "kubectl"}, diagnosis
        assert diagnosis.evidence, diagnosis
        if words[0] == "hasteward":
            parser.parse(words[1:], lambda: found)
