"""conformance.md, from the docstrings of both tiers of the kit."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator

from pieces import prose, table

from hasteward.testing import conformance as fakes
from hasteward_lab import conformance as lab

TIERS = {
    "On fakes: `hasteward.testing`": (
        fakes.InfoConformance,
        fakes.TriageConformance,
        fakes.DumpConformance,
        fakes.RestoreConformance,
        fakes.HealConformance,
        fakes.StopConformance,
        fakes.NativeConformance,
        fakes.ExtractConformance,
    ),
    "On real servers: `hasteward_lab.conformance`": (
        lab.TriageConformance,
        lab.DumpConformance,
        lab.RestoreConformance,
        lab.HealConformance,
    ),
}


def conformance() -> Iterator[str]:
    """What an engine must keep."""
    yield "# Conformance"
    yield "What every engine must keep, as tests to subclass. An engine that keeps the first part is listed,"
    yield "one that keeps the second as well is called supported."
    yield "What it does not offer is skipped, with its own reason."
    yield "[Write an engine](../how-to/write-an-engine.md) shows the first,"
    yield "[Prove an engine on real servers](../how-to/prove-an-engine-on-real-servers.md) the second."
    yield ""
    for title, classes in TIERS.items():
        yield f"## {title}"
        yield ""
        for each in classes:
            yield f"### {each.__name__}"
            yield ""
            yield prose(each.__doc__)
            yield ""
            yield from table(("test", "what it shows"), _rows(each))
    yield "## The part that you write: `Site`"
    yield ""
    yield prose(lab.Site.__doc__)
    yield ""
    members = {name: found for name, found in vars(lab.Site).items() if _is_shown(name, found)}
    rows = [(f"`{name}`", _first(found)) for name, found in members.items()]
    yield from table(("member", "what it is for"), rows)


def _rows(each: type) -> Iterator[tuple[str, str]]:
    for name, test in vars(each).items():
        if name.startswith("test_"):
            marks = {mark.name for mark in getattr(test, "pytestmark", ())}
            words = name.removeprefix("test_").replace("_", " ") + (" (long)" if "long" in marks else "")
            yield words, " ".join(inspect.cleandoc(test.__doc__ or "").split())


def _is_shown(name: str, found: object) -> bool:
    return not name.startswith("_") and isinstance(found, Callable | classmethod)  # type: ignore[arg-type]


def _first(found: object) -> str:
    return " ".join(inspect.cleandoc(found.__doc__ or "").split("\n\n")[0].split())
