"""A bare PostgreSQL in a pod of the lab, by the command line, with its password in a Secret."""

from __future__ import annotations

from typing import Any

import pytest
from pod_kit import PostgresPod

from hasteward_lab.conformance import LabConformance

pytestmark = [pytest.mark.servers, pytest.mark.long, pytest.mark.timeout(900)]


class TestPostgresInAPod(LabConformance):
    """What every engine must keep on real servers."""

    subject = PostgresPod

    def test_it_lies_under_the_names_of_cluster_and_pod(self, saving: Any) -> None:
        data = saving.answer["data"]
        assert (data["path"], data["member"]) == ("db/shop/pgdumpall.sql", "db/shop-5d4b")

    def test_the_command_that_takes_it_back_is_told_with_all_it_needs(
        self, site: PostgresPod, hasteward: Any
    ) -> None:
        hasteward.json("backup", *site.where)
        site.damage()
        spoilt = site.content()
        undo = hasteward.json("restore", *site.where, *site.part, "--yes")["undo"].split()
        assert tuple(undo[3:]) == site.where

        undone = hasteward(*undo[1:], "--yes")

        assert (undone.returncode, site.content()) == (0, spoilt)
        assert "database shop is what it was before" in undone.stdout
        hasteward.json("restore", *site.where, *site.part, "--yes")

    @pytest.mark.usefixtures("journey")
    def test_the_server_that_is_process_1_buries_nobody_of_ours(self, site: PostgresPod) -> None:
        log = site.lab.exec(site.pod, ["cat", "/tmp/log"], b"").stdout.decode()
        assert "ready to accept connections" in log
        assert "terminated by signal" not in log, "whoever is left to it counts as a crash"
