"""The configuration files of a member, as the instance manager writes them at every start and reconcile."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Any

from . import synchronous
from .settings import CERTIFICATES, REPLICATION_USER, Settings, conninfo, slot_name

_DEFAULTS = {
    "archive_mode": "on",
    "archive_timeout": "5min",
    "dynamic_shared_memory_type": "posix",
    "full_page_writes": "on",
    "log_destination": "csvlog",
    "log_directory": "/controller/log",
    "log_filename": "postgres",
    "log_rotation_age": "0",
    "log_rotation_size": "0",
    "log_truncate_on_rotation": "false",
    "logging_collector": "on",
    "max_connections": "100",
    "max_parallel_workers": "32",
    "max_replication_slots": "32",
    "max_wal_senders": "16",
    "max_worker_processes": "32",
    "password_encryption": "scram-sha-256",
    "shared_memory_type": "mmap",
    "ssl_max_protocol_version": "TLSv1.3",
    "ssl_min_protocol_version": "TLSv1.3",
    # Smaller than the operator's, for the lab's volumes are small: its wal_keep_size is 512MB.
    "shared_buffers": "64MB",
    "wal_keep_size": "64MB",
    "min_wal_size": "48MB",
    "max_wal_size": "256MB",
    "wal_level": "logical",
    "wal_log_hints": "on",
}
_FIXED = {
    "archive_command": "/controller/manager wal-archive --log-destination /controller/log/postgres.json %p",
    "hot_standby": "on",
    "listen_addresses": "*",
    "port": "5432",
    "restart_after_crash": "off",
    "ssl": "on",
    "ssl_ca_file": f"{CERTIFICATES}/client-ca.crt",
    "ssl_cert_file": f"{CERTIFICATES}/server.crt",
    "ssl_key_file": f"{CERTIFICATES}/server.key",
    "unix_socket_directories": "/controller/run",
}
_HBA = f"""# Grant local access
local all all peer map=local
# Require client certificate authentication for the streaming_replica user
hostssl postgres {REPLICATION_USER} all cert
hostssl replication {REPLICATION_USER} all cert
{{user}}
# Otherwise use the default authentication method
host all all all scram-sha-256
"""
_IDENT = "# Grant local access\nlocal postgres postgres\n{user}\n"
_INCLUDES = "\n# load CloudNativePG custom.conf\ninclude 'custom.conf'\ninclude 'override.conf'\n"
_ALTER_SYSTEM_PARAMETER_SINCE = 17
# PostgreSQL's own 5 s between two tries to get WAL, scaled as every other wait.
_RETRY_MS, _RETRY_LEAST_MS = 5000, 250
# Not below what a busy machine may keep a process waiting.
_SILENCE_LEAST_MS = 2500


def major(pgdata: Path) -> int:
    """The major version of a data directory."""
    return int((pgdata / "PG_VERSION").read_text(encoding="ascii").split(".")[0])


def _custom(cluster: dict[str, Any], version: int, extra: dict[str, str]) -> str:
    spec = cluster.get("spec", {}).get("postgresql", {})
    wished: dict[str, str] = {key: str(value) for key, value in spec.get("parameters", {}).items()}
    parameters = {**_DEFAULTS, **extra, **wished, **_FIXED}
    if cluster.get("metadata", {}).get("annotations", {}).get("cnpg.io/skipWalArchiving") == "enabled":
        parameters["archive_mode"] = "off"
    if version >= _ALTER_SYSTEM_PARAMETER_SINCE:
        parameters["allow_alter_system"] = "on" if spec.get("enableAlterSystem") else "off"
    parameters["synchronous_standby_names"] = synchronous.setting(cluster)
    quoted = {key: value.replace("'", "''") for key, value in parameters.items()}
    text = "".join(f"{key} = '{value}'\n" for key, value in sorted(quoted.items()))
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{text}cnpg.config_sha256 = '{digest}'\n"


def _override(settings: Settings, cluster: dict[str, Any]) -> str:
    parameters = {
        "restore_command": (
            "/controller/manager wal-restore --log-destination /controller/log/postgres.json %f %p"
        ),
        "recovery_target_timeline": "latest",
        "primary_conninfo": conninfo(settings.service, settings.pod),
    }
    slots = cluster.get("spec", {}).get("replicationSlots", {}).get("highAvailability", {})
    if slots.get("enabled", True):
        parameters["primary_slot_name"] = slot_name(slots.get("slotPrefix", "_cnpg_"), settings.pod)
    return "".join(f"{key} = '{value}'\n" for key, value in parameters.items())


def _replace(path: Path, text: str) -> bool:
    try:
        if path.read_text(encoding="utf-8") == text:
            return False
    except (OSError, ValueError):
        pass
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return True


def write(settings: Settings, told: dict[str, Any]) -> bool:
    """Write every file the manager owns; True when one of them was different."""
    cluster, pgdata = told["cluster"], settings.pgdata
    spec = cluster.get("spec", {}).get("postgresql", {})
    version = major(pgdata)
    retry = max(_RETRY_MS * float(told.get("scale", 1.0)), _RETRY_LEAST_MS)
    extra = {
        "fsync": "on" if told.get("fsync") else "off",
        "wal_retrieve_retry_interval": f"{int(retry)}ms",
        "wal_receiver_timeout": f"{int(max(retry, _SILENCE_LEAST_MS))}ms",
        "wal_sender_timeout": f"{int(max(retry, _SILENCE_LEAST_MS))}ms",
    }
    lines = {name: "\n".join(spec.get(name, [])) for name in ("pg_hba", "pg_ident")}
    changed = [
        _replace(pgdata / "custom.conf", _custom(cluster, version, extra)),
        _replace(pgdata / "override.conf", _override(settings, cluster)),
        _replace(pgdata / "pg_hba.conf", _HBA.format(user=lines["pg_hba"])),
        _replace(pgdata / "pg_ident.conf", _IDENT.format(user=lines["pg_ident"])),
    ]
    main = pgdata / "postgresql.conf"
    if "include 'override.conf'" not in main.read_text(encoding="utf-8"):
        with main.open("a", encoding="utf-8") as stream:
            stream.write(_INCLUDES)
    _guard_alter_system(pgdata, version, allowed=bool(spec.get("enableAlterSystem")))
    return any(changed)


def _guard_alter_system(pgdata: Path, version: int, *, allowed: bool) -> None:
    """Before 17 the only way to forbid ALTER SYSTEM is to take the right to write its file."""
    path = pgdata / "postgresql.auto.conf"
    if version < _ALTER_SYSTEM_PARAMETER_SINCE and path.exists():
        path.chmod(0o600 if allowed else 0o400)


def control_data(pgdata: Path) -> dict[str, str]:
    """What `pg_controldata` says."""
    done = subprocess.run(["pg_controldata", str(pgdata)], capture_output=True, text=True, check=False)
    pairs = (line.partition(":") for line in done.stdout.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
