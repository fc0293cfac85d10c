"""RBAC as the API server evaluates it: allowed is what some rule of some binding allows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hasteward_lab.api.auth.identity import User
from hasteward_lab.api.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES
from hasteward_lab.api.store import Store

Object = dict[str, Any]

MASTERS = "system:masters"


@dataclass(frozen=True)
class Attributes:
    """What somebody wants to do: to a resource, or to a bare path."""

    user: User
    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def combined(self) -> str:
        """The resource as rules name it."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


@dataclass(frozen=True)
class Decision:
    """Whether it is allowed; the reason speaks only where there is something to say."""

    allowed: bool
    reason: str = ""


class Authorizer:
    """Answers from the role and binding objects as they are now."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def decide(self, wanted: Attributes) -> Decision:
        """Say whether the user may."""
        if MASTERS in wanted.user.groups:
            return Decision(allowed=True)
        lost: list[str] = []
        for rule, how in self._rules(wanted.user, wanted.namespace, lost):
            if covers(rule, wanted):
                return Decision(allowed=True, reason=f"RBAC: allowed by {how}")
        return Decision(allowed=False, reason=f"RBAC: {lost[0]}" if lost else "")

    def rules(self, user: User, namespace: str) -> list[Object]:
        """Every rule that holds for a user in a namespace."""
        if MASTERS in user.groups:
            return [EVERYTHING, EVERY_PATH]
        return [rule for rule, _ in self._rules(user, namespace, [])]

    def _rules(self, user: User, namespace: str, lost: list[str]) -> Iterator[tuple[Object, str]]:
        for binding in self._store.listing(CLUSTER_ROLE_BINDINGS):
            yield from self._bound(binding, "", user, lost)
        if namespace:
            for binding in self._store.listing(ROLE_BINDINGS, namespace):
                yield from self._bound(binding, namespace, user, lost)

    def _bound(
        self, binding: Object, namespace: str, user: User, lost: list[str]
    ) -> Iterator[tuple[Object, str]]:
        subject = next((s for s in binding.get("subjects") or [] if _is(s, user, namespace)), None)
        if subject is None:
            return
        reference = binding["roleRef"]
        cluster_wide = reference["kind"] == "ClusterRole"
        resource = CLUSTER_ROLES if cluster_wide else ROLES
        role = self._store.find(resource, "" if cluster_wide else namespace, reference["name"])
        if role is None:
            plural = f"{reference['kind'].lower()}.rbac.authorization.k8s.io"
            lost.append(f'{plural} "{reference["name"]}" not found')
            return
        name = binding["metadata"]["name"]
        where = f'RoleBinding "{name}/{namespace}"' if namespace else f'ClusterRoleBinding "{name}"'
        to = f'{subject["kind"]} "{_told(subject, namespace)}"'
        for rule in role.get("rules") or []:
            yield rule, f'{where} of {reference["kind"]} "{reference["name"]}" to {to}'


EVERYTHING: Object = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
EVERY_PATH: Object = {"nonResourceURLs": ["*"], "verbs": ["*"]}


def _told(subject: Object, namespace: str) -> str:
    if subject["kind"] != "ServiceAccount":
        return str(subject["name"])
    return f"{subject['name']}/{subject.get('namespace') or namespace}"


def _is(subject: Object, user: User, namespace: str) -> bool:
    kind, name = subject.get("kind"), subject.get("name", "")
    if kind == "User":
        return bool(user.name == name)
    if kind == "Group":
        return name in user.all_groups
    where = subject.get("namespace") or namespace
    return kind == "ServiceAccount" and bool(where) and user.name == f"system:serviceaccount:{where}:{name}"


def covers(rule: Object, wanted: Attributes) -> bool:
    """Say whether one rule allows what is wanted."""
    if not _any(rule.get("verbs"), wanted.verb):
        return False
    if wanted.path:
        return any(_path(pattern, wanted.path) for pattern in rule.get("nonResourceURLs") or [])
    names = rule.get("resourceNames") or []
    return (
        _any(rule.get("apiGroups"), wanted.group)
        and any(_resource(row, wanted) for row in rule.get("resources") or [])
        and (not names or wanted.name in names)
    )


def _any(values: list[str] | None, wanted: str) -> bool:
    return "*" in (values or ()) or wanted in (values or ())


def _resource(row: str, wanted: Attributes) -> bool:
    if row in {"*", wanted.combined}:
        return True
    return bool(wanted.subresource) and row == f"*/{wanted.subresource}"


def _path(pattern: str, path: str) -> bool:
    if pattern.endswith("*"):
        return path.startswith(pattern[:-1])
    return pattern == path
