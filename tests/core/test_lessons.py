"""Lessons that others paid for and that concern the whole of core, each under its number."""

from __future__ import annotations

import ast
import functools
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from hasteward import plugins
from hasteward.cli import parser
from hasteward.config.settings import SETTINGS
from hasteward.ports.context import Tuning

ROOT = Path(__file__).parents[2]
SPOKEN = re.compile(r"`(hasteward [a-z][^`]*)`")


def texts(tree: ast.AST) -> Iterator[str]:
    """Every whole text of a module; what is filled in later reads as `1`."""
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(p.value) if isinstance(p, ast.Constant) else "1" for p in node.values)


def advised(file: Path) -> Iterator[str]:
    """The commands of ours that a module's texts tell somebody to type."""
    for text in texts(ast.parse(file.read_text(encoding="utf-8"))):
        if re.match(r"hasteward (get|config|lab|[a-z]+)( |$)", text) and "\n" not in text:
            yield re.split(r"   | \(|[,;:] ", text)[0]
        yield from SPOKEN.findall(text)


def sources() -> list[Path]:
    return sorted([*(ROOT / "core/src").rglob("*.py"), *ROOT.glob("engines/*/src/**/*.py")])


#: ways of speaking of a command, which are not the command
PROSE = {
    "hasteward export writes any snapshot to a file",
    "hasteward export writes the snapshot to a file",
    "hasteward run report",
    "hasteward runs on Linux only",
    "hasteward undo with the same -e",
}


def filled_in(words: list[str]) -> list[str]:
    """The words with something in place of SHELL, and without what stands for several words, or for none."""
    said = ["bash" if word == "SHELL" else word for word in words if word != "..."]
    before = ["", *said]
    return [word for word, last in zip(said, before, strict=False) if word != "1" or last.startswith("-")]


@functools.cache
def installed() -> plugins.Plugins:
    """What is installed here, the lab's commands too."""
    return plugins.load(plugins.installed_entry_points())


def problem(line: str) -> str:
    """Why the command line does not understand it; "" if it does."""
    try:
        parser.parse(filled_in(shlex.split(line)[1:]), installed)
    except (parser.UsageProblem, SystemExit) as error:
        return f"{line}: {error}"
    return ""


def test_w12_every_command_that_a_message_advises_exists() -> None:
    found = {
        f"{path.name}: {line}": problem(line)
        for path in sources()
        for line in advised(path)
        if line not in PROSE
    }

    assert {place: why for place, why in found.items() if why} == {}


def test_w12_there_are_messages_that_advise_a_command() -> None:
    found = [line for path in sources() for line in advised(path)]

    assert "hasteward get backups" in found
    assert len(found) > 10


def test_l76_every_setting_is_in_the_reference_with_its_variables() -> None:
    page = (ROOT / "docs/reference/configuration.md").read_text(encoding="utf-8")
    missing = [name for setting in SETTINGS for name in setting.env if name not in page]

    assert missing == []
    assert sum(len(setting.env) for setting in SETTINGS) > 10


def test_l83_no_deadline_that_a_large_database_could_miss_is_fixed() -> None:
    names = {setting.name for setting in SETTINGS}
    theirs = {
        "stall_seconds": "stall_timeout",
        "heal_seconds": "heal_timeout",
        "delete_seconds": "delete_timeout",
    }

    assert set(theirs.values()) <= names
    # how long a statement may wait for somebody's lock is no question of size
    assert {field.name for field in fields(Tuning)} - set(theirs) == {"lock_seconds"}
