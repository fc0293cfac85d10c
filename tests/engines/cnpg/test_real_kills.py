"""A repair on real servers that is killed at each of its acts: the next command ends it."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_kit import CLUSTER, Tool, Writer, everything_is_well, picture, tool

from hasteward_lab.lab import Lab
from hasteward_lab.scenarios import load, run

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]

#: what each act says when it begins, in its order; a reseed of a member that is well has them all
ACTS = (
    "fence {member}",
    "tell the operator to look away",
    "delete pod {member}",
    "start a helper pod",
    "read the position",
    "clone {primary}",
    "swap the data",
    "delete the helper pod",
    "let the operator work",
    "take our fence",
    "wait until {member} streams",
    "delete what was put aside",
)
#: up to this one everything can be taken back
LAST_REVERSIBLE = ACTS.index("clone {primary}")
#: those that every run of the tests has: one that is taken back, and the one that only goes forward
SAMPLED = frozenset({ACTS.index("start a helper pod"), ACTS.index("swap the data")})
PLACES = [
    pytest.param(place, id=act.replace(" ", "-"), marks=() if place in SAMPLED else pytest.mark.long)
    for place, act in enumerate(ACTS)
]
JOURNAL = "hasteward-cnpg-pg"
RESEED = ("repair", *CLUSTER, "--yes", "--force", "--no-escrow")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up(volume_size="512Mi", time_scale=0.3) as running:
        yield running


@pytest.fixture(scope="module")
def hasteward(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Tool:
    return tool(lab, tmp_path_factory.mktemp("tool"))


def kill_at(hasteward: Tool, argv: tuple[str, ...], act: str, delay: float) -> None:
    """SIGKILL, so long after the act has begun."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hasteward.cli.main", *argv],
        env=hasteward.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if re.match(rf"heal: {re.escape(act)}", line):
            time.sleep(delay)
            process.kill()
            break
    process.stderr.close()
    process.wait()


@pytest.mark.parametrize("place", PLACES)
def test_a_repair_killed_at_an_act_is_ended_by_the_next_command(
    lab: Lab, hasteward: Tool, place: int
) -> None:
    print(f"point {place + 1} of {len(ACTS)}, {len(SAMPLED)} of them in every run")
    before = picture(lab)
    primary = lab.primary
    member = next(name for name in sorted(lab.pods, reverse=True) if name != primary)
    writer = Writer(lab, primary)
    with writer.at_work():
        act = ACTS[place].format(member=member, primary=primary)
        kill_at(hasteward, (*RESEED, "-i", member.rpartition("-")[2]), act, 0.1 * (place % 4))
        code, answer = hasteward("undo", *CLUSTER)
        if code != 0:
            assert place >= LAST_REVERSIBLE, answer["said"]
            (error,) = answer["errors"]
            assert error["code"] == "undo.forward_only", error
            assert "hasteward repair -e cnpg -c pg -n db" in error["hint"]
            code, answer = hasteward("repair", *CLUSTER, "--yes", "--heal-timeout", "200")
            assert code == 0, answer["said"]
        lab.wait_ready(timeout=120)
    # a busy machine makes the operator fail over now and then, and what was not replicated goes with that
    stayed = lab.primary == primary
    everything_is_well(lab, writer.acknowledged if stayed else [], lab.primary)
    assert picture(lab) == before


@pytest.mark.long
def test_a_run_of_two_members_killed_between_them_is_ended_by_one_command(tmp_path: Path) -> None:
    """The operator makes no pod of the first until the second runs; `repair` ends both, and the journal."""
    scenario = next(each for each in load.all_scenarios() if each.name == "two-members-down")
    with run.start(scenario, None, keep=False, say=lambda _message: None) as lab:
        run.reach(lab, scenario)
        before, hasteward, writer = picture(lab), tool(lab, tmp_path), Writer(lab)
        with writer.at_work():
            lab.operator_up()
            kill_at(hasteward, ("repair", *CLUSTER, "--yes"), "wait until pg-3 streams", 0.0)
            assert JOURNAL in picture(lab)["configmaps"]
            code, answer = hasteward("undo", *CLUSTER)
            assert (code, answer["errors"][0]["code"]) == (21, "undo.forward_only")
            code, answer = hasteward("repair", *CLUSTER, "--yes", "--heal-timeout", "200")
            assert code == 0, answer["said"]
        everything_is_well(lab, writer.acknowledged)
        assert picture(lab) == before
