"""Three real Galera members in the lab: triage, backup and restore as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hasteward_lab import rights
from hasteward_lab.lab import Lab
from hasteward_lab.mariadb import hand

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

SHOP = (
    "CREATE DATABASE shop CHARACTER SET utf8mb4;"
    "CREATE TABLE shop.item (n INT PRIMARY KEY AUTO_INCREMENT, word VARCHAR(40));"
    "CREATE TABLE shop.log (n INT PRIMARY KEY);"
    "CREATE TABLE shop.price (n INT PRIMARY KEY, amount INT) WITH SYSTEM VERSIONING;"
    "CREATE SEQUENCE shop.ticket INCREMENT BY 0;"
    "CREATE TRIGGER shop.noted AFTER INSERT ON shop.item FOR EACH ROW INSERT INTO shop.log VALUES (NEW.n);"
    "CREATE VIEW shop.v AS SELECT COUNT(*) AS c FROM shop.item;"
    "CREATE PROCEDURE shop.p() SELECT 1;"
    "INSERT INTO shop.item (word) VALUES ('a'), ('\N{HOT BEVERAGE}'); INSERT INTO shop.price VALUES (1, 2);"
    "CREATE DATABASE other; CREATE TABLE other.t (n INT PRIMARY KEY); INSERT INTO other.t VALUES (7);"
    "CREATE USER clerk@'%' IDENTIFIED BY 'open'; GRANT SELECT ON shop.* TO clerk@'%';"
)
DEPLOY = Path(__file__).parents[3] / "deploy"
#: what a triage tries in every role, and lives without
TRIED = {("get", "secrets")}
#: by checksum; of a versioned table the server counts the moments in, and a restore makes new ones
_CONTENT = (
    "CHECKSUM TABLE shop.item, shop.log, other.t; SELECT * FROM shop.price; SHOW CREATE SEQUENCE shop.ticket;"
    "SELECT * FROM shop.v; SHOW CREATE PROCEDURE shop.p; SHOW GRANTS FOR clerk"
)


class Site:
    """A lab, and hasteward in front of it."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.folder = folder

    def sql(self, pod: str, text: str) -> str:
        script = 'mariadb -uroot -p"$MARIADB_ROOT_PASSWORD" -NB --default-character-set=utf8mb4 -e "$1"'
        done = self.lab.exec(pod, ["bash", "-c", script, "x", text])
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def hasteward(
        self, *words: str, status: int = 0, role: str = "repair", cluster: str = ""
    ) -> dict[str, Any]:
        """Run a command with the rights of one of the service accounts that are shipped."""
        environment = dict(os.environ) | {
            "KUBECONFIG": str(self.lab.kubeconfig),
            "HASTEWARD_CONTEXT": role,
            "RESTIC_PASSWORD": "canary",
            "HASTEWARD_BACKUPS_PATH": str(self.folder / "repository"),
        }
        whom = ["-e", "galera", "-c", cluster or self.lab.cluster, "-n", self.lab.namespace]
        argv = [sys.executable, "-m", "hasteward.cli.main", *words, "--output", "json"]
        done = subprocess.run(
            [*argv, *([] if words[0] == "init" else whom)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        assert done.returncode == status, done.stdout + done.stderr
        envelope: dict[str, Any] = json.loads(done.stdout)
        return envelope

    def content(self, pod: str) -> str:
        """Every table, and what a view, a routine, a sequence and an account are."""
        return self.sql(pod, _CONTENT)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with hand.well() as lab:
        found = Site(lab, tmp_path_factory.mktemp("galera"))
        found.sql("db-0", SHOP)
        found.hasteward("init")
        yield found


def test_triage_of_three_real_members_changes_nothing(site: Site) -> None:
    before = [site.sql(f"db-{n}", "SHOW STATUS LIKE 'wsrep_last_committed'") for n in range(3)]

    data = site.hasteward("triage")["data"]

    assert (data["healthy"], data["authority"], data["newest"]) == (
        True,
        "provable",
        ["db-0", "db-1", "db-2"],
    )
    assert data["diagnoses"] == []
    assert [site.sql(f"db-{n}", "SHOW STATUS LIKE 'wsrep_last_committed'") for n in range(3)] == before


def test_what_was_backed_up_comes_back_on_every_member(site: Site) -> None:
    """W7, mariadb-operator #1757: and a writer on another schema goes on all the while."""
    saved = [site.content(f"db-{n}") for n in range(3)]
    assert saved[0] == saved[1] == saved[2]
    site.sql(
        "db-0", "CREATE DATABASE ledger; CREATE TABLE ledger.l (n INT PRIMARY KEY AUTO_INCREMENT, t INT)"
    )
    stop, written = threading.Event(), list[int]()

    def write() -> None:
        while not stop.is_set():
            site.sql("db-1", f"INSERT INTO ledger.l (t) VALUES ({len(written)})")  # noqa: S608  a number
            written.append(len(written))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        backup = site.hasteward("backup")["data"]
        site.sql("db-2", "DELETE FROM shop.item; DROP TABLE shop.log; UPDATE other.t SET n = 9")
        site.sql("db-2", "DROP USER clerk@'%'")
        restored = site.hasteward("restore", "--yes", "--database", "shop", "--database", "other")["data"]
    finally:
        stop.set()
        writer.join()

    assert [site.content(f"db-{n}") for n in range(3)] == saved
    assert backup["snapshot"]
    assert "db-0, db-1, db-2 agree on the checksums of 5 tables" in restored["checks"]
    assert [int(row) for row in site.sql("db-2", "SELECT t FROM ledger.l ORDER BY n").split()] == written
    assert len(written) > 3
    login = site.lab.exec(
        "db-2", ["mariadb", "-uclerk", "-popen", "-h127.0.0.1", "-NBe", "SELECT c FROM shop.v"]
    )
    assert login.stdout.decode().strip() == "2"
    assert site.hasteward("triage")["data"]["healthy"]


def owned(*files: str) -> set[tuple[str, str]]:
    """Verb and resource of what roles grant."""
    rules = [rule for name in files for rule in yaml.safe_load((DEPLOY / name).read_text())["rules"]]
    return {(verb, what) for rule in rules for verb in rule["verbs"] for what in rule["resources"]}


def test_w23_the_roles_that_are_shipped_are_what_is_used_and_no_more(site: Site) -> None:
    """In both directions, by the API server's own log; it enforces them in every other test here too."""
    site.lab.clear_audit()
    # without exec no server can be asked, and without the Secret neither
    site.hasteward("triage", role="view", status=20)
    site.hasteward("backup", role="backup")
    site.hasteward("restore", "--database", "other", "--yes")
    site.hasteward("undo", "--yes")
    site.hasteward("repair", "--dry-run")
    site.lab.shut_down("db-2")
    site.hasteward("triage", "--deep", status=20)
    for role in ("view", "backup", "repair"):
        site.hasteward("triage", role=role, cluster="nobody", status=3)

    seen, secret = owned("galera/role.yaml"), owned("galera/secret-role.yaml")
    for role, own in (("view", seen), ("backup", seen | secret), ("repair", seen | secret)):
        log = [row for row in site.lab.audit() if row["user"].endswith(f":hasteward-{role}")]
        used = {(right.verb, right.resource) for right in rights.used(log, role)}
        assert used - own - owned(f"rbac/{role}.yaml") == (TRIED if role == "view" else set()), role
        assert own <= used, role
        assert {row["name"] for row in log if row["resource"] == "secrets"} <= {"db-root"}
