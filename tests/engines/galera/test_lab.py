"""Three real Galera members in the lab: triage, backup and restore as a user runs them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from galera_site import SHOP, Site

from hasteward_lab import rights
from hasteward_lab.mariadb import hand

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

DEPLOY = Path(__file__).parents[3] / "deploy"
#: what a triage tries in every role, and lives without
TRIED = {("get", "secrets")}


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


def test_w7_op1757_what_was_backed_up_comes_back_on_every_member(site: Site) -> None:
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


@pytest.mark.long
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
