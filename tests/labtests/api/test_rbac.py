"""Rights: the evaluator by itself, and the roles this project ships."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hasteward_lab.api.auth import bootstrap
from hasteward_lab.api.auth.identity import ANONYMOUS, User, service_account
from hasteward_lab.api.auth.rbac import Attributes, Authorizer, covers
from hasteward_lab.api.resources import ROLE_BINDINGS
from hasteward_lab.api.store import Store
from hasteward_lab.lab import Lab
from hasteward_lab.rights import Right, compare, granted, used
from hasteward_lab.state import LabError

JANE = User("jane", ("dev",))
PODS_RULE = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}


@pytest.mark.parametrize(
    ("rule", "wanted", "allowed"),
    [
        (PODS_RULE, {"resource": "pods"}, True),
        (PODS_RULE, {"resource": "pods", "verb": "list"}, False),
        (PODS_RULE, {"resource": "pods", "subresource": "exec"}, False),
        (PODS_RULE, {"resource": "pods", "group": "metrics.k8s.io"}, False),
        (PODS_RULE | {"resources": ["*"]}, {"resource": "pods", "subresource": "exec"}, True),
        (PODS_RULE | {"resources": ["*/exec"]}, {"resource": "pods", "subresource": "exec"}, True),
        (PODS_RULE | {"resources": ["*/exec"]}, {"resource": "pods"}, False),
        (PODS_RULE | {"resources": ["pods/exec"]}, {"resource": "pods"}, False),
        (PODS_RULE | {"verbs": ["*"]}, {"resource": "pods", "verb": "delete"}, True),
        (PODS_RULE | {"apiGroups": ["*"]}, {"resource": "pods", "group": "any"}, True),
        (PODS_RULE | {"resourceNames": ["a"]}, {"resource": "pods", "name": "a"}, True),
        (PODS_RULE | {"resourceNames": ["a"]}, {"resource": "pods", "name": "b"}, False),
        (PODS_RULE | {"resourceNames": ["a"]}, {"resource": "pods"}, False),
        ({"nonResourceURLs": ["/healthz"], "verbs": ["get"]}, {"path": "/healthz"}, True),
        ({"nonResourceURLs": ["/api/*"], "verbs": ["get"]}, {"path": "/api/v1"}, True),
        ({"nonResourceURLs": ["/api/*"], "verbs": ["get"]}, {"path": "/apis"}, False),
        (PODS_RULE, {"path": "/healthz"}, False),
    ],
)
def test_a_rule_covers_what_the_real_one_covers(
    rule: dict[str, Any], wanted: dict[str, str], allowed: bool
) -> None:
    assert covers(rule, Attributes(JANE, **{"verb": "get", **wanted})) is allowed


@pytest.fixture
def store() -> Store:
    fresh = Store()
    bootstrap.install(fresh, "db", "a certificate")
    return fresh


@pytest.mark.parametrize(
    ("user", "wanted", "allowed"),
    [
        (User("x", ("system:masters",)), {"verb": "delete", "resource": "nodes"}, True),
        (JANE, {"verb": "get", "path": "/apis"}, True),
        (ANONYMOUS, {"verb": "get", "path": "/apis"}, False),
        (ANONYMOUS, {"verb": "get", "path": "/version"}, True),
        (
            service_account("db", "hasteward-view"),
            {"verb": "list", "resource": "pods", "namespace": "db"},
            True,
        ),
        (
            service_account("db", "hasteward-view"),
            {"verb": "list", "resource": "pods", "namespace": "x"},
            False,
        ),
        (service_account("db", "hasteward-view"), {"verb": "list", "resource": "pods"}, False),
        (
            service_account("x", "hasteward-view"),
            {"verb": "list", "resource": "pods", "namespace": "db"},
            False,
        ),
    ],
)
def test_bindings_count_in_their_namespace_only(
    store: Store, user: User, wanted: dict[str, str], allowed: bool
) -> None:
    assert Authorizer(store).decide(Attributes(user, **wanted)).allowed is allowed


def test_a_binding_to_a_role_that_is_gone_says_so(store: Store) -> None:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "gone"}
    meta = {"name": "b", "namespace": "db"}
    subjects = [{"kind": "User", "name": "jane"}]
    store.create(ROLE_BINDINGS, {"metadata": meta, "roleRef": reference, "subjects": subjects})
    decision = Authorizer(store).decide(Attributes(JANE, "get", resource="pods", namespace="db"))
    assert decision.reason == 'RBAC: role.rbac.authorization.k8s.io "gone" not found'


def test_the_shipped_roles_grow_from_view_to_repair() -> None:
    folder = bootstrap.manifests()
    view, backup, repair = (granted(folder, role) for role in ("view", "backup", "repair"))
    assert view < backup <= repair
    assert not any("exec" in right.resource or right.resource == "secrets" for right in view)
    assert not any(right.verb == "*" or right.resource == "*" for right in repair)


def test_granted_and_used_are_held_against_each_other(tmp_path: Path) -> None:
    rule = "- {apiGroups: [''], resources: [pods, pods/exec], verbs: [get, create]}"
    (tmp_path / "view.yaml").write_text(f"rules:\n{rule}\n")
    row = {"user": "system:serviceaccount:db:hasteward-view", "group": "", "resource": "pods", "code": 200}
    audit = [row | {"subresource": "exec", "verb": "get"}, row | {"subresource": "", "verb": "list"}]
    found = compare(audit, tmp_path, "view")
    assert found.not_granted == {Right("", "pods", "list")}
    assert found.not_used == {Right("", "pods", "get"), Right("", "pods", "create")}
    assert str(found).splitlines()[0] == "used, not granted: list pods"
    assert used(audit, "backup") == frozenset()


@pytest.mark.servers
def test_every_shipped_right_is_enforced_and_nothing_else(lab: Lab) -> None:
    tokens = lab.state.load_config().tokens
    paths = {
        "clusters": "/apis/postgresql.cnpg.io/v1/namespaces/db/clusters",
        "pods": "/api/v1/namespaces/db/pods",
        "persistentvolumeclaims": "/api/v1/namespaces/db/persistentvolumeclaims",
        "secrets": "/api/v1/namespaces/db/secrets",
        "leases": "/apis/coordination.k8s.io/v1/namespaces/db/leases",
    }
    for role in ("view", "backup", "repair"):
        listed = {right.resource for right in granted(bootstrap.manifests(), role) if right.verb == "list"}
        for name, path in paths.items():
            if name in listed:
                lab.client.call("GET", path, token=tokens[role])
                continue
            with pytest.raises(LabError, match=f'cannot list resource "{name}"'):
                lab.client.call("GET", path, token=tokens[role])


@pytest.mark.servers
def test_an_exec_needs_the_role_that_has_it(lab: Lab) -> None:
    async def run(identity: str) -> int:
        try:
            async with lab.client.open_exec("pg-1", ["true"], identity=identity):
                return 101
        except aiohttp.WSServerHandshakeError as error:
            return error.status

    assert [asyncio.run(run(role)) for role in ("view", "backup", "repair")] == [403, 101, 101]
