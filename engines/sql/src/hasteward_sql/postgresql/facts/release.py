"""Which PostgreSQL it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Release:
    """`text` is how the server says it (``15.19 (Debian ...)``), `number` is ``server_version_num``."""

    text: str
    number: int

    @property
    def major(self) -> int:
        """The major version."""
        return self.number // 10000
