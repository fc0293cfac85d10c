"""How the operator's versions differ where it matters to others."""

from __future__ import annotations

from dataclasses import dataclass

from hasteward_lab.state import LabError


@dataclass(frozen=True)
class Level:
    """What one version does."""

    version: str
    #: a pod of no history is left out, and the flag of a clean stop no longer chooses by itself
    skips_empty: bool
    #: when a bootstrap took too long, what was found before is kept
    keeps_findings: bool


_LEVELS = {
    "26.6": Level("26.6.0", skips_empty=False, keeps_findings=False),
    "26.10": Level("26.10.0", skips_empty=True, keeps_findings=True),
}


def level(name: str) -> Level:
    """The level of a name; LabError with the names there are."""
    if name not in _LEVELS:
        raise LabError(f"mariadb-operator {name!r} is not modelled: {', '.join(_LEVELS)}")
    return _LEVELS[name]
