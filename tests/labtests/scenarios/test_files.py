"""The scenario files themselves: complete, well-formed, told truly in the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from hasteward_lab import cli
from hasteward_lab.scenarios import load
from hasteward_lab.scenarios.table import current, page
from hasteward_lab.state import LabError

ALL = load.all_scenarios(None)
GOOD = """
name: good
title: a
source: L1
members: 1
steps: [{write: {pod: pg-1, mark: a}}]
expect: {authority: provable, newest: [pg-1], members: {pg-1: {server: up}}, trap: none}
"""


def test_there_are_enough_and_they_are_told_apart() -> None:
    assert len(ALL) >= 25
    assert len({each.title for each in ALL}) == len(ALL)
    assert len([each for each in ALL if not each.long]) >= 6


def test_every_verdict_occurs() -> None:
    assert {each.expect.authority for each in ALL} == {
        "provable",
        "leader_not_primary",
        "diverged",
        "undeterminable",
    }


def test_the_page_lists_what_is_there() -> None:
    """`python -m hasteward_lab.scenarios.table docs/reference/lab.md` writes the list anew."""
    text = (Path(__file__).parents[3] / "docs/reference/lab.md").read_text(encoding="utf-8")
    assert current(text) == page(ALL)


def test_a_good_file_is_read() -> None:
    assert load.parse(GOOD, "good.yaml").name == "good"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: good", "name: other", "bad.yaml: holds a scenario called 'other'"),
        ("mark: a", "mrak: a", "steps.0.write.mark: Field required; steps.0.write.mrak: Extra inputs"),
        ("write: {pod: pg-1, mark: a}", "jump: pg-1", "steps.0.jump: Extra inputs are not permitted"),
        ("{write: {pod: pg-1, mark: a}}", "{}", "give exactly one of"),
        ("{write: {pod: pg-1, mark: a}}", "{do: {action: explode}}", "steps.0.do: no action 'explode'"),
        ("newest: [pg-1]", "newest: [pg-2]", "expect names no member of this cluster: pg-2"),
        ("members: 1", "members: 2", "expect says nothing of pg-2"),
        ("provable", "surely", "expect.authority: Input should be 'provable'"),
        ("steps: [", "steps: [[", "bad.yaml: while parsing"),
    ],
)
def test_a_bad_file_is_told_with_its_place(old: str, new: str, message: str) -> None:
    with pytest.raises(LabError) as caught:
        load.parse(GOOD.replace(old, new).replace("name: good", "name: bad"), "bad.yaml")
    assert message in str(caught.value)


def test_the_command_lists_and_tells(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["scenarios"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == len(ALL)
    assert all(each.title in row and each.source in row for each, row in zip(ALL, rows, strict=True))
    assert cli.main(["scenarios", ALL[0].name]) == 0
    assert ALL[0].expect.trap in capsys.readouterr().out
    assert cli.main(["scenarios", "no-such"]) == 1
    assert capsys.readouterr().err == (
        "hasteward lab: there is no scenario 'no-such': `hasteward lab scenarios` lists them\n"
    )
