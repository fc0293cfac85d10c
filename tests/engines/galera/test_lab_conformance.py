"""What every engine must keep on real servers, kept by galera on three of MariaDB."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import pytest
from galera_site import Site

from hasteward_lab.conformance import LabConformance

pytestmark = [pytest.mark.servers, pytest.mark.timeout(1200)]


@contextmanager
def member_down(site: Site) -> Iterator[Site]:
    """A member that was stopped, and an operator that is away."""
    site.lab.operator_down()
    site.lab.stop("db-2")
    try:
        yield site
    finally:
        site.lab.start("db-2")
        site.lab.operator_up()


class TestGalera(LabConformance):
    subject = Site
    troubles = MappingProxyType({"member-down": member_down})

    @pytest.fixture(scope="class")
    @classmethod
    def site(cls, galera_lab: Site) -> Site:
        """The folder's cluster."""
        galera_lab.settle()
        return galera_lab

    def test_w7_op1757_the_members_agree_on_what_was_restored_into_the_cluster_it_is_of(
        self, journey: Any
    ) -> None:
        """W7, mariadb-operator #1757: the restore itself has looked at every member."""
        assert "db-0, db-1, db-2 agree on the checksums of 5 tables" in journey.answer["data"]["checks"]
