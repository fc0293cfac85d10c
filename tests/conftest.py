"""Which tests stay together and what begins first (`make test` hands groups to its workers, one at a time).

Tests that share servers are one group, so that each set of servers is made once and at most one of a kind
lives at a time; all other tests go by file. What takes longest begins first: no worker is left with it.
"""

from __future__ import annotations

import pytest

#: folders whose tests share their servers, the longest first
TOGETHER = ("scenarios", "engines", "labtests")
FIRST = (*TOGETHER, "docs")
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
        place = rank(item)
        item.add_marker(pytest.mark.xdist_group(TOGETHER[place] if place < len(TOGETHER) else str(item.path)))
    items.sort(key=rank)
