"""Runs SQL in a member's container through the local peer login; every answer is a proven capture.

Reading goes by ``-c`` in a read-only session. Writing goes through stdin, so no name or hash shows in a
process list or an audit log, and its last statement is the COMMIT: a stream that is cut commits nothing.
"""

from __future__ import annotations

import json
from typing import Any

from hasteward.domain.errors import RunFailed, Unproven
from hasteward.kit.streaming import Captured, capture, upload
from hasteward.ports.context import EngineContext
from hasteward.ports.kubernetes import PodRef
from hasteward.streams.proof import Algorithm
from hasteward_cnpg.facts.quoting import conninfo
from hasteward_cnpg.resources import SUPERUSER

_CONNECT_SECONDS = 10
_STATEMENT_SECONDS = 20
#: what a database, a role or the server may have set otherwise; of two, the last one counts. The owner of a
#: database may set a search path or a role for whoever connects: then our own statements would call his
#: functions and operators, so both are pinned, and what a name means is decided here.
_SETTINGS = (
    "search_path=pg_catalog",
    "role=none",
    "standard_conforming_strings=on",
    "TimeZone=UTC",
    "DateStyle=ISO",
    "IntervalStyle=postgres",
    "default_transaction_read_only=off",
    "statement_timeout=0",
    "lock_timeout=0",
    "idle_in_transaction_session_timeout=0",
    "idle_session_timeout=0",
)


def application_name(context: EngineContext, role: str = "") -> str:
    """What our sessions are called in pg_stat_activity (at most 63 bytes)."""
    return f"hasteward-{context.run.id}{'-' + role if role else ''}"[:63]


def environment(context: EngineContext, *options: str, role: str = "") -> list[str]:
    """``env`` and the variables that make a client's behaviour the same in every pod."""
    argv = [
        "env",
        "LC_ALL=C",
        "PGCLIENTENCODING=UTF8",
        f"PGAPPNAME={application_name(context, role)}",
        f"PGCONNECT_TIMEOUT={_CONNECT_SECONDS}",
    ]
    return [*argv, "PGOPTIONS=" + " ".join(f"-c {setting}" for setting in (*_SETTINGS, *options))]


def psql(context: EngineContext, database: str, *options: str, role: str = "") -> list[str]:
    """``psql`` that reads no start-up file, asks for no password and stops at the first error."""
    return [
        *environment(context, *options, role=role),
        *("psql", "-X", "-A", "-t", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-U", SUPERUSER),
        *("-d", conninfo(database)),
    ]


def one_line(text: str) -> str:
    """An error text without its line breaks."""
    return " ".join(text.split())


def ask(
    context: EngineContext, pod: PodRef, sql: str, *, database: str = "postgres", seconds: int = 0
) -> Captured:
    """Run one read-only statement; RunFailed when psql did not succeed."""
    options = (
        f"statement_timeout={seconds or _STATEMENT_SECONDS}s",
        "jit=off",
        "default_transaction_read_only=on",
    )
    argv = [*psql(context, database, *options), "-c", sql.strip()]
    answer = capture(context, pod, argv)
    if answer.exit_status != 0:
        raise RunFailed(
            f"psql in {pod} exited with {answer.exit_status}: {one_line(answer.stderr) or 'no message'}",
            code="psql.failed",
        )
    return answer


def decode(answer: Captured, pod: PodRef) -> Any:
    """The answer's one JSON document."""
    try:
        return json.loads(answer.stdout.decode("utf-8"))
    except ValueError as error:
        raise Unproven(f"psql in {pod} answered with something that is not JSON: {error}") from error


def query(
    context: EngineContext, pod: PodRef, sql: str, *, database: str = "postgres", seconds: int = 0
) -> Any:
    """Run one read-only statement that produces one JSON document."""
    return decode(ask(context, pod, sql, database=database, seconds=seconds), pod)


def run_script(
    context: EngineContext,
    pod: PodRef,
    script: str,
    *,
    what: str,
    algorithm: Algorithm,
    database: str = "postgres",
    options: tuple[str, ...] = (),
) -> None:
    """Run a script that changes something; RunFailed with the server's words when it failed."""
    upload(
        context,
        pod,
        [*psql(context, database, *options), "-v", "VERBOSITY=verbose"],
        [script.encode()],
        what=what,
        algorithm=algorithm,
    )
