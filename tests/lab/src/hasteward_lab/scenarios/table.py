"""The list of scenarios as the documentation has it: `python -m hasteward_lab.scenarios.table FILE`."""

from __future__ import annotations

import sys
from pathlib import Path

from hasteward_lab.scenarios import load
from hasteward_lab.scenarios.model import Scenario

_BEGIN, _END = "<!-- scenarios: begin -->\n", "<!-- scenarios: end -->\n"


def page(scenarios: list[Scenario]) -> str:
    """The table: what it is, where it comes from, the true verdict, who has every commit."""
    rows = ["| scenario | what is wrong | source | authority | every commit on |", "|---|---|---|---|---|"]
    for each in scenarios:
        newest = ", ".join(each.expect.newest) or "nobody"
        rows.append(f"| `{each.name}` | {each.title} | {each.source} | {each.expect.authority} | {newest} |")
    return "\n".join(rows) + "\n"


def current(text: str) -> str:
    """The table a document holds."""
    return text.partition(_BEGIN)[2].partition(_END)[0]


def main(argv: list[str]) -> int:
    """Write the table into a document that has its marks."""
    path = Path(argv[0])
    text = path.read_text(encoding="utf-8")
    head, begin, rest = text.partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    path.write_text(head + begin + page(load.all_scenarios(None)) + end + tail, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
