"""exit-codes.md, from the enum of exit codes and the tree of errors."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

from pieces import code, prose, table

from hasteward.cli import reporting
from hasteward.cli.main import BadUsage
from hasteward.cli.parser import load_verb
from hasteward.cli.verb import VERBS
from hasteward.domain import errors

CORE = Path(__file__).resolve().parents[3] / "core" / "src"


def exit_codes() -> Iterator[str]:
    """The statuses, and the codes of errors."""
    yield "# Exit codes"
    yield "The exit status of every command. Treat a status that is not in this table as a failure."
    yield ""
    said = re.findall(r"#: (.+)\n\s+(\w+) = \d+", inspect.getsource(errors.ExitCode))
    meanings = {name: meaning for meaning, name in said} | {"OK": "done"}
    rows = [(str(one.value), one.name, meanings[one.name], takers(one)) for one in errors.ExitCode]
    yield from table(("status", "name", "meaning", "said by"), rows)
    yield "0, 1, 2 and 130 can come from every command, and so can 3: a setting that cannot be used ends it."
    yield "[Commands](commands.md) says what a status means for one of them."
    yield "21 is refused, with nothing touched: the error's `code` in `--output json` tells why."
    yield ""
    yield "## Error codes"
    yield ""
    yield "With `--output json` or `jsonl` an error also has a `code`, a `category` and `retryable`"
    yield "([JSON answers](json.md)). `code` is stable. It is the general one of its kind,"
    yield "or a more particular one; the exit status is the same for both."
    yield ""
    general = [
        (
            str(kind.exit_code.value),
            code(kind.code),
            str(reporting.category(kind(""))),
            "yes" if kind.retryable else "no",
            prose(kind.__doc__).rstrip("."),
        )
        for kind in kinds()
    ]
    yield from table(("status", "general code", "category", "retryable", "meaning"), general)
    yield "More particular codes of the core, by exit status:"
    yield ""
    for status, names in sorted(particular_codes().items()):
        yield f"* {status}: {', '.join(map(code, sorted(names)))}"
    yield ""
    yield "`internal` is a mistake in hasteward itself: run the command again with `--verbose` and report it."
    yield "Engines add codes of their own."


def takers(wanted: errors.ExitCode) -> str:
    """The commands that name the status in their own words."""
    return ", ".join(code(name) for name in VERBS if wanted in load_verb(name).exit_codes)


def kinds() -> Iterator[type[errors.HastewardError]]:
    """The classes of errors, in the order of the tree."""
    yield errors.RunFailed
    yield BadUsage
    for one in vars(errors).values():
        one_of_ours = isinstance(one, type) and issubclass(one, errors.HastewardError)
        if one_of_ours and one not in {errors.HastewardError, errors.RunFailed}:
            yield one


def particular_codes() -> dict[int, set[str]]:
    """Every ``SomeError(..., code="...")`` in core, by exit status."""
    found: dict[int, set[str]] = {}
    for path in sorted(CORE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            kind = getattr(errors, node.func.id, None)
            for keyword in node.keywords:
                value = keyword.value
                if keyword.arg == "code" and isinstance(value, ast.Constant) and isinstance(kind, type):
                    found.setdefault(int(kind.exit_code), set()).add(str(value.value))  # type: ignore[attr-defined]
    found.get(1, set()).discard("internal")
    return found
