"""A healthy cluster: its objects, its files, its accounts, its probes, and who may write what.

Sources: mariadb-operator, api/v1alpha1, pkg/builder, pkg/agent, pkg/webhook, internal/controller.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from hasteward_lab.kubelet.status import is_ready
from hasteward_lab.mariadb import hand

pytestmark = pytest.mark.servers

CORE = "/api/v1/namespaces/db"


def names(site: Any, plural: str) -> set[str]:
    return {row["metadata"]["name"] for row in site.lab.get(plural)}


def test_row_03_each_member_has_its_files_and_a_running_one_tells_no_position(site: Any) -> None:
    """Rank 3; cmd/init/galera.go, pkg/galera/config/config.go."""
    told = [hand.state(site.lab, f"db-{number}") for number in range(3)]
    uuid = told[0]["grastate"]["uuid"]
    running = {"version": "2.1", "uuid": uuid, "seqno": -1, "safeToBootstrap": False}
    assert told == [{"there": True, "grastate": running, "view": True, "bootstrap": False}] * 3
    written = site.shell("db-1", "cat /etc/mysql/mariadb.conf.d/0-galera.cnf")
    hosts = ",".join(f"db-{number}.db-internal.db.svc.cluster.local" for number in range(3))
    assert f'wsrep_cluster_address="gcomm://{hosts}"' in written
    assert f"wsrep_node_address={site.lab.pod('db-1')['status']['podIP']}" in written


def test_row_03_row_08_the_agent_answers_for_a_server_that_is_down(site: Any) -> None:
    """Rank 3; pkg/agent/handler/galera/galera.go, pkg/agent/router/router.go.

    Rank 8; pkg/agent/handler/galera/probe.go: the latch shuts the liveness up, and not the readiness.
    """
    lab, host = site.lab, "db-2.db-internal.db.svc"
    hand.suspend(lab)
    lab.wait(lambda: hand.condition(lab, "Ready", "reason") == "Suspended", 10)
    lab.shut_down("db-2")

    def agent(call: str) -> tuple[int, str]:
        found: tuple[int, str] = site.http("db-0", host, 5555, call, user="mariadb-operator")
        return found

    def probes() -> list[int]:
        kinds = ("liveness", "readiness", "health")
        return [site.http("db-0", host, 5566, f"GET /{kind}")[0] for kind in kinds]

    try:
        assert site.http("db-0", host, 5555, "GET /health")[0] == 200
        assert site.http("db-0", host, 5555, "GET /api/galera/state")[0] == 401
        code, body = agent("GET /api/galera/state")
        assert (code, '"seqno"' in body, '"seqno": -1' in body) == (200, True, False)
        verbs = ("GET", "PUT", "GET", "DELETE", "DELETE")
        assert [agent(f"{verb} /api/galera/bootstrap")[0] for verb in verbs] == [404, 200, 200, 200, 404]
        assert hand.state(lab, "db-2")["grastate"]["safeToBootstrap"] is True
        assert lab.pod("db-2")["status"]["phase"] == "Running"
        lab.chaos.edit("db-2", "grastate.dat", "safe_to_bootstrap: 1", "safe_to_bootstrap: 0")
        assert probes() == [500, 500, 200]
        hand.latch(lab)
        assert probes() == [200, 500, 200]
    finally:
        hand.latch(lab, on=False)
        lab.start("db-2")
        hand.suspend(lab, on=False)


def test_row_04_the_set_is_parallel_and_its_claims_are_labelled(site: Any) -> None:
    """Rank 4; pkg/builder/statefulset_builder.go."""
    found = site.stateful_set()
    assert (found["podManagementPolicy"], found["updateStrategy"]) == ("Parallel", {"type": "OnDelete"})
    rows = {row["metadata"]["name"]: row for row in site.lab.get("persistentvolumeclaims")}
    assert set(rows) == {f"{kind}-db-{number}" for kind in ("storage", "galera") for number in range(3)}
    assert rows["storage-db-1"]["metadata"]["labels"] == {
        "app.kubernetes.io/name": "mariadb",
        "app.kubernetes.io/instance": "db",
        "pvc.k8s.mariadb.com/role": "storage",
    }
    assert rows["galera-db-1"]["metadata"]["labels"]["pvc.k8s.mariadb.com/role"] == "config"


def test_row_05_a_scaled_set_is_put_back_unless_the_operator_is_suspended(site: Any) -> None:
    """Rank 5; pkg/controller/statefulset/statefulset.go, internal/controller/mariadb_controller.go."""
    lab = site.lab
    scale = f"/apis/apps/v1/namespaces/db/statefulsets/{lab.cluster}/scale"
    lab.client.call("PATCH", scale, {"spec": {"replicas": 4}})
    lab.wait(lambda: site.stateful_set()["replicas"] == 3, 10)
    hand.suspend(lab)
    lab.wait(lambda: hand.condition(lab, "Ready", "reason") == "Suspended", 10)
    lab.client.call("PATCH", scale, {"spec": {"replicas": 4}})
    time.sleep(1.0)
    assert site.stateful_set()["replicas"] == 4
    lab.client.call("PATCH", scale, {"spec": {"replicas": 3}})
    hand.suspend(lab, on=False)
    lab.wait(lambda: set(lab.pods) == {"db-0", "db-1", "db-2"}, 20)


def test_row_10_the_status_tells_what_a_healthy_cluster_is(site: Any) -> None:
    """Rank 10; internal/controller/mariadb_controller_status.go, pkg/condition/ready.go."""
    status = site.lab.cluster_object()["status"]
    told = {row["type"]: (row["status"], row["reason"], row["message"]) for row in status["conditions"]}
    assert told == {
        "Ready": ("True", "StatefulSetReady", "Running"),
        "Updated": ("True", "Updated", "Updated"),
        "GaleraInitialized": ("True", "GaleraInitialized", "Galera initialized"),
        "GaleraReady": ("True", "GaleraReady", "Galera ready"),
        "GaleraConfigured": ("True", "GaleraConfigured", "Galera configured"),
    }
    primary = status["currentPrimaryPodIndex"]
    assert (status["replicas"], status["currentPrimary"], status["replication"]) == (3, f"db-{primary}", {})
    roles = {pod["metadata"]["name"]: pod["metadata"]["labels"] for pod in site.lab.get("pods")}
    assert [name for name, row in roles.items() if row["k8s.mariadb.com/role"] == "primary"] == [
        f"db-{primary}"
    ]


def test_row_11_the_webhook_refuses_what_the_operator_could_not_run(site: Any) -> None:
    """Rank 11; internal/webhook/v1alpha1/mariadb_webhook.go, pkg/webhook/inmutable_webhook.go."""
    said = [
        site.refused(lambda spec=spec: site.patch(spec))
        for spec in (
            {"replicas": 2},
            {"galera": {"primary": {"podIndex": 3}}},
            {"galera": {"recovery": {"minClusterSize": 4}}},
            {"galera": {"recovery": {"forceClusterBootstrapInPod": "db-7"}}},
            {"galera": {"providerOptions": {"ist.recv_addr": "x"}}},
            {"storage": {"size": "1Mi"}},
            {"rootPasswordSecretKeyRef": {"name": "other"}},
            {"galera": {"config": {"reuseStorageVolume": True}}},
        )
    ]
    assert [text.split("denied the request: ")[0] for text in said] == [
        'admission webhook "vmariadb-v1alpha1.kb.io" '
    ] * len(said)
    fields = [
        "replicas",
        "galera.primary.podIndex",
        "galera.recovery.minClusterSize",
        "galera.recovery.forceClusterBootstrapInPod",
        "galera.providerOptions",
        "storage.size",
        "rootPasswordSecretKeyRef",
        "galera.config",
    ]
    assert [field in text for field, text in zip(fields, said, strict=True)] == [True] * len(fields)
    assert "spec.galera.sst" in site.refused(lambda: site.patch({"galera": {"sst": "scp"}}))


def test_row_11_while_the_webhook_is_down_specs_cannot_be_written_and_a_status_can(site: Any) -> None:
    """Rank 11; config/webhook/manifests.yaml: failurePolicy Fail, and no rule for subresources."""
    lab = site.lab
    hand.webhook(lab, up=False)
    try:
        assert "failed calling webhook" in site.refused(lambda: hand.suspend(lab))
        lab.client.call("PATCH", f"{lab.cluster_path}/status", {"status": {"defaultVersion": "10.11"}})
    finally:
        hand.webhook(lab, up=True)


def test_row_12_services_and_names_lead_where_they_should(site: Any) -> None:
    """Rank 12; pkg/builder/service_builder.go, pkg/controller/endpoints/controller.go."""
    lab = site.lab
    assert {"db", "db-internal", "db-primary", "db-secondary"} <= names(site, "services")
    primary = lab.primary
    at = lab.client.call("GET", f"{CORE}/services/db-primary")["spec"]["selector"]
    assert at["statefulset.kubernetes.io/pod-name"] == primary
    others = {pod["status"]["podIP"] for pod in lab.get("pods") if pod["metadata"]["name"] != primary}
    path = "/apis/discovery.k8s.io/v1/namespaces/db/endpointslices/db-secondary"
    assert {row["addresses"][0] for row in lab.client.call("GET", path)["endpoints"]} == others
    found = site.shell("db-0", "getent hosts db-2.db-internal.db.svc.cluster.local")
    assert found.split()[0] == lab.pod("db-2")["status"]["podIP"]


def test_row_13_accounts_live_on_every_member_and_rows_of_global_priv_do_not_travel(site: Any) -> None:
    """Rank 13; pkg/embed/mariadb-docker, docs/logical_backup.md."""
    lab = site.lab
    accounts = "SELECT CONCAT(User, '@', Host) FROM mysql.global_priv ORDER BY 1"
    usual = ["healthcheck@127.0.0.1", "healthcheck@::1", "healthcheck@localhost"]
    usual += ["mariadb.sys@localhost", "root@%", "root@localhost"]
    assert [lab.mariadb(f"db-{n}", accounts).splitlines() for n in range(3)] == [usual] * 3
    lab.mariadb("db-0", "INSERT INTO mysql.global_priv VALUES ('%', 'stray', '{}')")
    lab.mariadb("db-0", "CREATE USER traveller@'%'")
    stray = (
        "SELECT GROUP_CONCAT(User ORDER BY User) FROM mysql.global_priv WHERE User IN ('stray', 'traveller')"
    )
    try:
        assert [lab.mariadb(f"db-{n}", stray) for n in range(3)] == [
            "stray,traveller",
            "traveller",
            "traveller",
        ]
    finally:
        lab.mariadb("db-0", "DELETE FROM mysql.global_priv WHERE User = 'stray'; DROP USER traveller@'%'")


def test_row_14_the_agent_is_a_container_with_a_log_and_nothing_to_run(site: Any) -> None:
    """Rank 14; pkg/builder/container_builder.go."""
    pod = site.lab.pod("db-1")
    told = [row["name"] for row in pod["status"]["containerStatuses"]]
    first = [row["name"] for row in pod["status"]["initContainerStatuses"]]
    assert (told, first, is_ready(pod)) == (["mariadb", "agent"], ["init"], True)
    assert {"GaleraClusterHealthy"} <= set(site.events())
    secret = site.lab.client.call("GET", f"{CORE}/secrets/db-root")["data"]
    assert secret == site.lab.client.call("GET", f"{CORE}/secrets/internal-db")["data"]
    assert "listening on :5555" in site.kubectl("logs", "-n", "db", "db-1", "-c", "agent").stdout
    refused = site.kubectl("exec", "-n", "db", "db-1", "-c", "agent", "--", "ls").stderr
    assert "executable file not found" in refused


@pytest.mark.long
def test_a_donor_whose_joiner_is_gone_does_not_hold_a_lab_up_for_ever(site: Any) -> None:
    """Whoever waits for a healthy lab kills such a donor once."""
    site.lab.mariadb("db-1", "SET GLOBAL wsrep_desync = ON")
    assert hand.told(site.lab, "db-1") == "Donor/Desynced 3"
    hand.healthy(site.lab)
    assert [hand.told(site.lab, f"db-{number}") for number in range(3)] == ["Synced 3"] * 3


def test_databases_users_and_grants_that_are_declared_are_made_and_go_with_their_objects(site: Any) -> None:
    """pkg/controller/sql, internal/controller/user_controller.go; a policy of Skip leaves them."""
    lab, kinds = site.lab, ("databases", "users", "grants")
    at = "/apis/k8s.mariadb.com/v1alpha1/namespaces/db"
    word = {"metadata": {"name": "bob"}, "stringData": {"word": "it's"}}
    lab.client.call("POST", f"{CORE}/secrets", word)
    grant = {"username": "bob", "database": "app", "privileges": ["SELECT", "INSERT"]}
    specs: dict[str, Any] = {
        "databases": {"name": "app"},
        "users": {"passwordSecretKeyRef": {"name": "bob", "key": "word"}},
        "grants": grant,
    }
    for plural in kinds:
        spec = {"mariaDbRef": {"name": "db"}, **specs[plural]}
        lab.client.call("POST", f"{at}/{plural}", {"metadata": {"name": "bob"}, "spec": spec})

    def told(plural: str) -> tuple[str, str]:
        rows = lab.client.call("GET", f"{at}/{plural}/bob").get("status", {}).get("conditions", [])
        return next(((row["status"], row["message"]) for row in rows if row["type"] == "Ready"), ("", ""))

    lab.wait(lambda: [told(plural) for plural in kinds] == [("True", "Created")] * 3, 15)
    script = 'mariadb -ubob -p"it\'s" -h127.0.0.1 -NBe "SHOW DATABASES LIKE \'app\'; SELECT CURRENT_USER()"'
    assert site.shell("db-2", script).split() == ["app", "bob@%"]
    assert [lab.client.call("GET", f"{at}/{plural}/bob")["metadata"]["finalizers"] for plural in kinds] == [
        [f"{kind}.k8s.mariadb.com/finalizer"] for kind in ("database", "user", "grant")
    ]
    lab.client.call("PATCH", f"{at}/grants/bob", {"spec": {"privileges": ["SELECT"], "username": "eve"}})
    lab.wait(lambda: told("grants")[0] == "False", 15)
    assert "There is no such grant defined for user 'eve'" in told("grants")[1]
    lab.client.call("PATCH", f"{at}/grants/bob", {"spec": {"username": "bob"}})
    lab.wait(lambda: told("grants")[0] == "True", 15)
    shown = lab.mariadb("db-1", "SHOW GRANTS FOR bob")
    assert "GRANT SELECT ON `app`.* TO `bob`@`%`" in shown

    lab.client.call("PATCH", f"{at}/databases/bob", {"spec": {"cleanupPolicy": "Skip"}})
    for plural in reversed(kinds):
        lab.client.call("DELETE", f"{at}/{plural}/bob")
    lab.wait(lambda: not any(lab.client.call("GET", f"{at}/{plural}")["items"] for plural in kinds), 15)
    assert lab.mariadb("db-1", "SELECT COUNT(*) FROM mysql.user WHERE user = 'bob'").strip() == "0"
    assert lab.mariadb("db-1", "SHOW DATABASES LIKE 'app'").strip() == "app"
    lab.mariadb("db-1", "DROP DATABASE app")
