"""What the manager does besides running an instance: jobs, and the hooks PostgreSQL calls."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from . import conf, logs
from .door import Door, DoorError, request
from .settings import LOCAL_PORT, WAL_VOLUME, Settings, conninfo, read

_OK_MARK = Path("/controller/tmp/archiving")


def init() -> int:
    """Make the first data directory of a cluster, with its roles and its database."""
    settings = read()
    door = Door(settings)
    told = door.cluster() or {}
    argv = ["initdb", "-D", str(settings.pgdata), "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "-k"]
    argv += ["--waldir", str(_wal_folder())] if WAL_VOLUME.exists() else []
    code = subprocess.run([*argv, "--no-sync"], check=False).returncode
    if code:
        return code
    conf.write(settings, told)
    script = ";\n".join(door.initial_sql()) + ";\n"
    single = ["postgres", "--single", "-F", "-j", "-D", str(settings.pgdata)]
    quiet = ["-c", "archive_mode=off", "-c", "log_min_messages=warning", "postgres"]
    # In single-user mode with -j a statement ends at a semicolon and an empty line.
    done = subprocess.run([*single, *quiet], input=script.replace(";\n", ";\n\n").encode(), check=False)
    _mark_initialized(settings)
    return done.returncode


def join() -> int:
    """Clone the primary into this instance's volumes, as a replica."""
    settings = read()
    told = Door(settings).cluster() or {}
    _make_room(settings)
    argv = ["pg_basebackup", "-D", str(settings.pgdata), "-d"]
    argv += [conninfo(settings.service, f"{settings.pod}-join"), "-X", "stream", "-c", "fast", "--no-sync"]
    argv += ["--waldir", str(_wal_folder())] if WAL_VOLUME.exists() else []
    code = subprocess.run(argv, check=False).returncode
    if code:
        return code
    conf.write(settings, told)
    settings.standby_signal.touch(mode=0o600)
    _mark_initialized(settings)
    return 0


def _wal_folder() -> Path:
    folder = WAL_VOLUME / "pg_wal"
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _mark_initialized(settings: Settings) -> None:
    for path in settings.pgdata.glob("cnpg_initialized-*"):
        path.unlink()
    (settings.pgdata / f"cnpg_initialized-{settings.pod}").touch(mode=0o600)


def _make_room(settings: Settings) -> None:
    """A data directory that is one is put aside under another name; anything else is removed."""
    if not settings.pgdata.exists():
        return
    if (settings.pgdata / "PG_VERSION").exists() and conf.control_data(settings.pgdata):
        settings.pgdata.rename(settings.pgdata.with_name(f"pgdata_{time.strftime('%Y%m%d%H%M%S')}"))
    else:
        shutil.rmtree(settings.pgdata)


def wal_archive(argv: list[str]) -> int:
    """Archive a segment: without a backup configuration there is nothing to do, and that is success."""
    cluster: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        code, body = request(("127.0.0.1", LOCAL_PORT), "GET", "/cache/cluster", timeout=5.0)
        cluster = json.loads(body) if code == 200 else {}
    pod = os.environ.get("POD_NAME", "")
    current = cluster.get("status", {}).get("currentPrimary", "")
    if "--force" not in argv and current != pod:
        logs.emit(
            "wal-archive", "switchover in progress, refusing archiving", "error", currentPrimary=current
        )
        return 1
    archivers = [
        row["name"]
        for row in cluster.get("spec", {}).get("plugins", [])
        if row.get("enabled", True) and row.get("isWALArchiver")
    ]
    if archivers:
        message = f"requested plugin {archivers[0]} is not available"
        logs.emit("wal-archive", message, "error")
        _condition(holds=False, message=message)
        return 1
    _condition(holds=True, message="Continuous archiving is working")
    return 0


def _condition(*, holds: bool, message: str) -> None:
    word = "Success" if holds else "Failing"
    with contextlib.suppress(OSError):
        if _OK_MARK.read_text(encoding="utf-8") == message:
            return
    with contextlib.suppress(DoorError, OSError):
        Door(read()).set_condition("ContinuousArchiving", holds, f"ContinuousArchiving{word}", message)
        _OK_MARK.write_text(message, encoding="utf-8")
