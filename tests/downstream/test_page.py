"""The how-to pages show the toy's files as they are, and all of them."""

from __future__ import annotations

import re
from pathlib import Path

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
PAGES = ("write-an-engine.md", "prove-an-engine-on-real-servers.md")


def test_every_file_of_the_toy_is_on_a_page_as_it_is(toy: Path) -> None:
    page = "".join((HOW_TO / name).read_text(encoding="utf-8") for name in PAGES)
    shown = re.findall(r"^```(?:toml|python)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    files = {
        path.relative_to(toy).as_posix(): path.read_text(encoding="utf-8")
        for path in toy.rglob("*")
        if path.suffix in {".py", ".toml"}
    }

    assert sorted(shown) == sorted(files.values())
    assert [name for name in files if f"`{name}`" not in page] == []
