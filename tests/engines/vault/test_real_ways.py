"""Every way to a token, and a leader that was asleep while another was elected; on real servers."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from typing import Any

import pytest
from vault_real import Bao

from hasteward.domain.errors import HastewardError, Refused, RunFailed
from hasteward.domain.report import Authority
from hasteward.testing.repository import FakeRepository
from hasteward_lab.chaos.client import Chaos

pytestmark = [pytest.mark.servers, pytest.mark.long, pytest.mark.timeout(600)]
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"


@pytest.fixture
def role(bao: Bao) -> Iterator[str]:
    """A role by which the servers' own service account may log in, with the policy that is shipped."""
    review = {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}
    bao.lab.client.call("POST", ROLES, {"metadata": {"name": "reviewer"}, "rules": [review]})
    who = [{"kind": "ServiceAccount", "name": "default", "namespace": "vault"}]
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reviewer"}
    binding = {"metadata": {"name": "reviewer"}, "subjects": who, "roleRef": ref}
    bao.lab.client.call("POST", BINDINGS, binding)
    leader = bao.leader()
    assert bao.call("POST", "sys/auth/kubernetes", {"type": "kubernetes"}, leader) == {}
    host = {"kubernetes_host": "https://10.88.0.1:443"}
    assert bao.call("POST", "auth/kubernetes/config", host, leader) == {}
    bound: dict[str, Any] = {"bound_service_account_names": ["default"]}
    bound |= {"bound_service_account_namespaces": ["vault"], "token_policies": ["hasteward-repair"]}
    answer = bao.call("POST", "auth/kubernetes/role/steward", bound | {"token_ttl": "10m"}, leader)
    assert "lab_error" not in answer, answer
    yield "steward"
    bao.call("DELETE", "sys/auth/kubernetes", None, bao.leader())
    for path in (BINDINGS, ROLES):
        bao.lab.client.call("DELETE", f"{path}/reviewer")


def accessors(bao: Bao) -> set[str]:
    answer = bao.call("LIST", "auth/token/accessors", None, bao.leader())
    return set(answer["data"]["keys"])


def test_the_servers_own_account_logs_in_and_its_token_is_revoked_afterwards(bao: Bao, role: str) -> None:
    before = accessors(bao)
    source = f"kubernetes:{role}"

    report = bao.triage(token=source)
    assert (report.authority, report.healthy) == (Authority.PROVABLE, True), report.authority_reason
    bao.put("by", "login", bao.leader())
    store = FakeRepository()
    bao.backup(store, token=source)
    assert accessors(bao) <= before
    bao.put("by", "nobody", bao.leader())
    bao.restore(store, token=source)

    bao.until(lambda found: found.healthy)
    assert bao.get("by", bao.leader()) == "login"
    # the token that took the snapshot is in it, and lives again until its time is over
    assert len(accessors(bao) - before) <= 1


def test_a_role_that_does_not_bind_the_account_is_refused_and_nothing_is_done(bao: Bao, role: str) -> None:
    with pytest.raises((Refused, RunFailed)):
        bao.backup(FakeRepository(), token=f"kubernetes:{role}-of-others")


@pytest.mark.parametrize("path", ["/dev/shm/the-token"])
def test_a_token_in_the_servers_container_is_used_there(bao: Bao, path: str) -> None:
    data = bao.lab.client.call("GET", "/api/v1/namespaces/vault/secrets/hasteward-vault")["data"]
    for pod in bao.lab.pods:
        bao.lab.exec(pod, ["sh", "-c", f"umask 077; cat >{path}"], base64.b64decode(data["backup"]))
    try:
        assert bao.triage(token=f"pod:{path}").healthy
        assert bao.backup(FakeRepository(), token=f"pod:{path}").snapshot
    finally:
        for pod in bao.lab.pods:
            bao.lab.exec(pod, ["rm", "-f", path])


def test_a_leader_that_slept_through_a_failover_is_not_believed_when_it_wakes(bao: Bao) -> None:
    """It takes itself for the leader until it hears of the new term; nothing written meanwhile is lost."""
    chaos = Chaos(bao.lab)
    old = bao.leader()
    bao.put("term", "old", old)
    chaos.freeze(old)
    try:
        report = bao.until(lambda found: found.details["leader"] not in {None, old}, seconds=120)
        new = str(report.details["leader"])
        bao.put("term", "new", new)
    finally:
        chaos.thaw(old)
    ends = set()
    for _ in range(5):
        store = FakeRepository()
        try:
            result = bao.backup(store, instance=int(old[-1]))
        except HastewardError as error:
            ends.add(error.code)
        else:
            kinds = {one.tags.type for one in store.listed if one.id == result.snapshot}
            assert (kinds, bao.triage().details["leader"] != old) == ({"diverged"}, True)
    assert ends <= {"dump.not_active", "proof.leader_lost", "dump.failed", "stream.failed"}, ends
    bao.until(lambda found: found.healthy, seconds=120)
    store = FakeRepository()
    assert bao.backup(store).member == bao.leader() != old
    bao.put("term", "later", bao.leader())
    time.sleep(1)
    bao.restore(store)
    assert bao.get("term", bao.leader()) == "new"
