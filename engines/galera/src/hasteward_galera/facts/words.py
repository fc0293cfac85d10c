"""Numbers as people read them. Pure."""

from __future__ import annotations

from hasteward_sql.words import counted, human

__all__ = ["counted", "human", "listed"]


def listed(names: object) -> str:
    """``a, b`` in order; ``nobody`` when there is none."""
    found = sorted(str(name) for name in names) if isinstance(names, (frozenset, set, tuple, list)) else []
    return ", ".join(found) or "nobody"
