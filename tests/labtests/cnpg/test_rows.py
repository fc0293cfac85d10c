"""Every row of the ranking of what an emulator must get right has its test, and each test its source."""

from __future__ import annotations

import ast
import re
from pathlib import Path

# Where CloudNativePG says so: a file of its sources, by the prefixes of the tests' folders, or of its manual.
SOURCE = re.compile(r"\b(IC|IMC|PMP|CMD|PLG|API|pkg|docs|internal)/[\w./]+")


def functions() -> list[ast.FunctionDef]:
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in Path(__file__).parent.glob("test_*.py"))
    return [node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)]


def test_each_of_the_fifteen_rows_has_a_test() -> None:
    found = {int(number) for test in functions() for number in re.findall(r"row_(\d\d)", test.name)}
    assert found == set(range(1, 16))


def test_each_of_these_tests_names_its_source() -> None:
    rows = [test for test in functions() if re.match(r"test_row_\d\d", test.name)]
    assert [test.name for test in rows if not SOURCE.search(ast.get_docstring(test) or "")] == []
