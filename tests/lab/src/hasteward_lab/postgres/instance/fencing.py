"""The fencing annotation: who is fenced. Used by the instance manager and by the operator."""

from __future__ import annotations

import json
from typing import Any

ANNOTATION = "cnpg.io/fencedInstances"
ALL = "*"


def fenced_names(cluster: dict[str, Any]) -> frozenset[str]:
    """The names in the annotation; what cannot be read counts as nobody fenced."""
    text = cluster.get("metadata", {}).get("annotations", {}).get(ANNOTATION, "")
    try:
        names = json.loads(text) if text else []
    except ValueError:
        return frozenset()
    if not isinstance(names, list):
        return frozenset()
    return frozenset(name for name in names if isinstance(name, str))


def is_fenced(cluster: dict[str, Any], pod: str) -> bool:
    """Say whether this instance is to keep its server down."""
    names = fenced_names(cluster)
    return ALL in names or pod in names
