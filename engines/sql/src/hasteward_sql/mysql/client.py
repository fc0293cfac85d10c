"""A server as its own client programs reach it. The password is fed to them, never an argument."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from hasteward.domain.errors import DependencyError, HastewardError, RunFailed
from hasteward.kit.streaming import Captured, Question, capture, capture_each, upload
from hasteward.ports.context import EngineContext
from hasteward.ports.host import Place
from hasteward.streams.proof import Algorithm, StreamProof
from hasteward.streams.wrapper import FED_DESCRIPTOR
from hasteward_sql.mysql.quoting import option_file

#: finds the programs, asks the server ("$@"), and what the dump program can do; in one exec, for each costs
_MEET = """c= d=
for n in mariadb mysql; do command -v "$n" >/dev/null 2>&1 && { c=$n; break; }; done
for n in mariadb-dump mysqldump; do command -v "$n" >/dev/null 2>&1 && { d=$n; break; }; done
echo "${c:--} ${d:--}"
[ -n "$c" ] && [ -n "$d" ] || exit 0
"$c" "$@" || exit
echo @@
"$d" --help </dev/null
exit 0"""
#: both servers answer the second; only one of them has the variable
_WHO = "SELECT {}, {}; SHOW GLOBAL VARIABLES LIKE 'wsrep_on'"

#: asks $2 by the client that the other words are, and meanwhile says every $1 seconds that the server
#: answers: progress, though the statement is silent; a server that answers nobody stalls. The option file
#: comes once and is read often, so a variable holds it. What is ended here is buried by its own parent
_AWAKE = r"""trap : TERM
t=$1 q=$2 f=$(cat)
shift 2
{
  trap 'kill "$!"; wait; exit' TERM
  while :; do
    sleep "$t" &
    wait "$!"
    printf '%s\n' "$f" | "$@" --connect-timeout=5 -e 'SELECT 1' &
    wait "$!" && echo >&3
  done
} 3>&2 >/dev/null 2>&1 &
k=$!
printf '%s\n' "$f" | "$@" -e "$q"
r=$?
kill "$k"
wait "$k"
exit "$r"
"""
#: how many signs of life fit into the deadline for silence
_SIGNS = 4

_ESCAPED = re.compile(r"\\(.)")
Row = tuple[str | None, ...]


class Flavour(StrEnum):
    """Whose server it is."""

    MARIADB = "MariaDB"
    MYSQL = "MySQL"


@dataclass(frozen=True, slots=True)
class Server:
    """A server, proven to answer. MariaDB has renamed its programs, so both names were tried."""

    place: Place
    user: str
    client: str
    dumper: str
    dumper_help: bytes
    flavour: Flavour
    version: str
    lower_case: int
    algorithm: Algorithm
    galera: bool = False
    password: str = field(repr=False, default="")

    @property
    def feed(self) -> str:
        """The option file, as text for the program; "" when there is no password."""
        return option_file(self.password) if self.password else ""

    @property
    def release(self) -> tuple[int, ...]:
        """The numbers of the version."""
        numbers = []
        for part in self.version.split("-")[0].split("."):
            if not part.isdigit():
                break
            numbers.append(int(part))
        return tuple(numbers)

    def words(self, program: str, options: Sequence[str], *, password_file: str) -> list[str]:
        """A command line of one of the client programs; the option file has to come first."""
        first = [f"--defaults-extra-file={password_file}"] if self.password else []
        return [program, *first, f"--user={self.user}", "--default-character-set=utf8mb4", *options]

    def dump_words(self, options: Sequence[str]) -> list[str]:
        """A command line of the dump program."""
        return self.words(self.dumper, options, password_file="/dev/stdin")  # noqa: S106 - not a password

    def rows(self, context: EngineContext, sql: str) -> list[Row]:
        """The proven answer to a query whose every column is made with `shown`; RunFailed if it has none."""
        return [_row(line) for line in self.plain(context, sql).splitlines()]

    def lines(self, context: EngineContext, sql: str) -> list[str]:
        """The proven answer to a SHOW statement with one column, whatever is in it."""
        return [_ESCAPED.sub(_unescape, line) for line in self.plain(context, sql).split("\n") if line]

    def plain(self, context: EngineContext, sql: str) -> str:
        """The proven answer to a statement, as the client prints it for programs."""
        asked = self._question(sql)
        return self._said(capture(context, asked.place, asked.argv, feed=asked.feed))

    def _question(self, sql: str) -> Question:
        options = ["--batch", "--skip-column-names", "-e", sql]
        argv = self.words(self.client, options, password_file="/dev/stdin")  # noqa: S106 - not a password
        return Question(self.place, argv, self.feed)

    def _said(self, answer: Captured) -> str:
        if answer.exit_status != 0:
            raise RunFailed(
                f"{self.client} in {self.place} exited with {answer.exit_status}: {one_line(answer.stderr)}",
                code="sql.failed",
            )
        return answer.stdout.decode()

    def load(
        self,
        context: EngineContext,
        chunks: Iterable[bytes | memoryview],
        *,
        what: str,
        schema: str = "",
        short: bool = False,
        known: str = "",
    ) -> StreamProof:
        """Feed SQL to the client, which stops at the first error; `short` and `known` as in `upload`."""
        options = ["--batch", "--binary-mode"]
        if schema:
            options.append(f"--database={schema}")
        argv = self.words(self.client, options, password_file=FED_DESCRIPTOR)
        return upload(
            context,
            self.place,
            argv,
            chunks,
            what=what,
            algorithm=self.algorithm,
            feed=self.feed,
            short=short,
            known=known,
        )

    def run(self, context: EngineContext, *statements: str, what: str) -> None:
        """Run statements of our own."""
        self.load(context, ["".join(f"{each};\n" for each in statements).encode()], what=what, short=True)


def plain_each(context: EngineContext, servers: Sequence[Server], sql: str) -> list[str]:
    """As `Server.plain`, of many servers that work on it at the same time; the first error is raised.

    It may take as long as it will, and be silent, while its server answers others.
    """
    pause = max(1, int(context.tuning.stall_seconds / _SIGNS))
    questions = []
    for server in servers:
        file = "/dev/stdin"
        words = server.words(server.client, ["--batch", "--skip-column-names"], password_file=file)
        argv = ["sh", "-c", _AWAKE, "sh", str(pause), sql, *words]
        questions.append(Question(server.place, argv, server.feed))
    answers = capture_each(context, questions)
    said = []
    for server, answer in zip(servers, answers, strict=True):
        if isinstance(answer, HastewardError):
            raise answer
        said.append(server._said(answer))  # noqa: SLF001  its own
    return said


def shown(expression: str) -> str:
    """A column that `Server.rows` can read, whatever is in it; NULL becomes None."""
    return f"HEX(CONVERT({expression} USING utf8mb4))"


def _unescape(match: re.Match[str]) -> str:
    return {"n": "\n", "t": "\t", "0": "\0"}.get(match[1], match[1])


def _row(line: str) -> Row:
    return tuple(None if part == "NULL" else bytes.fromhex(part).decode() for part in line.split("\t"))


def one_line(text: str) -> str:
    """Somebody's words for a message of ours."""
    return " ".join(text.split())[-500:]


def connect(context: EngineContext, place: Place, *, user: str, password: str) -> Server:
    """Find the client programs in `place` and the server behind them. Raises DependencyError, RunFailed."""
    blank = Server(place, user, "sh", "", b"", Flavour.MYSQL, "", 0, Algorithm.SHA256, password=password)
    asked = _WHO.format(shown("VERSION()"), shown("@@lower_case_table_names"))
    question = blank._question(asked)  # noqa: SLF001  its own
    answer = capture(context, place, ["sh", "-c", _MEET, *question.argv], feed=question.feed)
    names, _, rest = answer.stdout.partition(b"\n")
    client, _, dumper = names.decode().partition(" ")
    if "-" in {client, dumper}:
        raise DependencyError(
            f"there is no {'client' if client == '-' else 'dump program'} of MySQL or MariaDB in {place}",
            hint="mariadb or mysql, and mariadb-dump or mysqldump, must be where the server is",
            code="sql.no_client",
        )
    blank = replace(blank, client=client, dumper=dumper, algorithm=answer.algorithm)
    blank._said(answer)  # noqa: SLF001  its own
    said, _, usage = rest.partition(b"\n@@\n")
    first, *more = said.decode().split("\n")
    version, lower_case = _row(first)
    return replace(
        blank,
        dumper_help=usage,
        flavour=Flavour.MARIADB if "mariadb" in str(version).lower() else Flavour.MYSQL,
        version=str(version),
        lower_case=int(lower_case or 0),
        galera="wsrep_on\tON" in more,
    )
