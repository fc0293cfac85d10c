# ruff: noqa: S608 - patterns of statements, which nobody runs
"""A MariaDB in memory, told what the engine tells it: by its client, its dump program, and what they load.

Every member of the cluster answers from one state, for what one is told all are. It takes the statements that
this project writes, and those of its own dumps; anything else is an error, as on a server.
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hasteward.ports.kubernetes import PodRef
from hasteward.testing.kubernetes import Result
from hasteward_sql.mysql import catalog, client
from hasteward_sql.mysql.dump import END_MARKER

_NAME = r"`((?:[^`]|``)*)`"
_TWO = rf"{_NAME}\.{_NAME}"
_HEX = r"X'([0-9a-f]*)'"
_KINDS = {"TRIGGER": "triggers", "VIEW": "views", "PROCEDURE": "routines", "EVENT": "events"}
#: where one statement ends and the next begins, in what the engine sends to ask
_NEXT = "; "
_DF = b"Filesystem 1024-blocks Used Available Capacity Mounted\n/dev/x 10000 500 9500 5% /d\n"
#: what the kernel takes as one argument
_LONGEST = 128 * 1024
ALIKE = "utf8mb4", "utf8mb4_uca1400_ai_ci"


class SqlError(Exception):
    """What the client would say."""


@dataclass
class Schema:
    """One schema; a table is what is in it, in one word, and so is everything else."""

    tables: dict[str, str] = field(default_factory=dict)
    triggers: dict[str, str] = field(default_factory=dict)
    views: dict[str, str] = field(default_factory=dict)
    routines: dict[str, str] = field(default_factory=dict)
    events: dict[str, str] = field(default_factory=dict)
    marks: dict[str, bytes] | None = None

    @property
    def picture(self) -> Any:
        """All of it, to be compared."""
        return copy.deepcopy([self.tables, self.triggers, self.views, self.routines, self.events])


def shop() -> dict[str, Schema]:
    """Two schemas with some of everything."""
    return {
        "shop": Schema(
            {"item": "three rows", "log": "no row"},
            {"noted": "after insert on item"},
            {"v": "count of item"},
            {"p": "select 1"},
            {"e": "every day"},
        ),
        "other": Schema({"t": "one row"}),
    }


def tables_alone() -> dict[str, Schema]:
    """One schema without programs: what one RENAME swaps as a whole."""
    return {"shop": Schema({"item": "three rows", "log": "no row"})}


def _hex(*values: str | None) -> str:
    return "\t".join("NULL" if value is None else value.encode().hex().upper() for value in values)


@dataclass
class Database:
    """What all members hold. `apart` are those that count other checksums, `argvs` what was run."""

    schemas: dict[str, Schema] = field(default_factory=shop)
    accounts: dict[str, str] = field(default_factory=lambda: {"clerk": "SELECT ON shop.*"})
    apart: set[str] = field(default_factory=set)
    table_bytes: int = 16384
    argvs: list[Sequence[str]] = field(default_factory=list)

    @property
    def live(self) -> Any:
        """What a client would read: no schema of a restore."""
        found = {name: one.picture for name, one in self.schemas.items() if not catalog.is_ours(name)}
        return [found, dict(self.accounts)]

    @property
    def residue(self) -> list[str]:
        """What is to be cleared up; what a restore has kept on purpose is not."""
        return sorted(
            name
            for name, one in self.schemas.items()
            if name.startswith(catalog.NEW_PREFIX)
            or (name.startswith(catalog.OLD_PREFIX) and (one.marks or {}).get("stage") != b"kept")
        )

    def damage(self) -> None:
        """As somebody would at three in the morning."""
        self.schemas["shop"].tables = {"item": "nothing", "stray": "a row"}
        if "other" in self.schemas:
            self.schemas["shop"].triggers.clear()
            self.schemas["shop"].routines["p"] = "select 2"
            self.schemas["other"].tables["t"] = "another row"

    def __call__(self, pod: PodRef, argv: Sequence[str], stdin: bytes) -> Result | None:
        """What a program answers; None for what is no program of the database."""
        self.argvs.append(argv)
        if list(argv[1:3]) == ["-c", client._MEET]:
            return Result(f"mariadb mariadb-dump\n{self._client(pod, argv[3:], '')}@@\n".encode())
        if list(argv[1:3]) == ["-c", client._AWAKE]:
            argv = [*argv[6:], "-e", argv[5]]
        try:
            if max(map(len, argv)) >= _LONGEST:
                raise SqlError("Argument list too long")
            match argv[0]:
                case "df":
                    return Result(_DF)
                case "mariadb-dump":
                    return Result(self._dump(argv))
                case "mariadb":
                    return Result(self._client(pod, argv, stdin.decode()).encode())
        except SqlError as error:
            return Result(b"", str(error).encode(), 1)
        return None

    def _client(self, pod: PodRef, argv: Sequence[str], text: str) -> str:
        if "-e" in argv:
            return self._ask(pod, argv[argv.index("-e") + 1])
        self._load(text, next((word[11:] for word in argv if word.startswith("--database=")), ""))
        return ""

    # --- the dump program -----------------------------------------------------------------------------

    def _dump(self, argv: Sequence[str]) -> bytes:
        names = list(argv[argv.index("--") + 1 :])
        schema = self.schemas[names[0]]
        if "--triggers" in argv:
            kinds = {"TRIGGER": schema.triggers, "PROCEDURE": schema.routines, "EVENT": schema.events}
            rows = [(kind, name, body) for kind, found in kinds.items() for name, body in found.items()]
        elif "--no-data" in argv:
            rows = [("VIEW", name, schema.views[name]) for name in names[1:]]
        else:
            rows = [("TABLE", name, body) for name, body in schema.tables.items()]
        text = "".join(f"CREATE {kind} `{name}` X'{body.encode().hex()}';\n" for kind, name, body in rows)
        return text.encode() + END_MARKER + b"\n"

    # --- the client, asked ----------------------------------------------------------------------------

    def _ask(self, pod: PodRef, asked: str) -> str:
        if asked.startswith(catalog._SCHEMAS):
            return "".join(f"{line}\n" for line in self._inventory())
        return "".join(f"{line}\n" for each in asked.split(_NEXT) for line in self._answer(pod, each))

    def _answer(self, pod: PodRef, asked: str) -> list[str]:
        for pattern, answer in self._questions(pod):
            if found := re.search(pattern, asked, re.DOTALL):
                return answer(found)
        raise SqlError(f"ERROR 1064 (42000): near {asked[:60]!r}")

    def _questions(self, pod: PodRef) -> list[tuple[str, Callable[[re.Match[str]], list[str]]]]:
        """What may be asked, and how it is answered; the first that fits counts."""
        galera = ["wsrep_on\tON"]
        return [
            (r"VERSION\(\)", lambda _: [_hex("11.8.2-MariaDB-log", "0")]),
            (r"^SHOW GLOBAL VARIABLES LIKE 'wsrep_on'", lambda _: galera),
            (r"^SHOW GLOBAL VARIABLES WHERE", lambda _: ["read_only\tOFF", *galera]),
            (r"@@datadir", lambda _: [_hex("/var/lib/mysql/")]),
            (r"^XA RECOVER|REFERENTIAL_CONSTRAINTS|^SET ", lambda _: []),
            (r"^SHOW PROCESSLIST", lambda _: ["7\troot\tlocalhost\tshop\tQuery\t0\tx\tSHOW PROCESSLIST"]),
            (r"FROM mysql\.user", lambda _: [_hex(name, "%", "N") for name in self.accounts]),
            (r"^SELECT '(hasteward \w+)'", lambda found: [found[1]]),
            (rf"^SHOW CREATE USER {_NAME}", lambda found: [f"CREATE USER `{found[1]}`"]),
            (
                rf"^SHOW GRANTS FOR {_NAME}",
                lambda found: [f"GRANT {self.accounts[found[1]]} TO `{found[1]}`"],
            ),
            (rf"TABLE_SCHEMA = CONVERT\({_HEX}", self._has_mark),
            (rf"^SELECT HEX\(part\), HEX\(body\) FROM {_TWO}", self._read_marks),
            (r"^CHECKSUM TABLE (.*)", lambda found: self._checksums(pod, found[1])),
        ]

    def _inventory(self) -> list[str]:
        lines = [_hex("schema", name, *ALIKE) for name in self.schemas]
        for name, schema in self.schemas.items():
            size, tables = str(self.table_bytes), dict(schema.tables)
            tables |= {} if schema.marks is None else {catalog.MARK: ""}
            lines += [_hex("table", name, table, "BASE TABLE", "InnoDB", size, None, "0") for table in tables]
            lines += [_hex("table", name, view, "VIEW", None, "0", None, "0") for view in schema.views]
            rows = [("triggers", one) for one in schema.triggers] + [("events", one) for one in schema.events]
            rows += [("PROCEDURE", one) for one in schema.routines]
            lines += [_hex("program", name, kind, one) for kind, one in rows]
        return lines

    def _has_mark(self, found: re.Match[str]) -> list[str]:
        schema = self.schemas.get(bytes.fromhex(found[1]).decode())
        return [] if schema is None or schema.marks is None else [_hex(catalog.MARK)]

    def _read_marks(self, found: re.Match[str]) -> list[str]:
        marks = self._schema(found[1]).marks or {}
        return [f"{part.encode().hex()}\t{body.hex()}" for part, body in marks.items()]

    def _checksums(self, pod: PodRef, tables: str) -> list[str]:
        lines = []
        for schema, table in re.findall(_TWO, tables):
            body = self._schema(schema).tables[table] + ("!" if pod.name in self.apart else "")
            lines.append(f"{schema}.{table}\t{hashlib.sha256(body.encode()).hexdigest()[:10]}")
        return lines

    # --- the client, loading --------------------------------------------------------------------------

    def _load(self, text: str, schema: str) -> None:
        """Statement by statement to the first error; one without its end is tried too, as the client does."""
        text = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("--"))
        for statement in re.split(r";\n", text):
            if statement.strip():
                self._execute(statement.strip().removesuffix(";"), schema)

    def _execute(self, statement: str, schema: str) -> None:
        for pattern, act in self._acts(schema):
            if found := re.fullmatch(pattern, statement):
                act(found)
                return
        raise SqlError(f"ERROR 1064 (42000): near {statement[:60]!r}")

    def _acts(self, schema: str) -> list[tuple[str, Callable[[re.Match[str]], Any]]]:
        kinds = "|".join(_KINDS)
        return [
            (r"SET .*", lambda _: None),
            (rf"CREATE DATABASE (IF NOT EXISTS )?{_NAME} CHARACTER SET \S+ COLLATE \S+", self._make_schema),
            (rf"DROP DATABASE (IF EXISTS )?{_NAME}", self._drop_schema),
            (rf"CREATE TABLE {_TWO} \(part .*\) ENGINE=InnoDB", self._make_marks),
            (rf"CREATE TABLE {_TWO} \(n .*\) ENGINE=InnoDB", self._make_witness),
            (rf"REPLACE INTO {_TWO} VALUES \({_HEX}, {_HEX}\)", self._mark),
            (r"RENAME TABLE (.*)", self._rename),
            (rf"DROP ({kinds}) IF EXISTS {_TWO}", self._drop),
            (rf"CREATE TABLE {_NAME} {_HEX}", lambda found: self._make(schema, "tables", found[1], found[2])),
            (
                rf"CREATE ({kinds}) {_NAME} {_HEX}",
                lambda found: self._make(schema, _KINDS[found[1]], found[2], found[3]),
            ),
            (rf"CREATE USER IF NOT EXISTS {_NAME}", lambda found: self.accounts.setdefault(found[1], "")),
            (rf"DROP USER IF EXISTS {_NAME}@{_NAME}", lambda found: self.accounts.pop(found[1], None)),
            (rf"GRANT (.*) TO {_NAME}", self._grant),
        ]

    def _schema(self, name: str) -> Schema:
        if name not in self.schemas:
            raise SqlError(f"ERROR 1049 (42000): Unknown database '{name}'")
        return self.schemas[name]

    def _make_schema(self, found: re.Match[str]) -> None:
        if found[2] in self.schemas and not found[1]:
            raise SqlError(f"ERROR 1007 (HY000): Can't create database '{found[2]}'; database exists")
        self.schemas.setdefault(found[2], Schema())

    def _drop_schema(self, found: re.Match[str]) -> None:
        if not found[1]:
            self._schema(found[2])
        self.schemas.pop(found[2], None)

    def _make_marks(self, found: re.Match[str]) -> None:
        schema = self._schema(found[1])
        if schema.marks is not None:
            raise SqlError(f"ERROR 1050 (42S01): Table '{found[2]}' already exists")
        schema.marks = {}

    def _make_witness(self, found: re.Match[str]) -> None:
        self._schema(found[1])
        self._make(found[1], "tables", found[2], "")

    def _mark(self, found: re.Match[str]) -> None:
        marks = self._schema(found[1]).marks
        if marks is None:
            raise SqlError(f"ERROR 1146 (42S02): Table '{found[1]}.{found[2]}' doesn't exist")
        marks[bytes.fromhex(found[3]).decode()] = bytes.fromhex(found[4])

    def _rename(self, found: re.Match[str]) -> None:
        """All or nothing; a table that has triggers does not go into another schema."""
        after = copy.deepcopy(self.schemas)
        for source, table, target, new in re.findall(rf"{_TWO} TO {_TWO}", found[1]):
            if source not in after or target not in after or table not in after[source].tables:
                raise SqlError(f"ERROR 1146 (42S02): Table '{source}.{table}' doesn't exist")
            if after[source].triggers:
                raise SqlError("ERROR 1435 (HY000): Trigger in wrong schema")
            if new in after[target].tables:
                raise SqlError(f"ERROR 1050 (42S01): Table '{new}' already exists")
            after[target].tables[new] = after[source].tables.pop(table)
        self.schemas = after

    def _drop(self, found: re.Match[str]) -> None:
        getattr(self._schema(found[2]), _KINDS[found[1]]).pop(found[3], None)

    def _make(self, schema: str, kind: str, name: str, body: str) -> None:
        there = getattr(self._schema(schema), kind)
        if name in there:
            raise SqlError(f"ERROR 1050 (42S01): '{name}' already exists")
        there[name] = bytes.fromhex(body).decode()

    def _grant(self, found: re.Match[str]) -> None:
        if found[2] not in self.accounts:
            raise SqlError(f"ERROR 1133 (28000): no account {found[2]}")
        self.accounts[found[2]] = found[1]


__all__ = ["Database", "Schema", "SqlError", "shop", "tables_alone"]
