"""High-availability slots: made on the primary, copied to the standbys on a schedule of their own."""

from __future__ import annotations

from typing import Any

from . import logs, wire
from .server import Server
from .settings import Settings, slot_name

_LOCAL = (
    "SELECT slot_name, active, restart_lsn, xmin IS NOT NULL FROM pg_replication_slots "
    "WHERE slot_type = 'physical'"
)
_REMOTE = (
    "SELECT slot_name, restart_lsn, xmin IS NOT NULL FROM pg_replication_slots WHERE slot_type = 'physical'"
)


def wish(cluster: dict[str, Any]) -> tuple[bool, str, float]:
    """Whether there are to be slots, their prefix, and the seconds between two copies."""
    row = cluster.get("spec", {}).get("replicationSlots", {})
    ha = row.get("highAvailability", {})
    return (
        ha.get("enabled", True),
        ha.get("slotPrefix", "_cnpg_"),
        float(row.get("updateInterval", 30)),
    )


def on_primary(server: Server, settings: Settings, cluster: dict[str, Any]) -> None:
    """Make what is missing; drop what belongs to an instance that is gone and is not in use."""
    enabled, prefix, _ = wish(cluster)
    members = cluster.get("status", {}).get("instanceNames", [])
    wanted = {slot_name(prefix, name) for name in members if name != settings.pod} if enabled else set()
    with wire.Connection() as connection:
        there = {str(row[0]): row[1] == "t" for row in connection.query(_LOCAL)}
        for name in sorted(wanted - set(there)):
            connection.query(f"SELECT pg_create_physical_replication_slot('{name}')")
            logs.info("Created HA replication slot", slotName=name)
        if not members:
            return
        for name, active in there.items():
            if name.startswith(prefix) and name not in wanted and not active:
                connection.query(f"SELECT pg_drop_replication_slot('{name}')")
                logs.info("Dropped HA replication slot", slotName=name)


def on_standby(settings: Settings, cluster: dict[str, Any]) -> None:
    """Keep the others' slots as far as the primary's, so that they are of use after a failover."""
    enabled, prefix, _ = wish(cluster)
    if not enabled:
        return
    own = slot_name(prefix, settings.pod)
    with wire.Connection(settings.service) as primary:
        remote = {str(row[0]): (row[1], row[2] == "t") for row in primary.query(_REMOTE)}
    with wire.Connection() as local:
        for row in local.query(_LOCAL):
            name = str(row[0])
            stale = name == own or name not in remote or row[3] == "t"
            if name.startswith(prefix) and stale and row[1] != "t":
                local.query(f"SELECT pg_drop_replication_slot('{name}')")
        there = {str(row[0]): row[2] for row in local.query(_LOCAL)}
        for name, (position, holds_xmin) in remote.items():
            if not name.startswith(prefix) or name == own or holds_xmin:
                continue
            if name not in there:
                reserve = "true" if position else "false"
                local.query(f"SELECT pg_create_physical_replication_slot('{name}', {reserve})")
            if position:
                _advance(local, name, position)


def _advance(local: wire.Connection, name: str, position: str) -> None:
    where = (
        f"slot_name = '{name}' AND restart_lsn < '{position}' AND '{position}' <= pg_last_wal_replay_lsn()"
    )
    advance = f"SELECT pg_replication_slot_advance(slot_name, '{position}') FROM pg_replication_slots"  # noqa: S608 - names and positions come from the server itself
    local.query(f"{advance} WHERE {where}")
