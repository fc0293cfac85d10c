"""The order of the tests: what takes longest begins first, so that no worker is left with it at the end."""

from __future__ import annotations

import pytest

FIRST = ("scenarios", "engines", "labtests", "docs")
#: folders below labtests whose tests watch an emulated operator at work for minutes
PATIENT = {"api", "cnpg", "chaos", "scenarios"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        parts = item.path.parts
        return next((place for place, name in enumerate(FIRST) if name in parts), len(FIRST))

    for item in items:
        parts = item.path.parts
        if "labtests" in parts and PATIENT & set(parts[parts.index("labtests") :]):
            item.add_marker(pytest.mark.long)
    items.sort(key=rank)
