"""What an engine can do, declared by the engine itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Capability(StrEnum):
    """One per hook that an engine may implement."""

    TRIAGE = "triage"
    PLAN = "plan"
    HEAL = "heal"
    DUMP = "dump"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class Supported:
    """The engine implements the hook."""


@dataclass(frozen=True, slots=True)
class Unsupported:
    """The engine does not; `reason` is shown to the user. Never "the next engine"."""

    reason: str


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """How an engine introduces itself.

    `dump_file` is the last part of the snapshot path (``pgdumpall.sql``) and `dump_format` a stable name
    for what the file holds; both are empty for an engine that does not dump.
    """

    name: str
    title: str
    dump_file: str = ""
    dump_format: str = ""
    capabilities: Mapping[Capability, Supported | Unsupported] = field(default_factory=dict)

    def capability(self, wanted: Capability) -> Supported | Unsupported:
        """What the engine says of one hook; silence is a no."""
        return self.capabilities.get(wanted, Unsupported("the engine does not declare it"))
