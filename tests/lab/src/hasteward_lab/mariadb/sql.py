"""What the lab itself asks a member by SQL: as root over TCP, as the operator and its agent do."""

from __future__ import annotations

import socket
from dataclasses import dataclass

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
    try:
        with socket.create_connection((address, PORT), timeout=patience) as wire:
            wire.settimeout(patience)
            return _ask(wire, password, statement, patience)
    except (pymysql.MySQLError, OSError, ValueError) as error:
        raise SqlError(str(error)) from None


def _ask(wire: socket.socket, password: str, statement: str, patience: float) -> list[tuple[str, ...]]:
    connection: Connection = Connection(
        user="root",
        password=password,
        defer_connect=True,
        connect_timeout=int(max(patience, 1)),
        read_timeout=patience,
        write_timeout=patience,
        autocommit=None,
        ssl_disabled=True,
    )
    try:
        connection.connect(wire)
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return [tuple("" if cell is None else str(cell) for cell in row) for row in cursor.fetchall()]
    finally:
        if connection.open:
            connection.close()


def wsrep(address: str, password: str, *, patience: float = 1.0) -> Wsrep:
    """The wsrep status of a member; SqlError when it cannot be asked. Blocks."""
    return Wsrep({row[0]: row[1] for row in query(address, password, _STATUS, patience=patience)})
