"""Servers that apply whatever one of them is told, as a Galera cluster does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from hasteward.domain.errors import Refused
from hasteward.ports.context import EngineContext, RestoreOptions


class Group(Protocol):
    """The other members of the server that a restore goes to."""

    def agree(self, context: EngineContext, schemas: Sequence[str]) -> list[str]:
        """Raise Unproven unless every member holds the same in `schemas`; what was compared, in words."""


def check_replicated(entries: Mapping[str, Mapping[str, Any]], options: RestoreOptions) -> list[str]:
    """Rows of tables that are not InnoDB stay on the one member that was told them; notes for the plan."""
    lost = [
        f"{schema}.{table} ({engine})"
        for schema, entry in entries.items()
        for table, engine in dict(entry.get("tables", {})).items()
        if engine and engine != "InnoDB"
    ]
    if not lost:
        return []
    if options.force:
        return [f"FORCED past: rows of {', '.join(lost)} are not replicated, so the members will differ"]
    raise Refused(
        f"Galera replicates rows of InnoDB alone, and the snapshot has other tables: {', '.join(lost)}",
        hint="restore the other schemas with --database NAME, or load these by hand from hasteward export;"
        " --force restores them on one member",
        code="restore.not_replicated",
    )
