"""What a Cluster owns besides its instances, and what is left when it goes.

Sources: CloudNativePG 1.30, pkg/specs, IC/replicas_quorum.go, IC/cluster_restore.go (internal/controller).
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from hasteward_lab.lab import Lab
from hasteward_lab.state import LabError

pytestmark = pytest.mark.servers

CORE = "/api/v1/namespaces/db"
CLUSTERS = "/apis/postgresql.cnpg.io/v1/namespaces/db/clusters"


@pytest.fixture
def site(lab: Lab, site_of: Any) -> Any:
    """These only look: the lab of all labtests will do."""
    return site_of(lab)


def names(site: Any, group: str, plural: str) -> list[str]:
    return [row["metadata"]["name"] for row in site.objects(group, plural)]


def test_a_cluster_owns_an_account_with_its_role_and_budgets(site: Any) -> None:
    """pkg/specs/roles.go, pkg/specs/poddisruptionbudget.go."""
    rbac = "rbac.authorization.k8s.io/v1"
    accounts = [row["metadata"]["name"] for row in site.lab.get("serviceaccounts")]
    assert "pg" in accounts
    assert "pg" in names(site, rbac, "roles")
    assert "pg" in names(site, rbac, "rolebindings")
    wanted = {
        "pg": counts(expected=2, healthy=2, least=1),
        "pg-primary": counts(expected=1, healthy=1, least=1),
    }

    def told() -> dict[str, Any]:
        rows = site.objects("policy/v1", "poddisruptionbudgets")
        return {row["metadata"]["name"]: row["status"] for row in rows}

    site.until(lambda: told() == wanted)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": site.lab.primary}}
    with pytest.raises(LabError, match="would violate the pod's disruption budget"):
        site.lab.client.call("POST", f"{CORE}/pods/{site.lab.primary}/eviction", eviction)


def counts(*, expected: int, healthy: int, least: int) -> dict[str, int]:
    rows = {"expectedPods": expected, "currentHealthy": healthy, "desiredHealthy": least}
    return {"observedGeneration": 1, **rows, "disruptionsAllowed": healthy - least}


def test_a_manager_may_read_its_own_cluster_and_no_other(site: Any) -> None:
    """The pod's own token opens what the Role of its Cluster names."""
    folder = "/var/run/secrets/kubernetes.io/serviceaccount"
    assert site.shell("pg-2", f"cat {folder}/namespace") == "db"
    token = site.shell("pg-2", f"cat {folder}/token")
    assert site.lab.client.call("GET", f"{CLUSTERS}/pg", token=token)["kind"] == "Cluster"
    with pytest.raises(LabError, match='"system:serviceaccount:db:pg" cannot get resource "clusters"'):
        site.lab.client.call("GET", f"{CLUSTERS}/other", token=token)


def test_a_service_that_was_deleted_comes_back(site: Any) -> None:
    """IC/cluster_create.go: what a Cluster owns is looked after in every pass."""
    site.lab.client.call("DELETE", f"{CORE}/services/pg-ro")
    site.lab.annotate(touched="now")
    site.until(lambda: "pg-ro" in [row["metadata"]["name"] for row in site.lab.get("services")])
    site.lab.annotate(touched=None)


@pytest.mark.long
def test_a_quorum_failover_waits_until_no_commit_can_be_lost(site_of: Any) -> None:
    """IC/replicas_quorum.go: readable + synchronous must exceed the names; else nothing happens, silently.

    Then IC/cluster_restore.go: the Cluster goes, its volumes stay, and another of its name takes them over.
    """
    synchronous = {"method": "any", "number": 1, "failoverQuorum": True}
    with Lab.up(volume_size="256Mi", spec={"postgresql": {"synchronous": synchronous}}) as lab:
        site = site_of(lab)
        site.healthy()
        assert lab.psql("pg-1", "SHOW synchronous_standby_names") == 'ANY 1 ("pg-2","pg-3")'
        (quorum,) = site.objects("postgresql.cnpg.io/v1", "failoverquorums")
        names = {"standbyNumber": 1, "standbyNames": ["pg-2", "pg-3"]}
        assert quorum["status"] == {"method": "ANY", "primary": "pg-1", **names}
        lab.stop("pg-3")
        site.until(lambda: site.status["readyInstances"] == 2)
        lab.stop("pg-1")
        site.until(lambda: site.status["readyInstances"] == 1)
        site.stays(lambda: site.status["targetPrimary"] == "pg-1", 2.0)
        lab.start("pg-3")
        site.until(lambda: lab.primary in {"pg-2", "pg-3"})
        lab.start("pg-1")
        site.healthy()
        adopted(site)


def adopted(site: Any) -> None:
    lab, primary = site.lab, site.lab.primary
    lab.psql(primary, "CREATE TABLE kept AS SELECT 42 AS n")
    old = copy.deepcopy(lab.cluster_object())
    lab.client.call("DELETE", f"{CLUSTERS}/pg?propagationPolicy=Orphan")
    site.until(lambda: not any(row["metadata"].get("ownerReferences") for row in lab.get("pods")))
    claims = {row["metadata"]["name"]: row["metadata"]["uid"] for row in lab.get("persistentvolumeclaims")}
    meta = {"name": "pg", "namespace": "db"}
    lab.client.call(
        "POST", CLUSTERS, {**{key: old[key] for key in ("apiVersion", "kind", "spec")}, "metadata": meta}
    )
    site.until(lambda: "currentPrimary" in lab.cluster_object().get("status", {}))
    site.healthy(90)
    assert lab.primary == primary
    assert lab.psql(primary, "SELECT n FROM kept") == "42"
    found = lab.get("persistentvolumeclaims")
    assert {row["metadata"]["name"]: row["metadata"]["uid"] for row in found} == claims
    uid = lab.cluster_object()["metadata"]["uid"]
    assert {row["metadata"]["ownerReferences"][0]["uid"] for row in found} == {uid}
