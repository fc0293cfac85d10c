"""Several questions in one exec: their answers come one after the other, each under ``@@ NAME EXIT-STATUS``.

An exec costs a round trip and a process; a script that asks five things costs them once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_MARK = re.compile(r"@@ ([a-z]+) (\d+)")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one command said."""

    exit_status: int
    text: str


def split_answers(text: str) -> dict[str, Answer]:
    """The answers, by name; each without the empty lines around it. What stands before the first is nobody's.

    Lines end with a newline and with nothing else: other characters that begin one may stand in a value.
    """
    found: dict[str, Answer] = {}
    name, status, lines = "", 0, list[str]()
    for line in [*text.split("\n"), "@@ end 0"]:
        mark = _MARK.fullmatch(line)
        if mark is None:
            lines.append(line)
            continue
        if name:
            found[name] = Answer(status, "\n".join(lines).strip("\n"))
        name, status, lines = mark[1], int(mark[2]), []
    return found
