"""How a member's server is asked: `hasteward_sql.postgresql.collect.client`, by the local peer login."""

from __future__ import annotations

from hasteward.ports.kubernetes import PodRef
from hasteward_cnpg.resources import SUPERUSER
from hasteward_sql.postgresql.collect.client import Login


def login_of(pod: PodRef) -> Login:
    """The superuser by the socket, whom the server lets in without a password; his secret is never read."""
    return Login(pod, SUPERUSER)
