"""What the demo shows as typed is what it runs."""

from __future__ import annotations

import shlex

import pytest

from hasteward_lab.demo.stage import shown


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["psql", "-c", "UPDATE t SET a = 'x'"], """psql -c "UPDATE t SET a = 'x'\""""),
        (["psql", "-c", "SELECT 1"], "psql -c 'SELECT 1'"),
        (["echo", "it's $5"], """echo 'it'"'"'s $5'"""),
        (["plain"], "plain"),
    ],
)
def test_a_command_is_shown_so_that_it_can_be_read(words: list[str], line: str) -> None:
    assert shown(words) == line
    assert shlex.split(line) == words
