"""Which tests stay together and what begins first (`make test` hands groups to its workers, one at a time).

The files of a folder that share servers are one group, so that its servers are made once and not once per
worker; every other file is a group of its own. What takes longest begins first: no worker is left with it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

#: folders whose tests share their servers, and the tutorial, which has a lab of its own
FIRST = ("scenarios", "engines", "labtests", "docs")


def pytest_configure() -> None:
    """What `tools/setup` has fetched is found, however pytest was started."""
    tools = Path(__file__).parents[1] / ".tools" / "bin"
    os.environ["PATH"] = f"{tools}{os.pathsep}{os.environ['PATH']}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        parts = item.path.parts
        return next((place for place, name in enumerate(FIRST) if name in parts), len(FIRST))

    items.sort(key=rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Our groups. (Groups by mark, `--dist loadgroup`, do nothing with pytest 9.2 and xdist 3.8.)"""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(config.rootpath, nodeid.partition("::")[0])

    return Groups(config, log)


def group_of(root: Path, file: str) -> str:
    folder = Path(file).parent
    shared = set(FIRST) & set(folder.parts) and "mark.servers" in (root / file).read_text(encoding="utf-8")
    return str(folder) if shared else file
