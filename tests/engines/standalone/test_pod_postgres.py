"""A bare PostgreSQL in a pod of the lab, by the command line, with its password in a Secret."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import standalone_kit

from hasteward_lab.lab import Lab, LabError

pytestmark = [pytest.mark.servers, pytest.mark.long, pytest.mark.timeout(300)]
WHERE = ("-e", "standalone", "-n", "db", "-c", "shop", "--db-type", "postgres")
SECRET = ("--secret-name", "shop-login", "--secret-key", "password")
WORD = standalone_kit.PASSWORD
#: as the usual image does it: made at the first start, the superuser's password from the environment
SERVER = """
printf '%s\\n' "$POSTGRES_PASSWORD" >/tmp/word
initdb -D /tmp/pg -U postgres -A scram-sha-256 --pwfile=/tmp/word --no-sync --locale=C.UTF-8 >/dev/null
rm /tmp/word
exec postgres -D /tmp/pg -c listen_addresses=127.0.0.1 -c unix_socket_directories=/tmp -c fsync=off \\
  2>/tmp/log
"""
POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "shop-5d4b", "namespace": "db", "labels": {"app": "shop"}},
    "spec": {
        "containers": [
            {
                "name": "postgres",
                "image": "docker.io/library/postgres:15",
                "command": ["sh", "-c", SERVER],
                "securityContext": {"runAsUser": 26},
                "env": [
                    {
                        "name": "POSTGRES_PASSWORD",
                        "valueFrom": {"secretKeyRef": {"name": "shop-login", "key": "password"}},
                    },
                    {"name": "PGHOST", "value": "/tmp"},
                ],
            }
        ]
    },
}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up(members=1, time_scale=0.1) as running:
        kinds = f"/api/v1/namespaces/{running.namespace}"
        login = {"password": base64.b64encode(WORD.encode()).decode()}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop-login"}, "data": login}
        running.client.call("POST", f"{kinds}/secrets", secret)
        running.client.call("POST", f"{kinds}/pods", POD)
        running.wait(lambda: answers(running), 90)
        yield running


def sql(lab: Lab, text: str, database: str = "postgres") -> str:
    argv = ["sh", "-c", f"PGPASSWORD=$POSTGRES_PASSWORD exec psql -XAtq -U postgres -d {database}"]
    done = lab.exec("shop-5d4b", argv, text.encode())
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().strip()


def answers(lab: Lab) -> bool:
    try:
        return lab.exec("shop-5d4b", ["pg_isready", "-q"], b"").returncode == 0
    except LabError:
        return False


def test_a_bare_pod_is_backed_up_restored_and_taken_back(lab: Lab, tmp_path: Path) -> None:
    tool = standalone_kit.Tool(lab, tmp_path)
    sql(lab, "CREATE ROLE shop LOGIN")
    sql(lab, "CREATE DATABASE shop OWNER shop")
    sql(lab, "CREATE TABLE t AS SELECT n, md5(n::text) AS s FROM generate_series(1, 5000) n", "shop")
    checksum = "SELECT count(*), md5(string_agg(s, '' ORDER BY n)) FROM t"
    good = sql(lab, checksum, "shop")
    assert tool("init").returncode == 0
    saved = tool("backup", *WHERE, *SECRET, "--output", "json")
    assert saved.returncode == 0, saved.stderr
    data = json.loads(saved.stdout)["data"]
    assert (data["path"], data["member"]) == ("db/shop/pgdumpall.sql", "db/shop-5d4b")
    sql(lab, "DELETE FROM t WHERE n > 100", "shop")
    spoilt = sql(lab, checksum, "shop")

    back = tool("restore", *WHERE, *SECRET, "--yes", "--output", "json")
    assert back.returncode == 0, back.stderr
    assert sql(lab, checksum, "shop") == good
    undo = json.loads(back.stdout)["data"]["undo"].split()
    assert undo[3:] == [
        *("-e", "standalone", "-c", "shop", "-n", "db"),
        *("--db-type", "postgres", "--secret-name", "shop-login", "--secret-key", "password"),
    ]
    undone = tool(*undo[1:], "--yes")
    assert undone.returncode == 0, undone.stderr
    assert sql(lab, checksum, "shop") == spoilt
    assert "database shop is what it was before" in undone.stdout

    log = lab.exec("shop-5d4b", ["cat", "/tmp/log"], b"").stdout.decode()
    assert "ready to accept connections" in log
    assert "terminated by signal" not in log, "this server is process 1, and buries whoever we leave to it"
    said = saved.stdout + saved.stderr + back.stdout + back.stderr + undone.stdout + undone.stderr
    assert WORD not in said
    assert WORD not in json.dumps(lab.audit())
