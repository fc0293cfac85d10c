"""One JSON object per line on stdout: the manager's own words, and what PostgreSQL writes."""

from __future__ import annotations

import csv
import datetime as dt
import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from .settings import LOGS

_LEFT = "log_time user_name database_name process_id connection_from session_id session_line_num command_tag"
_MIDDLE = (
    "session_start_time virtual_transaction_id transaction_id error_severity sql_state_code message detail"
)
_RIGHT = (
    "hint internal_query internal_query_pos context query query_pos location application_name backend_type"
)
COLUMNS = [*_LEFT.split(), *_MIDDLE.split(), *_RIGHT.split(), "leader_pid", "query_id"]

_lock = threading.Lock()
_pod = os.environ.get("POD_NAME", "")


def emit(logger: str, message: str, level: str = "info", **more: Any) -> None:
    """Write one line."""
    line = {"level": level, "ts": _now(), "logger": logger, "msg": message, "logging_pod": _pod, **more}
    text = json.dumps(line, separators=(",", ":")) + "\n"
    with _lock:
        sys.stdout.write(text)
        sys.stdout.flush()


def info(message: str, **more: Any) -> None:
    """Say something as the instance manager."""
    emit("instance-manager", message, **more)


def error(message: str, **more: Any) -> None:
    """Complain as the instance manager."""
    emit("instance-manager", message, "error", **more)


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def follow_raw(stream: IO[bytes], logger: str, **more: Any) -> threading.Thread:
    """Pass the lines of a process on, each as the message of one object."""

    def pump() -> None:
        for line in stream:
            text = line.decode(errors="replace").rstrip()
            if text:
                emit(logger, text, **more)

    thread = threading.Thread(target=pump, daemon=True)
    thread.start()
    return thread


def follow_collector() -> None:
    """Read what PostgreSQL's collector writes; the pipes must have a reader before the server starts."""
    LOGS.mkdir(exist_ok=True)
    plain = _pipe(LOGS / "postgres")
    follow_raw(plain, "postgres", source="/controller/log/postgres")
    rows = _pipe(LOGS / "postgres.csv")
    threading.Thread(target=_pump_records, args=(rows,), daemon=True).start()


def _pipe(path: Path) -> IO[bytes]:
    if not path.exists():
        os.mkfifo(path, 0o600)
    # Opened for writing as well: so opening never blocks and the end of a server is no end of file.
    return os.fdopen(os.open(path, os.O_RDWR), "rb")


def _pump_records(stream: IO[bytes]) -> None:
    def lines() -> Iterator[str]:
        while True:
            line = stream.readline()
            if not line:
                return
            yield line.decode(errors="replace")

    for row in csv.reader(lines()):
        record = {name: value for name, value in zip(COLUMNS, row, strict=False) if value}
        if record:
            # The severity is in the record; the level of the line says nothing about it.
            emit("postgres", "record", record=record)
