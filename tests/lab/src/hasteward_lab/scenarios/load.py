"""Reads the scenario files; an error names the file and the place in it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import yaml
from pydantic import ValidationError

from hasteward_lab.chaos.actions import ACTIONS
from hasteward_lab.scenarios.model import Scenario
from hasteward_lab.state import LabError


def _files(engine: str | None) -> Iterator[Traversable]:
    root = resources.files("hasteward_lab.scenarios").joinpath("data")
    folders = {"cnpg": root, "galera": root.joinpath("galera")}
    for name, folder in folders.items():
        if engine in {None, name}:
            rows = [each for each in folder.iterdir() if each.name.endswith(".yaml")]
            yield from sorted(rows, key=lambda each: each.name)


def parse(text: str, source: str) -> Scenario:
    """Read one scenario; LabError with file and place when it is not one."""
    try:
        data: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise LabError(f"{source}: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise LabError(f"{source}: a scenario is a mapping")
    try:
        found = Scenario.model_validate(data)
    except ValidationError as error:
        rows = (
            "{}: {}".format(".".join(map(str, row["loc"])) or "all", row["msg"]) for row in error.errors()
        )
        raise LabError(f"{source}: {'; '.join(rows)}") from None
    known = {action.name: action for action in ACTIONS}
    for number, step in enumerate(found.steps):
        if step.do is not None and step.do.get("action") not in known:
            raise LabError(f"{source}: steps.{number}.do: no action {step.do.get('action')!r}")
    if source.removesuffix(".yaml") != found.name:
        raise LabError(f"{source}: holds a scenario called {found.name!r}")
    return found


def all_scenarios(engine: str | None = "cnpg") -> list[Scenario]:
    """Every scenario of an engine, by name; None means of all."""
    return [parse(each.read_text(encoding="utf-8"), each.name) for each in _files(engine)]


def scenario(name: str) -> Scenario:
    """The scenario of a name; LabError when there is none."""
    for each in _files(None):
        if each.name == f"{name}.yaml":
            return parse(each.read_text(encoding="utf-8"), each.name)
    raise LabError(f"there is no scenario {name!r}: `hasteward lab scenarios` lists them")
