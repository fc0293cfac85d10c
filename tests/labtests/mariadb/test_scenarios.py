"""Every broken Galera cluster is reached, and what it expects is what servers and files say."""

from __future__ import annotations

import time

import pytest

from hasteward_lab.scenarios import load, run, truth
from hasteward_lab.scenarios.galera import Truth, verdict
from hasteward_lab.scenarios.model import Scenario
from hasteward_lab.state import LabError

ALL = load.all_scenarios("galera")
#: in every run the one that nothing but the content of the tables tells
QUICK = [each for each in ALL if each.name == "galera-same-uuid-split"]
REACHED_WITHIN = 90.0


def verify(scenario: Scenario) -> None:
    with run.start(scenario, None, keep=False, say=lambda _message: None) as lab:
        began = time.monotonic()
        run.reach(lab, scenario)
        assert time.monotonic() - began < REACHED_WITHIN
        assert truth.differences(lab, scenario.expect) == []


@pytest.mark.servers
@pytest.mark.parametrize("scenario", QUICK, ids=lambda each: each.name)
def test_a_quick_scenario_is_as_it_says(scenario: Scenario) -> None:
    verify(scenario)


@pytest.mark.long
@pytest.mark.servers
@pytest.mark.timeout(240)
@pytest.mark.parametrize("scenario", [each for each in ALL if each not in QUICK], ids=lambda each: each.name)
def test_a_scenario_is_as_it_says(scenario: Scenario) -> None:
    verify(scenario)


def test_there_are_enough_and_each_says_what_is_to_be_done() -> None:
    assert len(ALL) >= 20
    assert [each.name for each in ALL if set(each.expect.remedies) != set(each.names)] == []
    unsaid = [each.name for each in ALL if any(row.verdict is None for row in each.expect.members.values())]
    assert unsaid == []


def test_no_scenario_would_have_the_only_holder_of_the_newest_data_overwritten() -> None:
    text = """
name: bad
title: a
source: L1
engine: galera
members: 1
steps: [{write: {pod: db-0, mark: a}}]
expect:
  {authority: provable, newest: [db-0], members: {db-0: {server: up}}, remedies: {db-0: reseed}, trap: t}
"""
    with pytest.raises(LabError, match="would have db-0 overwritten, which alone has every commit"):
        load.parse(text, "bad.yaml")


def test_a_member_is_told_in_a_word() -> None:
    def up(wsrep: str, *marks: str) -> Truth:
        return Truth("up", ready=True, wsrep=wsrep, marks=frozenset(marks))

    found = {
        "whole": up("Synced 2", "a", "b"),
        "quiet": up("non-Primary 1", "a", "b"),
        "late": up("Synced 2", "a"),
        "new": up("Synced 1"),
        "dark": Truth("down", ready=False, wsrep="", marks=None),
    }
    words = {name: verdict(name, found) for name in found}
    expected = {
        "whole": "healthy",
        "quiet": "stopped",
        "late": "behind",
        "new": "empty",
        "dark": "unreadable",
    }
    assert words == expected
    split = {"left": up("Synced 1", "a", "l"), "right": up("Synced 1", "a", "r")}
    assert {name: verdict(name, split) for name in split} == {"left": "diverged", "right": "diverged"}
