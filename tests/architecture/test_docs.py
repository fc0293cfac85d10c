"""What the pages name must exist: tests, files, links."""

from __future__ import annotations

import re
from pathlib import Path

NAMED_TEST = re.compile(r"(?<!TEST: )`(tests/[\w/]+\.py)::(test_\w+)`")
LINK = re.compile(r"\[[^\]]+\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)")


def pages(root: Path) -> list[Path]:
    return sorted([*root.glob("*.md"), *(root / "docs").rglob("*.md")])


def test_every_test_that_a_page_names_exists(root: Path) -> None:
    offenders = [
        f"{page.relative_to(root)}: {file}::{name}"
        for page in pages(root)
        for file, name in NAMED_TEST.findall(page.read_text(encoding="utf-8"))
        if not (root / file).exists() or f"def {name}(" not in (root / file).read_text(encoding="utf-8")
    ]

    assert offenders == []


def test_every_link_to_a_file_leads_somewhere(root: Path) -> None:
    offenders = [
        f"{page.relative_to(root)}: {target}"
        for page in pages(root)
        for target in LINK.findall(page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]

    assert offenders == []
