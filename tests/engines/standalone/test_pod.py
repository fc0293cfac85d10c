"""A bare MariaDB in a pod of the lab, by the command line, with its password in a Secret."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import standalone_kit

from hasteward_lab import rights
from hasteward_lab.lab import Lab, LabError

DEPLOY = Path(__file__).parents[3] / "deploy"
pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]
WHERE = ("-e", "standalone", "-n", "db", "-c", "shop", "--db-type", "mariadb")
SECRET = ("--secret-name", "shop-login", "--secret-key", "root")
WORD = standalone_kit.PASSWORD
POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "shop-7f9c", "namespace": "db", "labels": {"app.kubernetes.io/instance": "shop"}},
    "spec": {
        "containers": [
            {
                "name": "mariadb",
                "image": "docker.io/library/mariadb:10.11",
                "securityContext": {"runAsUser": 999},
                "env": [
                    {
                        "name": "MARIADB_ROOT_PASSWORD",
                        "valueFrom": {"secretKeyRef": {"name": "shop-login", "key": "root"}},
                    }
                ],
            }
        ]
    },
}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up(members=1, time_scale=0.1) as running:
        kinds = f"/api/v1/namespaces/{running.namespace}"
        login = {"root": base64.b64encode(WORD.encode()).decode()}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop-login"}, "data": login}
        running.client.call("POST", f"{kinds}/secrets", secret)
        running.client.call("POST", f"{kinds}/pods", POD)
        may_read_the_login(running)
        running.wait(lambda: answers(running), 90)
        yield running


def may_read_the_login(lab: Lab) -> None:
    """What the page says beside deploy/rbac: `get` on the one Secret."""
    group = "rbac.authorization.k8s.io"
    kinds = f"/apis/{group}/v1/namespaces/{lab.namespace}"
    rule = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["shop-login"], "verbs": ["get"]}
    lab.client.call("POST", f"{kinds}/roles", {"metadata": {"name": "shop-login"}, "rules": [rule]})
    who = {"kind": "ServiceAccount", "name": "hasteward-repair", "namespace": lab.namespace}
    ref = {"apiGroup": group, "kind": "Role", "name": "shop-login"}
    binding = {"metadata": {"name": "shop-login"}, "subjects": [who], "roleRef": ref}
    lab.client.call("POST", f"{kinds}/rolebindings", binding)


def sql(lab: Lab, text: str) -> str:
    argv = ["sh", "-c", "MYSQL_PWD=$MARIADB_ROOT_PASSWORD exec mariadb -uroot -NB --binary-mode"]
    done = lab.exec("shop-7f9c", argv, text.encode())
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def answers(lab: Lab) -> bool:
    try:
        argv = ["sh", "-c", "MYSQL_PWD=$MARIADB_ROOT_PASSWORD mariadb -uroot -e 'SELECT 1'"]
        return lab.exec("shop-7f9c", argv, b"").returncode == 0
    except LabError:
        return False


def test_a_bare_pod_is_backed_up_and_restored_with_its_password_from_a_secret(
    lab: Lab, tmp_path: Path
) -> None:
    tool = standalone_kit.Tool(lab, tmp_path)
    tool.environment["HASTEWARD_CONTEXT"] = "repair"
    sql(
        lab,
        "CREATE DATABASE shop; USE shop; CREATE TABLE t (n INT PRIMARY KEY, s TEXT);"
        "INSERT INTO t SELECT seq, MD5(seq) FROM seq_1_to_5000",
    )
    checksum = sql(lab, "CHECKSUM TABLE shop.t EXTENDED")
    lab.clear_audit()
    assert tool("init").returncode == 0
    saved = tool("backup", *WHERE, *SECRET, "--output", "json")
    assert saved.returncode == 0, saved.stderr
    data = json.loads(saved.stdout)["data"]
    assert (data["path"], data["member"]) == ("db/shop/mysqldump.sql", "db/shop-7f9c")
    sql(lab, "DELETE FROM shop.t WHERE n > 100")
    back = tool("restore", *WHERE, *SECRET, "--yes", "--output", "json")
    assert back.returncode == 0, back.stderr
    assert sql(lab, "CHECKSUM TABLE shop.t EXTENDED") == checksum
    assert json.loads(back.stdout)["data"]["kept"][0].endswith("_shop")
    small = tool("backup", *WHERE, *SECRET)
    assert small.returncode == 0, small.stderr
    said = saved.stdout + saved.stderr + back.stdout + back.stderr
    assert WORD not in said
    assert WORD not in json.dumps(lab.audit())
    login = rights.Right("", "secrets", "get")
    used = rights.used(lab.audit(), "repair")
    assert used <= rights.granted(DEPLOY / "rbac", "repair") | {login}
    assert {login, rights.Right("", "pods", "list"), rights.Right("", "pods/exec", "create")} <= used
    wrong = tool("backup", *WHERE)
    assert (wrong.returncode, "Access denied" in wrong.stderr) == (1, True)


def test_what_cannot_be_done_says_why(lab: Lab, tmp_path: Path) -> None:
    tool = standalone_kit.Tool(lab, tmp_path)
    asked = tool("triage", *WHERE)
    assert asked.returncode == 3
    assert "no second member to compare it with" in asked.stderr
