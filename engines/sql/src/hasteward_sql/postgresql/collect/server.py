"""Finds the client programs and the server behind them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hasteward.domain.errors import DependencyError, Refused
from hasteward.kit.streaming import capture
from hasteward.ports.context import EngineContext
from hasteward_sql.postgresql.collect.client import Login, query
from hasteward_sql.postgresql.facts.release import Release

_OLDEST = 14
_VERSION = re.compile(r"(\d+)(?:\.(\d+))?")
_SQL = """
SELECT json_build_object('version', current_setting('server_version'),
  'number', current_setting('server_version_num')::int, 'recovery', pg_is_in_recovery(),
  'system', (SELECT system_identifier::text FROM pg_control_system()), 'superuser', r.rolsuper,
  'directory', CASE WHEN r.rolsuper THEN current_setting('data_directory') END)
FROM pg_roles r WHERE r.rolname = current_user
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A server, proven to answer. `client` is the version of the programs, `directory` where its data are.

    `directory` is empty when who logs in may not know it.
    """

    login: Login
    release: Release
    client: Release
    in_recovery: bool
    superuser: bool
    system_id: str
    directory: str


def connect(context: EngineContext, login: Login) -> Server:
    """The server that `login` leads to. Raises DependencyError, Refused, RunFailed."""
    client = _client(context, login)
    facts = query(context, login, _SQL)
    return Server(
        login=login,
        release=Release(str(facts["version"]), int(facts["number"])),
        client=client,
        in_recovery=bool(facts["recovery"]),
        superuser=bool(facts["superuser"]),
        system_id=str(facts["system"]),
        directory=str(facts["directory"] or ""),
    )


def _client(context: EngineContext, login: Login) -> Release:
    answer = capture(context, login.place, ["psql", "--version"])
    said = answer.stdout.decode("utf-8", "replace").partition(")")[2].strip()
    match = _VERSION.match(said)
    if answer.exit_status != 0 or match is None:
        raise DependencyError(
            f"there is no psql in {login}",
            hint="psql and pg_dump must be where the server is",
            code="sql.no_client",
        )
    major, minor = int(match[1]), int(match[2] or 0)
    if major < _OLDEST:
        raise Refused(
            f"psql in {login} is of PostgreSQL {said}; hasteward knows {_OLDEST} and newer",
            hint="pg_dumpall of that version, piped into restic by hand, until the server is upgraded",
            code="sql.too_old",
        )
    return Release(said, major * 10000 + minor)
