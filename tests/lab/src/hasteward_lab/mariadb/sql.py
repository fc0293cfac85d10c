"""What the lab itself asks a member by SQL: as root over TCP, as the operator and its agent do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pymysql
from pymysql.connections import Connection

from hasteward_lab.mariadb.names import PORT

PRIMARY, SYNCED, DONOR = "Primary", "Synced", "Donor/Desynced"
_STATUS = (
    "SELECT LOWER(variable_name), variable_value FROM information_schema.global_status "
    "WHERE variable_name LIKE 'wsrep\\_%'"
)


class SqlError(OSError):
    """The server is not there, does not let us in, or refuses."""


@dataclass(frozen=True)
class Wsrep:
    """What a member says of its cluster."""

    values: dict[str, str]

    @property
    def primary(self) -> bool:
        """Say whether it is in a component that takes writes."""
        return self.values.get("wsrep_cluster_status") == PRIMARY

    @property
    def synced(self) -> bool:
        """Say whether it has all there is."""
        return self.values.get("wsrep_local_state_comment") == SYNCED

    @property
    def donor(self) -> bool:
        """Say whether it feeds another, or was told to fall behind."""
        return self.values.get("wsrep_local_state_comment") == DONOR

    @property
    def size(self) -> int:
        """How many members it sees."""
        return int(self.values.get("wsrep_cluster_size") or 0)


def query(address: str, password: str, statement: str, *, patience: float = 1.0) -> list[tuple[str, ...]]:
    """The rows of one statement; SqlError when there are none to be had. Blocks."""
    with _connected(address, password, patience) as connection:
        return _rows(connection, statement)


@contextlib.contextmanager
def _connected(address: str, password: str, patience: float) -> Iterator[Connection[Any]]:
    try:
        connection: Connection[Any] = Connection(
            host=address,
            port=PORT,
            user="root",
            password=password,
            connect_timeout=max(patience, 1),
            read_timeout=patience,
            write_timeout=patience,
            autocommit=None,
            ssl_disabled=True,
        )
        try:
            yield connection
        finally:
            connection.close()
    except (pymysql.MySQLError, OSError, ValueError) as error:
        raise SqlError(str(error)) from None


def _rows(connection: Connection[Any], statement: str) -> list[tuple[str, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return [tuple("" if cell is None else str(cell) for cell in row) for row in cursor.fetchall()]


def wsrep(address: str, password: str, *, patience: float = 1.0) -> Wsrep:
    """The wsrep status of a member; SqlError when it cannot be asked. Blocks."""
    return Wsrep({row[0]: row[1] for row in query(address, password, _STATUS, patience=patience)})


def quiesced(address: str, password: str, work: Callable[[Wsrep], None]) -> None:
    """Do something while a member writes nothing; its position is told. Blocks."""
    with _connected(address, password, 10.0) as connection:
        _rows(connection, "FLUSH TABLES WITH READ LOCK")
        work(Wsrep({row[0]: row[1] for row in _rows(connection, _STATUS)}))
