"""What is known about the bytes of one data snapshot: the proof, stored as JSON beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Section:
    """A contiguous range of the stored file that can be restored by itself.

    `kind` and `name` are the engine's words (``database``, ``app``); `offset` and `length` are bytes;
    `digest` is hexadecimal, by `algorithm` (``blake2b-256`` or ``sha256``), computed where the bytes were
    made and again here. `estimate` of a size never appears in a manifest: these are facts.

    The last `closing` bytes are for whoever reads the section as a file: a restore feeds the bytes before
    them, whose digest is `body_digest`. With none of them it is empty, and `digest` is that of all.
    """

    kind: str
    name: str
    offset: int
    length: int
    algorithm: str
    digest: str
    closing: int = 0
    body_digest: str = ""

    @property
    def fed_digest(self) -> str:
        """The digest of what a restore feeds."""
        return self.body_digest if self.closing else self.digest

    @property
    def key(self) -> str:
        """``kind:name``, unique in one manifest."""
        return f"{self.kind}:{self.name}" if self.name else self.kind


@dataclass(frozen=True, slots=True)
class Manifest:
    """The JSON document of a ``type=manifest`` snapshot.

    `size` is bytes; times are RFC 3339 in UTC. `catalog` is the engine's own: what was there (names,
    counts), never a secret.
    """

    run: str
    job: str
    engine: str
    namespace: str
    cluster: str
    type: str
    path: str
    format: str
    size: int
    sections: tuple[Section, ...]
    member: str
    server_version: str
    started: str
    finished: str
    tool_version: str
    catalog: Mapping[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA

    def section(self, key: str) -> Section | None:
        """The section called `key`, if there is one."""
        return next((section for section in self.sections if section.key == key), None)


def covers(sections: tuple[Section, ...], size: int) -> bool:
    """Whether the sections follow each other without gap or overlap from 0 to `size`."""
    position = 0
    for section in sections:
        if section.offset != position or not 0 <= section.closing <= section.length:
            return False
        position += section.length
    return position == size
