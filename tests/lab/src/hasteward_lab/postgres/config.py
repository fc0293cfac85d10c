"""The configuration files of a member, as the instance manager writes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hasteward_lab.pki import Authority, Pair

CERTIFICATES = "/controller/certificates"
REPLICATION_USER = "streaming_replica"

_PARAMETERS = {
    "listen_addresses": "*",
    "port": "5432",
    "unix_socket_directories": "/controller/run",
    "ssl": "on",
    "ssl_cert_file": f"{CERTIFICATES}/server.crt",
    "ssl_key_file": f"{CERTIFICATES}/server.key",
    "ssl_ca_file": f"{CERTIFICATES}/client-ca.crt",
    "password_encryption": "scram-sha-256",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "wal_level": "logical",
    "wal_log_hints": "on",
    "full_page_writes": "on",
    "hot_standby": "on",
    "max_replication_slots": "32",
    "max_wal_senders": "16",
    "wal_keep_size": "64MB",
    "min_wal_size": "48MB",
    "max_wal_size": "256MB",
    "wal_sender_timeout": "5s",
    "wal_receiver_timeout": "5s",
    "wal_retrieve_retry_interval": "1s",
    "restart_after_crash": "off",
    "archive_mode": "on",
    "archive_command": "/controller/manager wal-archive %p",
    "archive_timeout": "5min",
    "dynamic_shared_memory_type": "posix",
    "log_line_prefix": "%m [%p] ",
}
_HBA = f"""# written by the lab
local all all peer map=local
hostssl postgres {REPLICATION_USER} all cert
hostssl replication {REPLICATION_USER} all cert
host all all all scram-sha-256
"""
_IDENT = "local postgres postgres\n"


def slot(member: str) -> str:
    """The name of a member's physical slot."""
    return "_cnpg_" + "".join(char if char.isalnum() else "_" for char in member.lower())


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


def write_primary(pgdata: Path, *, fsync: bool) -> None:
    """Write what a fresh data directory needs; replicas get it with the base backup."""
    parameters = {**_PARAMETERS, "fsync": "on" if fsync else "off"}
    lines = [f"{key} = '{value}'\n" for key, value in parameters.items()]
    (pgdata / "custom.conf").write_text("".join(lines), encoding="ascii")
    with (pgdata / "postgresql.conf").open("a", encoding="ascii") as stream:
        stream.write("\ninclude 'custom.conf'\ninclude 'override.conf'\n")
    (pgdata / "pg_hba.conf").write_text(_HBA, encoding="ascii")
    (pgdata / "pg_ident.conf").write_text(_IDENT, encoding="ascii")


def write_override(pgdata: Path, member: str, host: str) -> None:
    """Write what is a member's own; a primary has it too, harmless."""
    parameters = {
        "restore_command": "/controller/manager wal-restore %f %p",
        "recovery_target_timeline": "latest",
        "primary_slot_name": slot(member),
        "primary_conninfo": conninfo(host, member),
    }
    lines = [f"{key} = '{value}'\n" for key, value in parameters.items()]
    (pgdata / "override.conf").write_text("".join(lines), encoding="ascii")


@dataclass(frozen=True)
class Certificates:
    """The certificates of one cluster."""

    authority: Pair
    server: Pair
    replication: Pair

    @classmethod
    def make(cls, cluster: str, namespace: str) -> Certificates:
        """Make new ones."""
        authority = Authority(cluster)
        names = [
            f"{cluster}-{service}{suffix}"
            for service in ("rw", "r", "ro")
            for suffix in ("", f".{namespace}", f".{namespace}.svc")
        ]
        server = authority.issue(f"{cluster}-rw", tuple(names))
        return cls(authority.pair, server, authority.issue(REPLICATION_USER))

    def write(self, scratch: Path) -> None:
        """Put them where the server of a pod looks for them."""
        folder = scratch / "controller/certificates"
        folder.mkdir(parents=True, exist_ok=True)
        files = {
            "server.crt": self.server.certificate,
            "server.key": self.server.key,
            f"{REPLICATION_USER}.crt": self.replication.certificate,
            f"{REPLICATION_USER}.key": self.replication.key,
            "client-ca.crt": self.authority.certificate,
            "server-ca.crt": self.authority.certificate,
        }
        for name, content in files.items():
            path = folder / name
            path.touch(mode=0o600)
            path.write_bytes(content)
