"""A bare MariaDB in a pod of the lab, by the command line, with its password in a Secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import standalone_kit
from pod_kit import MariaDBPod

from hasteward_lab import rights
from hasteward_lab.conformance import LabConformance

DEPLOY = Path(__file__).parents[3] / "deploy"
pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]


class TestMariaDBInAPod(LabConformance):
    """What every engine must keep on real servers."""

    subject = MariaDBPod

    def test_it_lies_under_the_names_of_cluster_and_pod(self, saving: Any) -> None:
        data = saving.answer["data"]
        assert (data["path"], data["member"]) == ("db/shop/mysqldump.sql", "db/shop-7f9c")

    def test_what_a_restore_replaced_is_kept_beside_it(self, journey: Any) -> None:
        assert journey.answer["data"]["kept"][0].endswith("_shop")

    def test_the_shipped_role_and_one_secret_are_all_it_needs(self, journey: Any) -> None:
        login = rights.Right("", "secrets", "get")
        used = rights.used(journey.audit, "repair")
        assert used <= rights.granted(DEPLOY / "rbac", "repair") | {login}
        assert {login, rights.Right("", "pods", "list"), rights.Right("", "pods/exec", "create")} <= used

    def test_without_the_password_the_server_says_why(self, site: MariaDBPod, hasteward: Any) -> None:
        wrong = hasteward("backup", *site.where[: site.where.index("--secret-name")])
        assert (wrong.returncode, "Access denied" in wrong.stderr) == (1, True)
        assert standalone_kit.PASSWORD not in json.dumps(site.lab.audit())

    def test_what_cannot_be_done_says_why(self, site: MariaDBPod, hasteward: Any) -> None:
        asked = hasteward("triage", *site.where)
        assert asked.returncode == 3
        assert "no second member to compare it with" in asked.stderr
