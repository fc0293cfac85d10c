"""`hasteward lab break`: every action of `chaos.actions` as a command."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from hasteward_lab.chaos.actions import ACTIONS, Action, Argument, action
from hasteward_lab.lab import Lab


def add_parser(parser: argparse.ArgumentParser) -> None:
    """Give `break` its actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for each in ACTIONS:
        text = f"{each.text} (undo: {each.undo})" if each.undo else each.text
        sub = actions.add_parser(each.name, help=text, description=text)
        for argument in each.arguments:
            _add(sub, argument)


def _add(parser: argparse.ArgumentParser, argument: Argument) -> None:
    if argument.flag:
        parser.add_argument(argument.name, action="store_true", help=argument.text)
        return
    more: dict[str, Any] = {"nargs": "*"} if argument.many else {}
    if argument.choices:
        more["choices"] = argument.choices
    if argument.name.startswith("--"):
        more.update(default=argument.default, metavar=argument.name.lstrip("-").upper())
    elif argument.choices:
        more["metavar"] = argument.name.upper()
    text = f"{argument.text}: {', '.join(argument.choices)}" if argument.choices else argument.text
    parser.add_argument(argument.name, type=argument.kind, help=text, **more)


def run(arguments: argparse.Namespace) -> int:
    """Do one action and tell what came of it."""
    chosen = action(arguments.action)
    result = chosen.call(Lab.attach(arguments.name), _given(chosen, arguments))
    undo = f"; undo: hasteward lab break --name {arguments.name} {chosen.undo}" if chosen.undo else ""
    said = f": {result}" if result is not None else ""
    sys.stderr.write(f"{chosen.name}{said}{undo}\n")
    return 0


def _given(chosen: Action, arguments: argparse.Namespace) -> dict[str, Any]:
    names = [argument.name.lstrip("-").replace("-", "_") for argument in chosen.arguments]
    return {name: getattr(arguments, name) for name in names}
