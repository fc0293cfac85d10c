"""The order of the tests: what takes longest begins first, so that no worker is left with it at the end."""

from __future__ import annotations

import pytest

FIRST = ("scenarios", "engines", "labtests", "docs")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        parts = item.path.parts
        return next((place for place, name in enumerate(FIRST) if name in parts), len(FIRST))

    items.sort(key=rank)
