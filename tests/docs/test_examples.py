"""Every piece of a configuration file that a page shows is one that is understood."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hasteward.config.file import read

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = {
    page.name: blocks
    for page in sorted((ROOT / "docs").rglob("*.md"))
    # a pyproject.toml is none of ours
    if (blocks := [one for one in BLOCK.findall(page.read_text("utf-8")) if "[project]" not in one])
}


@pytest.mark.parametrize("page", PAGES)
def test_every_configuration_of_a_page_is_understood(page: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"

    for block in PAGES[page]:
        path.write_text(block)
        assert read(str(path), {}).values


def test_pages_show_some() -> None:
    assert {"configuration.md", "be-told-when-a-run-fails.md"} <= set(PAGES)
