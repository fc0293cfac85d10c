"""A real server that hangs is stopped, read and let go again, or killed on the way, while clients write."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from real_kit import CLUSTER, Tool, Writer, everything_is_well, kill_at, picture, tool

from hasteward_lab.lab import Lab

pytestmark = [pytest.mark.servers, pytest.mark.long, pytest.mark.timeout(600)]

LOOK = ("triage", *CLUSTER, "--deep=stop")
#: what is said when the run is killed, from the first act to the last that is taken back
POINTS = (
    "heal: fence pg-3",
    "heal: tell the operator",
    "heal: delete pod pg-3",
    "triage: reading the files of pg-3",
    "triage: while pg-3 was stopped",
    "undo: taking back: tell the operator",
    "undo: taking back: fence pg-3",
)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up(volume_size="512Mi", time_scale=0.3) as running:
        yield running


@pytest.fixture(scope="module")
def hasteward(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Tool:
    return tool(lab, tmp_path_factory.mktemp("tool"))


def named(hasteward: Tool) -> bool:
    """Not before its container has run for half a minute: until then it may be starting."""
    found = hasteward("triage", *CLUSTER)[1]["data"]["diagnoses"]
    return ("cnpg-server-hangs", "pg-3") in {(one["id"], one["member"]) for one in found}


@pytest.fixture
def hung(lab: Lab, hasteward: Tool) -> Iterator[Lab]:
    lab.chaos.freeze("pg-3")
    try:
        lab.wait(lambda: named(hasteward), 90)
        yield lab
    finally:
        lab.chaos.thaw("pg-3")
        lab.wait_ready(timeout=120)


def test_it_is_stopped_read_and_let_go_again(hung: Lab, hasteward: Tool) -> None:
    before, writer = picture(hung), Writer(hung)
    with writer.at_work():
        code, answer = hasteward(*LOOK)
    assert code == 0, answer["said"]
    assert "while pg-3 was stopped: the Cluster names pg-1, and no other member holds" in answer["said"]
    everything_is_well(hung, writer.acknowledged)
    assert picture(hung) == before


@pytest.mark.parametrize("said", POINTS, ids=lambda said: said.replace(" ", "-").replace(":", ""))
def test_killed_on_the_way_one_command_lets_it_go(hung: Lab, hasteward: Tool, said: str) -> None:
    before, writer = picture(hung), Writer(hung)
    with writer.at_work():
        _, lines = kill_at(hasteward, LOOK, lambda line: line.startswith(said))
        assert lines[-1].startswith(said), lines
        assert hasteward("undo", *CLUSTER)[0] == 0
        # killed early, it is as it was: it hangs
        hung.chaos.thaw("pg-3")
        hung.wait_ready(timeout=120)
    everything_is_well(hung, writer.acknowledged)
    assert picture(hung) == before
