"""Writes docs/reference from the code: the tables the command line is made of, the shapes, the hooks.

usage: generate [--check]     --check writes nothing and names the files that are not current (exit 1)
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from answers import json_answers, jsonl_events, schema_file
from conformance import conformance
from contract import hooks
from options import commands, configuration
from refusals import refusals
from statuses import exit_codes

from hasteward.cli.render import schema, shapes

ROOT = Path(__file__).resolve().parents[3]
REFERENCE = ROOT / "docs" / "reference"
#: one written by hand, whose list of scenarios is checked by the lab's own tests, and those by `make bench`
OTHERS = {
    REFERENCE / name for name in ("lab.md", "performance.md", "performance-galera.md", "time-to-healthy.md")
}
MADE = "<!-- Made by tools/docs from the code; do not edit. -->\n"


def main() -> int:
    """Write the pages, or with ``--check`` compare them."""
    pages = {REFERENCE / name: text for name, text in files()}
    known = {path for pattern in ("*.md", "schema/*") for path in REFERENCE.glob(pattern)} - OTHERS
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text("utf-8") != text]
    surplus = sorted(known - set(pages))
    if sys.argv[1:] == ["--check"]:
        for path in [*stale, *surplus]:
            print(f"{path.relative_to(ROOT)} is not current; run tools/docs")
        return 1 if stale or surplus else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(pages[path], encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
    for path in surplus:
        path.unlink()
        print(f"removed {path.relative_to(ROOT)}")
    return 0


def files() -> Iterator[tuple[str, str]]:
    """Every file below docs/reference with its text."""
    makers: dict[str, Callable[[], Iterator[str]]] = {
        "commands.md": commands,
        "configuration.md": configuration,
        "exit-codes.md": exit_codes,
        "refusals.md": refusals,
        "json.md": json_answers,
        "events.md": jsonl_events,
        "hooks.md": hooks,
        "conformance.md": conformance,
    }
    for name, maker in makers.items():
        title, *rest = maker()
        yield name, "\n".join([title, "", MADE, *rest]).rstrip() + "\n"
    for command in shapes.DATA:
        yield schema_file(command), json.dumps(schema.schema(command), indent=2) + "\n"
    yield "schema/events.json", json.dumps(schema.events_schema(), indent=2) + "\n"
    yield "schema/report.json", json.dumps(schema.report_schema(), indent=2) + "\n"


if __name__ == "__main__":
    sys.exit(main())
