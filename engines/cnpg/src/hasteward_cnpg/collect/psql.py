"""SQL in a member's container through the local peer login (`hasteward_sql.postgresql.collect.client`)."""

from __future__ import annotations

from typing import Any

from hasteward.ports.context import EngineContext
from hasteward.ports.kubernetes import PodRef
from hasteward_cnpg.resources import SUPERUSER
from hasteward_sql.postgresql.collect import client
from hasteward_sql.postgresql.collect.client import Login, one_line

__all__ = ["login_of", "one_line", "query"]


def login_of(pod: PodRef) -> Login:
    """The superuser by the socket, whom the server lets in without a password; his secret is never read."""
    return Login(pod, SUPERUSER)


def query(
    context: EngineContext, pod: PodRef, sql: str, *, database: str = "postgres", seconds: int = 0
) -> Any:
    """Run one read-only statement that produces one JSON document."""
    return client.query(context, login_of(pod), sql, database=database, seconds=seconds)
