"""A repair on real servers that is killed at each of its acts: the next command ends it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from real_kit import CLUSTER, Tool, Writer, everything_is_well, kill_at, of, picture, returning, tool

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
PLACES = [pytest.param(place, id=act.replace(" ", "-")) for place, act in enumerate(ACTS)]
JOURNAL = "hasteward-cnpg-pg"
#: the exit status of a run that could not read enough, and how often it is asked again then
UNKNOWN, ASKED_AGAIN = 21, 3
RESEED = ("repair", *CLUSTER, "--yes", "--force", "--no-escrow")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up(volume_size="512Mi", time_scale=0.3) as running:
        yield running


@pytest.fixture(scope="module")
def hasteward(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Tool:
    return tool(lab, tmp_path_factory.mktemp("tool"))


@dataclass
class Everywhere:
    """Strikes at each act of `begun` once when it begins, and at those of `done` once when they are done."""

    done: tuple[str, ...]
    begun: tuple[str, ...] = ("",)
    points: list[str] = field(default_factory=list)
    heard: Counter[str] = field(default_factory=Counter)

    def __call__(self, line: str) -> bool:
        self.heard[line] += 1
        act = line.removeprefix("heal: ").partition(" (")[0].strip()
        point = act if self.heard[line] == 1 else f"{act}: done"
        wanted = act.startswith(self.begun if point == act else self.done)
        if not line.startswith("heal: ") or not wanted or point in self.points:
            return False
        self.points.append(point)
        return True


def killed_everywhere(lab: Lab, hasteward: Tool, argv: tuple[str, ...], strikes: Everywhere) -> list[str]:
    """One run after the other goes by what the last one left, and is killed; then one ends it all."""
    asked_again = 0
    while True:
        strikes.heard.clear()
        before = len(strikes.points)
        code, said = kill_at(hasteward, argv, strikes)
        if code == UNKNOWN and asked_again < ASKED_AGAIN:
            # what was taken back is on its way up, and not everything can be read of it at once
            asked_again += 1
            time.sleep(10)
            continue
        if len(strikes.points) == before:
            break
    print(f"killed at {before} points: {'; '.join(strikes.points)}")
    assert code == 0, (lab.primary, "".join(said))
    assert JOURNAL not in picture(lab)["configmaps"]
    return strikes.points


def verify(lab: Lab, hasteward: Tool, done: tuple[str, ...]) -> None:
    before, primary, writer = picture(lab), lab.primary, Writer(lab, lab.primary)
    member = next(name for name in sorted(lab.pods, reverse=True) if name != primary)
    with writer.at_work():
        argv = (*RESEED, "-i", member.rpartition("-")[2])
        told = tuple(act.format(member=member, primary=primary) for act in done)
        assert len(killed_everywhere(lab, hasteward, argv, Everywhere(told))) >= len(ACTS)
    lab.wait_ready(timeout=120)
    everything_is_well(lab, writer.acknowledged if lab.primary == primary else [], lab.primary)
    assert picture(lab) == before


def test_a_repair_killed_at_each_of_its_acts_in_turn_is_ended_by_one_command(
    lab: Lab, hasteward: Tool
) -> None:
    """A late kill may miss an act, so there are two points more than acts."""
    verify(lab, hasteward, ("swap the data", "wait until"))


@pytest.mark.long
def test_a_repair_killed_whenever_an_act_begins_or_is_done_is_ended_by_one_command(
    lab: Lab, hasteward: Tool
) -> None:
    verify(lab, hasteward, ACTS[LAST_REVERSIBLE + 1 :])


@pytest.mark.long
@pytest.mark.parametrize("place", PLACES)
def test_a_repair_killed_at_an_act_is_ended_by_the_next_command(
    lab: Lab, hasteward: Tool, place: int
) -> None:
    print(f"point {place + 1} of {len(ACTS)}")
    before = picture(lab)
    primary = lab.primary
    member = next(name for name in sorted(lab.pods, reverse=True) if name != primary)
    writer = Writer(lab, primary)
    with writer.at_work():
        act = ACTS[place].format(member=member, primary=primary)
        argv = (*RESEED, "-i", member.rpartition("-")[2])
        _, said = kill_at(hasteward, argv, of(act), 0.1 * (place % 4))
        assert of(act)(said[-1]), said
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
            kill_at(hasteward, ("repair", *CLUSTER, "--yes"), of("wait until pg-3 streams"))
            assert JOURNAL in picture(lab)["configmaps"]
            code, answer = hasteward("undo", *CLUSTER)
            assert (code, answer["errors"][0]["code"]) == (21, "undo.forward_only")
            code, answer = hasteward("repair", *CLUSTER, "--yes", "--heal-timeout", "200")
            assert code == 0, answer["said"]
        everything_is_well(lab, writer.acknowledged)
        assert picture(lab) == before


@dataclass(frozen=True)
class Other:
    """A treatment whose acts a reseed beside the old data has not, and a scenario that needs it."""

    scenario: str
    acts: tuple[str, ...]
    flags: tuple[str, ...] = ()
    #: whose volume has so little room left
    full: str = ""


OTHERS = (
    Other(
        "diverged-replica-ready",
        ("capture the data directory of pg-3", "rewind pg-3", "give the rewound data of pg-3"),
        ("-i", "3", "--force"),
    ),
    Other(
        "wal-recycled-yet-ready",
        ("delete the data of pg-3", "clone pg-1", "give the clone the name of the data of pg-3"),
        full="pg-3",
    ),
    Other("empty-pgdata", ("annotate pod pg-2", "wait until")),
    Other("slot-name-prefix", ("delete pod pg-2", "wait until pg-2 streams")),
)


@pytest.mark.long
@pytest.mark.parametrize("other", OTHERS, ids=lambda each: each.scenario)
def test_the_acts_of_other_treatments_are_ended_by_one_command_too(other: Other, tmp_path: Path) -> None:
    scenario = next(each for each in load.all_scenarios() if each.name == other.scenario)
    with run.start(scenario, None, keep=False, say=lambda _message: None) as lab:
        run.reach(lab, scenario)
        if other.full:
            lab.fill(other.full, 20_000_000)
        before, hasteward, writer = picture(lab), tool(lab, tmp_path), Writer(lab)
        with writer.at_work(), returning(lab):
            argv = ("repair", *CLUSTER, "--yes", *other.flags)
            points = killed_everywhere(lab, hasteward, argv, Everywhere(other.acts, other.acts))
        missed = [act for act in other.acts if not any(point.startswith(act) for point in points)]
        assert missed == []
        everything_is_well(lab, writer.acknowledged)
        assert picture(lab) == before
