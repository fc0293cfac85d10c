"""Which cluster a run is about."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hasteward.domain.errors import InvalidInput

_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class ClusterRef:
    """A database cluster under care: the engine that owns it, its namespace and the name of its CR."""

    engine: str
    namespace: str
    name: str

    def __post_init__(self) -> None:
        """Refuse names that Kubernetes could not have given (they become paths and tags)."""
        for what, value in (("engine", self.engine), ("namespace", self.namespace), ("cluster", self.name)):
            if not _DNS_LABEL.fullmatch(value):
                raise InvalidInput(f"{what} {value!r} is not a Kubernetes name")

    def __str__(self) -> str:
        return f"{self.engine}/{self.namespace}/{self.name}"
