"""Every lesson that a step names has a test that says its number, in its name or in its docstring.

W and L are the lists of weaknesses and lessons that the project began with, modes the ways in which a
streamed backup fails, op the issues of mariadb-operator.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest


def numbered(kind: str, *spans: int | tuple[int, int]) -> tuple[str, ...]:
    """Numbers of a kind; a pair is all from one to the other."""
    found: list[str] = []
    for span in spans:
        first, last = span if isinstance(span, tuple) else (span, span)
        found += [f"{kind}{number}" for number in range(first, last + 1)]
    return tuple(found)


STEPS = {
    "the stream, the secrets and the rights": (
        *numbered("w", (4, 6), (12, 17), 20, 25),
        *numbered("l", (2, 5), 25, 71, 74, 76, 82, 83),
        *(f"mode_{number:02}" for number in range(1, 18)),
    ),
    "vault and standalone": ("l8labs", "w7", "vault_12168", "vault_15258", "planton_475", "borgmatic_1303"),
    "decisions and repair of PostgreSQL": (
        *numbered("w", (1, 4), 6, 8, (24, 31)),
        *numbered("l", (1, 38), (65, 70), (77, 81)),
        "cnpg_4990",
        "cnpg_10419",
    ),
    "galera": (
        *numbered("w", 7, 8, 10, 11, 20, 23),
        *numbered("l", 39, (45, 52), (54, 58), 60, 64),
        *numbered("op", 1108, 1626, 1701, 1905, 1757, 1863),
        "p01",
    ),
}


def spoken(root: Path) -> Iterator[str]:
    """What every test is called and says of itself, in small letters."""
    for file in (root / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield f"{node.name} {ast.get_docstring(node) or ''}".lower()


@pytest.fixture(scope="module")
def said(root: Path) -> frozenset[str]:
    """The numbers that tests say, as they are written in their names."""
    numbers = r"l8labs|w\d+|l\d+|op\d+|p01|mode_\d+|(?:vault|planton|borgmatic|cnpg)_\d+"
    whole = re.compile(rf"(?<![a-z0-9])(?:{numbers})(?![a-z0-9])")
    return frozenset(number for text in spoken(root) for number in whole.findall(text))


@pytest.mark.parametrize("step", STEPS)
def test_every_lesson_that_a_step_names_has_a_test_that_says_its_number(
    step: str, said: frozenset[str]
) -> None:
    assert [number for number in STEPS[step] if number not in said] == []
