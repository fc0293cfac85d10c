"""Every scenario is reached, and what it expects is what the real servers and files say."""

from __future__ import annotations

import os
import time

import pytest

from hasteward_lab import cli, launch
from hasteward_lab.scenarios import load, run, truth
from hasteward_lab.scenarios.model import Scenario
from hasteward_lab.state import state_dir

pytestmark = pytest.mark.servers

ALL = load.all_scenarios()
# In every run one for each verdict; the others when there is time.
VERDICTS = {each.expect.authority: each for each in reversed(ALL) if not each.long}
QUICK = list(VERDICTS.values())
LONG = [each for each in ALL if each not in QUICK]
REACHED_WITHIN = 60.0


def verify(scenario: Scenario) -> None:
    with run.start(scenario, None, keep=False, say=lambda _message: None) as lab:
        began = time.monotonic()
        run.reach(lab, scenario)
        assert time.monotonic() - began < REACHED_WITHIN
        assert truth.differences(lab, scenario.expect) == []


@pytest.mark.parametrize("scenario", QUICK, ids=lambda each: each.name)
def test_a_quick_scenario_is_as_it_says(scenario: Scenario) -> None:
    verify(scenario)


@pytest.mark.long
@pytest.mark.parametrize("scenario", LONG, ids=lambda each: each.name)
def test_a_scenario_is_as_it_says(scenario: Scenario) -> None:
    verify(scenario)


def test_a_lab_comes_up_in_a_scenario_by_command(capsys: pytest.CaptureFixture[str]) -> None:
    name = f"scene-{os.getpid()}"
    try:
        assert cli.main(["up", "--name", name, "--scenario", "exec-forbidden"]) == 0
        out, err = capsys.readouterr()
        assert out == f"export KUBECONFIG={state_dir(name).kubeconfig}\n"
        assert "4/4 do action:api,code:403" in err
        assert "trap       Truth is fine" in err
        assert cli.main(["scenarios", "--name", name, "exec-forbidden", "--check"]) == 0
        assert cli.main(["scenarios", "--name", name, "corrupt-pg-control", "--check"]) == 1
        assert "pg-2: server is 'up', not 'down'" in capsys.readouterr().out
    finally:
        if state_dir(name).root.exists():
            launch.down(state_dir(name))
