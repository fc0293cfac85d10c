"""Pieces of Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence


def anchor(title: str) -> str:
    """The fragment that a heading gets."""
    return re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A Markdown table and an empty line."""
    for row in (header, ("---",) * len(header), *rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
    yield ""


def code(text: object) -> str:
    """In backticks; nothing for nothing."""
    return f"`{text}`" if text not in (None, "") else ""


def prose(text: str | None) -> str:
    """A docstring as Markdown: dedented, with single backticks."""
    return inspect.cleandoc(text or "").replace("``", "`")
