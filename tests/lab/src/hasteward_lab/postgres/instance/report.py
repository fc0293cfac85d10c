"""What `/pg/status` tells: the only thing the operator knows about a server."""

from __future__ import annotations

from typing import Any

from . import wire
from .settings import Settings

Report = dict[str, Any]

_COMMON = (
    "SELECT pg_is_in_recovery(), (SELECT system_identifier FROM pg_control_system()), "
    "(SELECT timeline_id FROM pg_control_checkpoint()), "
    "EXISTS(SELECT 1 FROM pg_settings WHERE pending_restart), "
    "current_setting('cnpg.config_sha256', true), "
    "CASE WHEN pg_is_in_recovery() THEN '' ELSE pg_current_wal_lsn()::text END, "
    "CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_receive_lsn(), '0/0')::text ELSE '' END, "
    "CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_replay_lsn(), '0/0')::text ELSE '' END, "
    "CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END, "
    "EXISTS(SELECT 1 FROM pg_stat_wal_receiver), "
    "CASE WHEN pg_is_in_recovery() THEN '' ELSE pg_walfile_name(pg_current_wal_lsn()) END"
)
_ARCHIVER = (
    "SELECT coalesce(last_archived_wal, ''), coalesce(last_archived_time::text, ''), "
    "coalesce(last_failed_wal, ''), coalesce(last_failed_time::text, ''), "
    "coalesce(last_archived_time >= coalesce(last_failed_time, '-infinity'), false) FROM pg_stat_archiver"
)
_REPLICATION = (
    "SELECT application_name, state, sent_lsn, write_lsn, flush_lsn, replay_lsn, sync_state, sync_priority "
    "FROM pg_stat_replication WHERE usename = 'streaming_replica'"
)
_SLOTS = (
    "SELECT slot_name, slot_type, active, restart_lsn, wal_status, safe_wal_size FROM pg_replication_slots"
)


def _flag(value: str | None) -> bool:
    return value == "t"


def ready_wal_files(settings: Settings) -> int:
    """How many finished segments wait to be archived."""
    folder = settings.wal / "archive_status"
    return sum(1 for _ in folder.glob("*.ready")) if folder.exists() else 0


def ask(settings: Settings) -> Report:
    """Ask the server itself; OSError or ServerError when it cannot tell."""
    with wire.Connection(timeout=4.0) as connection:
        (row,) = connection.query(_COMMON)
        primary = row[0] == "f"
        report: Report = {
            "systemID": row[1],
            "isPrimary": primary,
            "timeLineID": int(row[2] or 0),
            "pendingRestart": _flag(row[3]),
            "loadedConfigurationHash": row[4] or "",
            "currentLsn": row[5],
            "receivedLsn": row[6],
            "replayLsn": row[7],
            "replayPaused": _flag(row[8]),
            "isWalReceiverActive": _flag(row[9]),
            "currentWAL": row[10],
            "readyWalFiles": ready_wal_files(settings),
        }
        if primary:
            report.update(_primary_part(connection))
    return {key: value for key, value in report.items() if value != ""}


def _primary_part(connection: wire.Connection) -> Report:
    archived, archived_at, failed, failed_at, works = connection.query(_ARCHIVER)[0]
    names = ("applicationName", "state", "sentLsn", "writeLsn", "flushLsn", "replayLsn", "syncState")
    replication = [
        {**dict(zip(names, row, strict=False)), "syncPriority": row[7]}
        for row in connection.query(_REPLICATION)
    ]
    slots = [
        {
            "slotName": row[0],
            "slotType": row[1],
            "active": _flag(row[2]),
            "restartLsn": row[3] or "",
            "walStatus": row[4] or "",
            "safeWalSize": int(row[5]) if row[5] else None,
        }
        for row in connection.query(_SLOTS)
    ]
    return {
        "lastArchivedWAL": archived,
        "lastArchivedWALTime": archived_at,
        "lastFailedWAL": failed,
        "lastFailedWALTime": failed_at,
        "isArchivingWAL": _flag(works),
        "replicationInfo": replication,
        "replicationSlotsInfo": slots,
    }
