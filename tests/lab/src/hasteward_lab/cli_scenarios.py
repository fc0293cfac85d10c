"""`hasteward lab scenarios`, and `hasteward lab up --scenario NAME`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from hasteward_lab.state import LabError

if TYPE_CHECKING:
    from hasteward_lab.lab import Lab
    from hasteward_lab.scenarios.model import Scenario

_DIFFERENT = 1


def add_parser(parser: argparse.ArgumentParser) -> None:
    """Give `scenarios` its arguments."""
    parser.add_argument("scenario", nargs="?", help="tell this one; without: list all")
    parser.add_argument(
        "--check", action="store_true", help="compare the running lab with what the scenario expects"
    )


def run(arguments: argparse.Namespace) -> int:
    """List the scenarios, tell one, or check a lab against one."""
    from hasteward_lab.scenarios import load

    if arguments.check:
        if not arguments.scenario:
            raise LabError("which scenario? `hasteward lab scenarios NAME --check`")
        return _check(load.scenario(arguments.scenario), arguments.name)
    if arguments.scenario:
        _print(_told(load.scenario(arguments.scenario)))
        return 0
    rows = load.all_scenarios(None)
    width = max(len(each.name) for each in rows)
    for each in rows:
        _print(f"{each.name:<{width}}  {each.title}  [{each.source}]")
    return 0


def up(scenario: str, name: str, say: Callable[[str], None]) -> Lab:
    """Start a lab in a broken state and tell what to look at; a failing step leaves the lab for a look."""
    from hasteward_lab.scenarios import load, run

    wanted = load.scenario(scenario)
    lab = run.start(wanted, name, keep=True, say=say)
    say(f"lab {lab.name!r} is up; now into {wanted.name}: {wanted.title}")
    run.reach(lab, wanted, say)
    say("there")
    sys.stderr.write(_told(wanted) + "\n")
    return lab


def _check(scenario: Scenario, name: str) -> int:
    from hasteward_lab.lab import Lab
    from hasteward_lab.scenarios import truth

    rows = truth.differences(Lab.attach(name), scenario.expect)
    for row in rows:
        _print(row)
    if not rows:
        _print(f"lab {name!r} is as {scenario.name} says")
    return _DIFFERENT if rows else 0


def _told(scenario: Scenario) -> str:
    expect = scenario.expect
    lines = [f"{scenario.title} ({scenario.source})", f"  authority  {expect.authority}"]
    lines.append(f"  newest     {', '.join(expect.newest) or 'no member has every commit'}")
    for name, row in expect.members.items():
        words = [f"{key} {value}" for key, value in row.model_dump(exclude_unset=True).items()]
        lines.append(f"  {name:<10} {', '.join(words)}")
    lines += [f"  fact       {fact.claim}" for fact in expect.facts]
    lines.append(f"  trap       {expect.trap}")
    return "\n".join([*lines, *(f"  look       {line}" for line in scenario.look)])


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
