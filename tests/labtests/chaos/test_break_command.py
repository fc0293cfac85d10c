"""`hasteward lab break`: every action explains itself, and does what it says."""

from __future__ import annotations

import pytest

from hasteward_lab import cli
from hasteward_lab.chaos.actions import ACTIONS
from hasteward_lab.lab import Lab
from hasteward_lab.state import LabError

NAMES = {each.name for each in ACTIONS}


def test_help_tells_each_action_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["break", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for each in ACTIONS:
        assert f"{each.name} {each.text}" in said
    assert "(undo: thaw)" in said


@pytest.mark.parametrize("action", ACTIONS, ids=lambda each: each.name)
def test_every_action_has_help_and_an_undo_that_exists(
    action: object, capsys: pytest.CaptureFixture[str]
) -> None:
    each = next(row for row in ACTIONS if row is action)
    assert cli.main(["break", each.name, "--help"]) == 0
    said = capsys.readouterr().out
    assert all(argument.name.lstrip("-").upper() in said.upper() for argument in each.arguments)
    assert each.undo in NAMES | {""}


@pytest.mark.servers
def test_faults_by_command(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    api = ["break", "--name", lab.name, "api", "429", "--verb", "get", "--resource", "pods", "--nth", "2"]
    assert cli.main(api) == 0
    assert f"undo: hasteward lab break --name {lab.name} clear-faults" in capsys.readouterr().err
    lab.pod("pg-1")
    with pytest.raises(LabError):
        lab.pod("pg-1")
    lab.pod("pg-1")
    cut = ["break", "--name", lab.name, "fault", "cut", "--command", "echo cut-here", "--after", "3"]
    assert cli.main(cut) == 0
    with pytest.raises(LabError):
        lab.exec("pg-1", ["echo", "cut-here"])
    assert cli.main(["break", "--name", lab.name, "clear-faults"]) == 0
    assert lab.faults() == []
    assert lab.exec("pg-1", ["echo", "cut-here"]).stdout == b"cut-here\n"


@pytest.mark.servers
def test_partition_and_heal_by_command(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["break", "--name", lab.name, "partition", "pg-1", "pg-2", "--one-way"]) == 0
    assert lab.chaos.network() == ["pg-1 -> pg-2 lost"]
    assert cli.main(["break", "--name", lab.name, "heal"]) == 0
    assert lab.chaos.network() == []
    assert cli.main(["break", "--name", lab.name, "freeze", "pg-7"]) == 1
    assert "pg-7" in capsys.readouterr().err
