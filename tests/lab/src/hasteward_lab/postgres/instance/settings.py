"""Where things are inside a database pod, and what the lab tells its instance manager."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONTROLLER = Path("/controller")
CERTIFICATES = CONTROLLER / "certificates"
SOCKETS = CONTROLLER / "run"
LOGS = CONTROLLER / "log"
HANDSHAKE = CONTROLLER / "tmp/lab.json"
DATA = Path("/var/lib/postgresql/data")
WAL_VOLUME = Path("/var/lib/postgresql/wal")
TABLESPACES = Path("/var/lib/postgresql/tablespaces")
REPLICATION_USER = "streaming_replica"
LOCAL_PORT, STATUS_PORT = 8010, 8000


@dataclass(frozen=True)
class Settings:
    """Who this instance is."""

    pod: str
    namespace: str
    cluster: str
    pgdata: Path
    door: tuple[str, int]
    token: str

    @property
    def service(self) -> str:
        """The name under which the primary is reached."""
        return f"{self.cluster}-rw"

    @property
    def wal(self) -> Path:
        """The folder of the write-ahead log, on whatever volume it is."""
        return self.pgdata / "pg_wal"

    @property
    def standby_signal(self) -> Path:
        """The file that makes a data directory a replica's."""
        return self.pgdata / "standby.signal"

    def holds_primary(self) -> bool:
        """Say whether the data directory is a primary's: the absence of a file is all there is to it."""
        return not self.standby_signal.exists()


def read() -> Settings:
    """Read the environment of the container."""
    told: dict[str, Any] = json.loads(HANDSHAKE.read_bytes())
    env = os.environ
    return Settings(
        pod=env["POD_NAME"],
        namespace=env["NAMESPACE"],
        cluster=env["CLUSTER_NAME"],
        pgdata=Path(env["PGDATA"]),
        door=(told["host"], int(told["port"])),
        token=told["token"],
    )


def slot_name(prefix: str, pod: str) -> str:
    """The name of a member's physical slot: every run of other characters is one underscore."""
    name, last_was_other = "", False
    for char in pod.lower():
        plain = (char.isascii() and char.isalnum()) or char == "_"
        if plain:
            name += char
        elif not last_was_other:
            name += "_"
        last_was_other = not plain
    return prefix + name


def conninfo(host: str, application: str) -> str:
    """How a member reaches the primary."""
    parts = {
        "host": host,
        "user": REPLICATION_USER,
        "port": "5432",
        "sslkey": f"{CERTIFICATES}/{REPLICATION_USER}.key",
        "sslcert": f"{CERTIFICATES}/{REPLICATION_USER}.crt",
        "sslrootcert": f"{CERTIFICATES}/server-ca.crt",
        "application_name": application,
        "sslmode": "verify-ca",
        "dbname": "postgres",
        "tcp_user_timeout": "5000",
    }
    return " ".join(f"{key}={value}" for key, value in parts.items())
