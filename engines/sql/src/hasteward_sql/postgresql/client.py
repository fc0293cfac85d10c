"""A server as its own client programs reach it. The password is fed to them, never an argument.

Told to ask for a password (``-W``), psql and pg_dump ask the terminal; where there is none, as in every exec
of ours, they read standard input.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from hasteward.domain.errors import DependencyError, RunFailed, Unproven
from hasteward.kit.streaming import capture
from hasteward.ports.context import EngineContext
from hasteward.ports.host import Place
from hasteward.streams.proof import Algorithm

_CONNECT_SECONDS = 10
#: what a database or a role may have set otherwise; a hostile search_path could shadow what we ask for
_SETTINGS = (
    "search_path=pg_catalog",
    "TimeZone=UTC",
    "DateStyle=ISO",
    "IntervalStyle=postgres",
    "statement_timeout=0",
    "lock_timeout=0",
    "idle_in_transaction_session_timeout=0",
    "default_transaction_read_only=on",
)
_VERSION = """
SELECT json_build_object('version', current_setting('server_version'), 'recovery', pg_is_in_recovery(),
  'superuser', (SELECT rolsuper FROM pg_roles WHERE rolname = current_user))
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A server, proven to answer. `restrict_key` says whether its pg_dump can fix that key."""

    place: Place
    user: str
    version: str
    in_recovery: bool
    superuser: bool
    restrict_key: bool
    algorithm: Algorithm
    password: str = field(repr=False, default="")

    @property
    def feed(self) -> str:
        """The password as text for the program; "" when there is none."""
        return f"{self.password}\n" if self.password else ""

    def words(self, context: EngineContext, program: str, *options: str) -> list[str]:
        """A command line of one of the client programs."""
        return _words(context, self.user, program, *options, ask=bool(self.password))

    def query(self, context: EngineContext, sql: str, database: str = "postgres") -> Any:
        """One read-only statement that produces one JSON document."""
        options = ("-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", conninfo(database), "-c", sql)
        answer = capture(context, self.place, self.words(context, "psql", *options), feed=self.feed)
        return _decoded(answer.stdout, answer.stderr, answer.exit_status, self.place)


def conninfo(database: str) -> str:
    """A connection string that names nothing but the database."""
    return "dbname='" + database.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _words(context: EngineContext, user: str, program: str, *options: str, ask: bool) -> list[str]:
    environment = [
        "env",
        "LC_ALL=C",
        "PGCLIENTENCODING=UTF8",
        f"PGAPPNAME=hasteward-{context.run.id}",
        f"PGCONNECT_TIMEOUT={_CONNECT_SECONDS}",
        "PGOPTIONS=" + " ".join(f"-c {setting}" for setting in _SETTINGS),
    ]
    return [*environment, program, "-W" if ask else "-w", "-U", user, *options]


def _decoded(stdout: bytes, stderr: str, status: int, place: Place) -> Any:
    if status != 0:
        text = " ".join(stderr.split())[-500:]
        raise RunFailed(f"psql in {place} exited with {status}: {text or 'no message'}", code="psql.failed")
    try:
        return json.loads(stdout.decode("utf-8"))
    except ValueError as error:
        raise Unproven(f"psql in {place} answered with something that is not JSON: {error}") from error


def connect(context: EngineContext, place: Place, *, user: str, password: str) -> Server:
    """Find the client programs in `place` and the server behind them. Raises DependencyError, RunFailed."""
    usage = capture(context, place, ["pg_dump", "--help"])
    if usage.exit_status != 0:
        raise DependencyError(
            f"there is no pg_dump in {place}",
            hint="psql and pg_dump must be where the server is",
            code="sql.no_client",
        )
    blank = Server(
        place,
        user,
        "",
        in_recovery=False,
        superuser=False,
        restrict_key=b"--restrict-key" in usage.stdout,
        algorithm=usage.algorithm,
        password=password,
    )
    facts = blank.query(context, _VERSION)
    return Server(
        place,
        user,
        str(facts["version"]),
        in_recovery=bool(facts["recovery"]),
        superuser=bool(facts["superuser"]),
        restrict_key=blank.restrict_key,
        algorithm=blank.algorithm,
        password=password,
    )
