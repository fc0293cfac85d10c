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
    NATIVE = "native"
    EXTRACT = "extract"


#: what few engines have a use for; one that says nothing of them does not offer them
OCCASIONAL = frozenset({Capability.NATIVE, Capability.EXTRACT})


@dataclass(frozen=True, slots=True)
class Supported:
    """The engine implements the hook."""


@dataclass(frozen=True, slots=True)
class Unsupported:
    """The engine does not; `reason` is shown to the user. Never "the next engine"."""

    reason: str


@dataclass(frozen=True, slots=True)
class Right:
    """One thing that the Kubernetes API must allow, in the words of an RBAC rule."""

    verb: str
    group: str
    resource: str
    subresource: str = ""

    def __str__(self) -> str:
        name = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {name}{'/' + self.subresource if self.subresource else ''}"


@dataclass(frozen=True, slots=True)
class DumpLayout:
    """How a dump lies in the repository: the last part of its path, and a stable name for its format."""

    file: str
    format: str


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """How an engine introduces itself.

    `rights` are what the engine itself needs for a capability; a run asks for them before it begins.
    `dump_file` is the last part of the snapshot path (``pgdumpall.sql``) and `dump_format` a stable name
    for what the file holds; both are empty for an engine that does not dump. `via` says that the engine also
    works without Kubernetes, on a host that ``--via`` leads to. `capture` says how
    the files of a member lie in the repository, for an engine whose repair captures them.
    """

    name: str
    title: str
    dump_file: str = ""
    dump_format: str = ""
    capabilities: Mapping[Capability, Supported | Unsupported] = field(default_factory=dict)
    rights: Mapping[Capability, tuple[Right, ...]] = field(default_factory=dict)
    via: bool = False
    capture: DumpLayout | None = None

    def capability(self, wanted: Capability) -> Supported | Unsupported:
        """What the engine says of one hook; silence is a no."""
        return self.capabilities.get(wanted, Unsupported("the engine does not declare it"))
