"""What must not get into the repository, and what must not be there without its reason."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

Sources = list[tuple[str, str, ast.Module]]

#: pieces, so that this file does not hold what it looks for
REGISTRIES = (
    ("pypi", "org"),
    ("pythonhosted", "org"),
    ("npmjs", "org"),
    ("npmjs", "com"),
    ("crates", "io"),
    ("golang", "org"),
    ("anaconda", "org"),
    ("deb", "debian", "org"),
    ("security", "debian", "org"),
    ("archive", "ubuntu", "com"),
)
PIP_SWITCH = re.compile(
    r"^\s*(-i|--index-url|--extra-index-url|-f|--find-links|--trusted-host)\b", re.MULTILINE
)
IGNORED_CODE = re.compile(r"""^\s*"[A-Z]+[0-9]*",""")
NOQA = re.compile(r"#\s*(?:ruff:\s*)?noqa\b:?\s*(?P<codes>(?:[A-Z]+[0-9]+[,\s]*)*)(?P<reason>.*)")


def test_no_file_names_a_package_registry(tracked: list[tuple[str, str]]) -> None:
    pattern = re.compile("|".join(r"\.".join(pieces) for pieces in REGISTRIES))
    offenders = [
        f"{name}:{number}"
        for name, text in tracked
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]

    assert offenders == []


def test_no_pin_says_where_it_is_fetched_from(tracked: list[tuple[str, str]]) -> None:
    offenders = [
        name for name, text in tracked if name.startswith("constraints/") and PIP_SWITCH.search(text)
    ]

    assert offenders == []


def test_no_file_knows_where_the_checkout_lies(tracked: list[tuple[str, str]], root: Path) -> None:
    if len(root.parts) <= 2:
        pytest.skip(f"{root} is too short a path to look for")
    pattern = re.compile(rf"(?<![\w./-]){re.escape(str(root))}(?![\w-])")
    offenders = [name for name, text in tracked if pattern.search(text)]

    assert offenders == []


def test_every_rule_that_is_off_says_why(root: Path) -> None:
    lines = (root / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    start = lines.index("[tool.ruff.lint]")
    end = lines.index("[tool.ruff.lint.mccabe]")
    rules = [line for line in lines[start:end] if IGNORED_CODE.match(line) or '"] ' in f"{line} "]
    offenders = [line.strip() for line in rules if "select" not in line and " # " not in line]

    assert rules
    assert offenders == []


def test_every_suppression_in_the_code_says_why(sources: Sources) -> None:
    offenders = [
        f"{place}:{number}: {line.strip()}"
        for place, text, tree in sources
        for number, line in enumerate(text.splitlines(), 1)
        if (match := NOQA.search(line)) and not match["reason"].strip(" -:")
    ]

    assert offenders == []


def test_every_dependency_is_pinned_within_its_range(root: Path) -> None:
    pins = dict(
        re.findall(
            r"^([a-z0-9-]+)==([^ ;\\]+)", (root / "constraints/requirements.txt").read_text(), re.MULTILINE
        )
    )
    offenders = []
    for path in [
        root / "pyproject.toml",
        *root.glob("core/*.toml"),
        *root.glob("engines/*/*.toml"),
        *root.glob("tests/lab/*.toml"),
    ]:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
        wanted = [
            *settings["project"].get("dependencies", []),
            *settings.get("dependency-groups", {}).get("dev", []),
        ]
        for requirement in map(Requirement, wanted):
            name = canonicalize_name(requirement.name)
            if name.startswith("hasteward"):
                continue
            if name not in pins or not requirement.specifier.contains(pins[name]):
                offenders.append(f"{path.relative_to(root)}: {requirement} (run tools/lock)")

    assert offenders == []
