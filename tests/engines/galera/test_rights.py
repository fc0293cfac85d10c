"""Three real Galera members in the lab: the rights that every command uses."""

from __future__ import annotations

from pathlib import Path

import pytest
from galera_kit import granted
from galera_site import Site

from hasteward_lab import rights

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

#: what a triage tries in every role, and lives without
TRIED = {("get", "secrets")}


@pytest.fixture
def site(galera_lab: Site, tmp_path: Path) -> Site:
    found = Site(galera_lab.lab, tmp_path)
    found.hasteward("init")
    return found


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
    try:
        site.hasteward("triage", "--deep", status=20)
    finally:
        site.lab.start("db-2")
    site.settle()
    site.tidy()
    for role in ("view", "backup", "repair"):
        site.hasteward("triage", role=role, cluster="nobody", status=3)

    seen, secret = granted("galera/role.yaml"), granted("galera/secret-role.yaml")
    for role, own in (("view", seen), ("backup", seen | secret), ("repair", seen | secret)):
        log = [row for row in site.lab.audit() if row["user"].endswith(f":hasteward-{role}")]
        used = {(right.verb, right.resource) for right in rights.used(log, role)}
        assert used - own - granted(f"rbac/{role}.yaml") == (TRIED if role == "view" else set()), role
        assert own <= used, role
        assert {row["name"] for row in log if row["resource"] == "secrets"} <= {"db-root"}
