# ruff: noqa: S608 - statements of a test
"""What every engine must keep on real servers, kept by cnpg on three of PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from types import MappingProxyType
from typing import Any, Self

import pytest

from hasteward_lab.conformance import LabConformance, Repair, Site
from hasteward_lab.lab import Lab
from hasteward_lab.state import LabError

pytestmark = [pytest.mark.servers, pytest.mark.timeout(1200)]

SHOP = """
CREATE ROLE clerk LOGIN PASSWORD 'not-a-secret';
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text, at timestamptz);
INSERT INTO orders (body, at)
  SELECT md5(n::text) || repeat(md5((n % 97)::text), 4), timestamptz '2026-01-01' + n * interval '1 minute'
  FROM generate_series(1, 8000) n;
CREATE VIEW busy AS SELECT count(*) FROM orders;
GRANT SELECT ON orders TO clerk;
"""
CONTENT = """
SELECT count(*), md5(string_agg(o::text, '' ORDER BY id)) FROM orders o;
SELECT * FROM busy;
SELECT relacl FROM pg_class WHERE relname = 'orders';
SELECT rolpassword FROM pg_authid WHERE rolname = 'clerk';
"""


class PostgresSite(Site):
    engine = "cnpg"
    where = ("-e", "cnpg", "-c", "pg", "-n", "db")
    part = ("--database", "app")

    @classmethod
    @contextmanager
    def up(cls) -> Iterator[Self]:
        with Lab.up(volume_size="512Mi", time_scale=0.3) as lab:
            lab.psql(lab.primary, SHOP, "app")
            lab.psql(lab.primary, "CREATE DATABASE ledger")
            lab.psql(lab.primary, "CREATE TABLE written (n int)", "ledger")
            yield cls(lab)

    def content(self) -> Mapping[str, Any]:
        # a replica has a sequence up to 32 values ahead
        last = self.lab.psql(self.lab.primary, "SELECT last_value FROM orders_id_seq", "app")
        return {pod: (last, self.lab.psql(pod, CONTENT, "app")) for pod in self.lab.pods}

    def damage(self) -> None:
        sql = "DELETE FROM orders WHERE id % 5 = 0; DROP VIEW IF EXISTS busy CASCADE;"
        self.lab.psql(self.lab.primary, sql + "CREATE VIEW busy AS SELECT 'nobody knows'", "app")

    def commit(self, number: int) -> None:
        self.lab.psql(self.lab.primary, f"INSERT INTO written VALUES ({number})", "ledger")

    def committed(self) -> Mapping[str, frozenset[int]]:
        asked = "SELECT coalesce(json_agg(n), '[]') FROM written"
        return {pod: frozenset(json.loads(self.lab.psql(pod, asked, "ledger"))) for pod in self.lab.pods}

    def settle(self) -> None:
        super().settle()
        streams = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
        self.lab.wait(lambda: self.lab.psql(self.lab.primary, streams) == str(len(self.lab.pods) - 1), 120)
        position = self.lab.psql(self.lab.primary, "SELECT pg_current_wal_lsn()")
        caught = f"SELECT NOT pg_is_in_recovery() OR pg_last_wal_replay_lsn() >= '{position}'"
        self.lab.wait(lambda: all(self.lab.psql(pod, caught) == "t" for pod in self.lab.pods), 120)

    def rest(self) -> None:
        # a checkpoint, and a replica's counterpart, is spread over minutes
        for pod in self.lab.pods:
            with suppress(LabError):
                self.lab.psql(pod, "CHECKPOINT")

    def tidy(self) -> None:
        names = "SELECT datname FROM pg_database WHERE datname LIKE 'hasteward%'"
        for name in self.lab.psql(self.lab.primary, names).split():
            self.lab.psql(self.lab.primary, f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def member_down(site: PostgresSite) -> Iterator[PostgresSite]:
    """A replica whose container ends again and again, and an operator that looks on."""
    replica = max(pod for pod in site.lab.pods if pod != site.lab.primary)
    site.lab.stop(replica)
    try:
        yield site
    finally:
        site.lab.start(replica)


@contextmanager
def fenced(site: PostgresSite) -> Iterator[PostgresSite]:
    """A replica that somebody has fenced."""
    replica = max(pod for pod in site.lab.pods if pod != site.lab.primary)
    site.lab.fence(replica)
    site.lab.wait(lambda: not site.lab.chaos.server(replica)["answers"], 60)
    try:
        yield site
    finally:
        site.lab.unfence(replica)


class TestCnpg(LabConformance):
    subject = PostgresSite
    troubles = MappingProxyType({"member-down": member_down, "fenced": fenced})
    repairs = MappingProxyType(
        {
            "member-down": Repair(member_down),
            "made-anew": Repair(nullcontext, ("-i", "3", "--force", "--no-escrow")),
        }
    )
