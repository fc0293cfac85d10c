"""Every lesson that step 3 names has a test that begins with its number."""

from __future__ import annotations

import re
from pathlib import Path

LESSONS = (
    *(f"w{number}" for number in (4, 5, 6, 12, 13, 14, 15, 16, 17, 20, 25)),
    *(f"l{number}" for number in (2, 3, 4, 5, 25, 71, 74, 76, 82, 83)),
    *(f"mode_{number:02}" for number in range(1, 18)),
    "vault_12168",
    "vault_15258",
    "planton_475",
    "l8labs",
)


def test_every_named_lesson_has_a_test_of_its_name(root: Path) -> None:
    files = (root / "tests").rglob("test_*.py")
    names = {
        name for file in files for name in re.findall(r"^def test_(\w+)", file.read_text(), re.MULTILINE)
    }

    missing = [lesson for lesson in LESSONS if not any(name.startswith(f"{lesson}_") for name in names)]

    assert missing == []
