"""Runs SQL through the server's own client programs; every answer is a proven capture.

Reading goes by ``-c`` in a read-only session; what is asked together goes through stdin. Writing goes through
stdin, so no name or hash shows in a process list or an audit log, and its last statement is the COMMIT: a
stream that is cut commits nothing.

A password is never an argument. Told to ask for one (``-W``), psql and pg_dump ask the terminal; where there
is none, as in every exec of ours, they read the first line of standard input.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from hasteward.domain.errors import HastewardError, RunFailed, Unproven
from hasteward.kit.streaming import Captured, Question, capture, capture_each, upload
from hasteward.ports.context import EngineContext
from hasteward.ports.host import Place
from hasteward.streams.proof import Algorithm
from hasteward_sql.postgresql.facts.quoting import connect, conninfo

T = TypeVar("T")
U = TypeVar("U")
_LOOPBACK = "127.0.0.1"
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
#: what the programs say when they ask for the password
_PROMPT = re.compile(r"Password(?: for user [^\n]*)?: \n*")


@dataclass(frozen=True, slots=True)
class Login:
    """How a server is reached: where its client programs are, and as whom they come.

    `host` is empty for the way that the programs go by themselves there, and `password` for a log-in without
    one.
    """

    place: Place
    user: str
    host: str = ""
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        return str(self.place)

    @property
    def feed(self) -> str:
        """The password as text for the program; "" when there is none."""
        return f"{self.password}\n" if self.password else ""

    @property
    def words(self) -> list[str]:
        """The options of every client program."""
        host = ["-h", self.host] if self.host else []
        return ["-W" if self.password else "-w", "-U", self.user, *host]

    def before(self, chunks: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
        """`chunks` as a program reads them from standard input: behind the password."""
        if self.password:
            yield self.feed.encode()
        yield from chunks


def application_name(context: EngineContext, role: str = "") -> str:
    """What our sessions are called in pg_stat_activity (at most 63 bytes)."""
    return f"hasteward-{context.run.id}{'-' + role if role else ''}"[:63]


def environment(context: EngineContext, *options: str, role: str = "") -> list[str]:
    """``env`` and the variables that make a client's behaviour the same in every place."""
    argv = [
        "env",
        "LC_ALL=C",
        "PGCLIENTENCODING=UTF8",
        f"PGAPPNAME={application_name(context, role)}",
        f"PGCONNECT_TIMEOUT={_CONNECT_SECONDS}",
    ]
    return [*argv, "PGOPTIONS=" + " ".join(f"-c {setting}" for setting in (*_SETTINGS, *options))]


def psql(context: EngineContext, login: Login, database: str, *options: str) -> list[str]:
    """``psql`` that reads no start-up file and stops at the first error."""
    # from the place to itself there is nobody to hide from, and TLS would cost a third of a load
    plain = ["PGSSLMODE=allow"] if login.host == _LOOPBACK else []
    return [
        *environment(context, *options),
        *plain,
        *("psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", *login.words),
        *("-d", conninfo(database)),
    ]


def one_line(text: str) -> str:
    """An error text without its line breaks."""
    return " ".join(text.split())


def unprompted(error: RunFailed) -> RunFailed:
    """The failure of a program without its request for a password."""
    return type(error)(_PROMPT.sub("", error.message), hint=error.hint, code=error.code)


@contextlib.contextmanager
def _unprompting() -> Iterator[None]:
    try:
        yield
    except RunFailed as error:
        raise unprompted(error) from error


class Asked(Generic[T]):
    """A question to a server and how its answer is understood, so that it can be asked beside others."""

    def __init__(self, question: Question, understood: Callable[[Captured], T]) -> None:
        self.question = question
        self._understood = understood
        self.answer: Captured | HastewardError | None = None

    def then(self, understood: Callable[[T], U]) -> Asked[U]:
        """The same question, with more made of its answer."""
        mine = self._understood
        return Asked(self.question, lambda answer: understood(mine(answer)))

    def alone(self, context: EngineContext) -> T:
        """Ask it now, and what it tells. Raises RunFailed, Unproven."""
        one = self.question
        return self._understood(capture(context, one.place, one.argv, feed=one.feed))

    def result(self) -> T:
        """What it tells, after `ask_each`. Raises as `alone`."""
        assert self.answer is not None, "it was not asked"  # noqa: S101  a mistake of ours
        if isinstance(self.answer, HastewardError):
            raise self.answer
        return self._understood(self.answer)


def ask_each(context: EngineContext, *asked: Asked[Any] | None) -> None:
    """Ask all there are at the same time; each then has its `result`."""
    there = [one for one in asked if one]
    for one, answer in zip(there, capture_each(context, [one.question for one in there]), strict=True):
        one.answer = answer


def ask(
    context: EngineContext, login: Login, sql: str, *, database: str = "postgres", seconds: int = 0
) -> Captured:
    """Run one read-only statement; RunFailed when psql did not succeed."""
    return _asking(context, login, sql, database, seconds).alone(context)


def _asking(context: EngineContext, login: Login, sql: str, database: str, seconds: int) -> Asked[Captured]:
    argv = [*_reading(context, login, database, seconds), "-c", sql.strip()]
    return Asked(Question(login.place, argv, login.feed), lambda answer: _answered(login, answer))


def _reading(context: EngineContext, login: Login, database: str, seconds: int) -> list[str]:
    options = (
        f"statement_timeout={seconds or _STATEMENT_SECONDS}s",
        "jit=off",
        "default_transaction_read_only=on",
    )
    return psql(context, login, database, *options)


def _answered(login: Login, answer: Captured) -> Captured:
    if answer.exit_status != 0:
        said = one_line(_PROMPT.sub("", answer.stderr)) or "no message"
        raise RunFailed(f"psql in {login} exited with {answer.exit_status}: {said}", code="psql.failed")
    return answer


def decode(answer: Captured, login: Login) -> Any:
    """The answer's one JSON document."""
    return _decode(answer.stdout, login)


def _decode(document: bytes, login: Login) -> Any:
    try:
        return json.loads(document.decode("utf-8"))
    except ValueError as error:
        raise Unproven(f"psql in {login} answered with something that is not JSON: {error}") from error


def query(
    context: EngineContext, login: Login, sql: str, *, database: str = "postgres", seconds: int = 0
) -> Any:
    """Run one read-only statement that produces one JSON document."""
    return querying(context, login, sql, database=database, seconds=seconds).alone(context)


def querying(
    context: EngineContext, login: Login, sql: str, *, database: str = "postgres", seconds: int = 0
) -> Asked[Any]:
    """The same, to be asked beside others."""
    return _asking(context, login, sql, database, seconds).then(lambda answer: decode(answer, login))


def query_all(
    context: EngineContext, login: Login, statements: Sequence[str], *, database: str, seconds: int = 0
) -> list[Any]:
    """Run several such statements in one session; their documents in order.

    One session, because most of the time of a short question is the way to the pod.
    """
    return querying_across(context, login, [(database, statements)], seconds=seconds).alone(context)[0]


def querying_across(
    context: EngineContext, login: Login, asked: Sequence[tuple[str, Sequence[str]]], *, seconds: int = 0
) -> Asked[list[list[Any]]]:
    """The same in several databases, one after the other, to be asked beside others; the documents of each.

    Told to ask for a password, psql asks each time.
    """
    script = ""
    for database, statements in asked:
        if script:
            script += f"{connect(database)}\n{login.feed}"
        script += "".join(f"{sql.strip()};\n" for sql in statements)
    total = sum(len(statements) for _, statements in asked)
    argv = [*_reading(context, login, asked[0][0], seconds), "-0"]

    def understood(answer: Captured) -> list[list[Any]]:
        found = iter(_documents(login, _answered(login, answer), total))
        return [[next(found) for _ in statements] for _, statements in asked]

    return Asked(Question(login.place, argv, login.feed + script), understood)


def query_each(context: EngineContext, login: Login, sql: str, databases: Sequence[str]) -> list[Any]:
    """Run one such statement in every one of `databases`."""
    asked = [(name, (sql,)) for name in databases]
    if not asked:
        return []
    return [document for (document,) in querying_across(context, login, asked).alone(context)]


def _documents(login: Login, answer: Captured, count: int) -> list[Any]:
    documents = answer.stdout.rstrip(b"\0").split(b"\0")
    if len(documents) != count:
        raise Unproven(f"psql in {login} answered {len(documents)} of {count} questions")
    return [_decode(document, login) for document in documents]


def feed_script(
    context: EngineContext, login: Login, argv: list[str], script: str, *, what: str, algorithm: Algorithm
) -> None:
    """Give a program that logs in a script to read."""
    given = login.before([script.encode()])
    with _unprompting():
        upload(context, login.place, argv, given, what=what, algorithm=algorithm, short=True)


def feed_section(
    context: EngineContext,
    login: Login,
    argv: list[str],
    chunks: Iterable[bytes | memoryview],
    *,
    what: str,
    algorithm: Algorithm,
    known: str,
) -> None:
    """Give a program `chunks` to read that finds the password on the descriptor of what it is fed. `known` is
    their digest.
    """
    asked = (context, login.place, argv, chunks)
    with _unprompting():
        upload(*asked, what=what, algorithm=algorithm, feed=login.feed, known=known)


def run_script(
    context: EngineContext,
    login: Login,
    script: str,
    *,
    what: str,
    algorithm: Algorithm,
    database: str = "postgres",
    options: tuple[str, ...] = (),
) -> None:
    """Run a script that changes something; RunFailed with the server's words when it failed."""
    argv = [*psql(context, login, database, *options), "-v", "VERBOSITY=verbose"]
    feed_script(context, login, argv, script, what=what, algorithm=algorithm)
