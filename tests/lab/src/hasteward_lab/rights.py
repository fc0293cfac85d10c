"""The rights a role is granted, and those the audit log saw used: they are to be the same set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

# Everybody who is logged in may ask these; no role of ours grants them.
_FREE = {"selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"}
_STREAMS = {"pods/exec", "pods/attach", "pods/portforward"}


@dataclass(frozen=True, order=True)
class Right:
    """One verb on one resource, as a rule names it."""

    group: str
    resource: str
    verb: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{'.' + self.group if self.group else ''}"


@dataclass(frozen=True)
class Difference:
    """What was used without being granted, and granted without being used."""

    not_granted: frozenset[Right]
    not_used: frozenset[Right]

    def __bool__(self) -> bool:
        return bool(self.not_granted or self.not_used)

    def __str__(self) -> str:
        lines = [f"used, not granted: {right}" for right in sorted(self.not_granted)]
        return "\n".join([*lines, *(f"granted, not used: {right}" for right in sorted(self.not_used))])


def granted(folder: Path, role: str) -> frozenset[Right]:
    """The rights of one of the roles in `deploy/rbac`: `view`, `backup` or `repair`."""
    rules = yaml.safe_load((folder / f"{role}.yaml").read_text(encoding="utf-8"))["rules"]
    return frozenset(
        Right(group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    )


def used(audit: Iterable[Mapping[str, Any]], role: str) -> frozenset[Right]:
    """The rights one of the roles used, in any namespace; a call that was refused counts as well."""
    found = set()
    for row in audit:
        if not row["user"].endswith(f":hasteward-{role}") or row["resource"] in _FREE:
            continue
        below = f"/{row['subresource']}" if row["subresource"] else ""
        resource = f"{row['resource']}{below}"
        found.add(Right(row["group"], resource, row["verb"]))
        if resource in _STREAMS and row["verb"] == "get":
            # A WebSocket is authorized twice.
            found.add(Right(row["group"], resource, "create"))
    return frozenset(found)


def compare(audit: Iterable[Mapping[str, Any]], folder: Path, role: str) -> Difference:
    """Hold the audit log of a whole suite against a shipped role, in both directions."""
    have, need = granted(folder, role), used(audit, role)
    return Difference(need - have, have - need)
