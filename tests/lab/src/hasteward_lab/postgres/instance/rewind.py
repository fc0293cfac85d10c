"""How an old primary comes back: pg_rewind against the new one, and nothing else when that fails."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from . import logs
from .server import run
from .settings import Settings, conninfo

_PAUSES = (5.0, 10.0, 20.0)


def archive_ready(settings: Settings) -> None:
    """Hand over every finished segment first: what is rewound away may be needed from the archive."""
    folder = settings.wal / "archive_status"
    for path in sorted(folder.glob("*.ready")) if folder.exists() else []:
        code = run(["/controller/manager", "wal-archive", "--force", f"pg_wal/{path.stem}"], "wal-archive")
        if code:
            raise RewindError(f"cannot archive {path.stem}")
        path.rename(path.with_suffix(".done"))


class RewindError(Exception):
    """The data directory could not be brought onto the primary's timeline."""


def rewind(settings: Settings, *, retries: bool, pause: Callable[[float], None]) -> None:
    """Run pg_rewind; some versions try again three times before they give up for now."""
    control = settings.pgdata / "global/pg_control"
    kept = settings.pgdata / "global/pg_control.orig"
    shutil.copyfile(control, kept)
    # Read-only for ALTER SYSTEM's sake, and pg_rewind stops half-way at a file it cannot write.
    (settings.pgdata / "postgresql.auto.conf").chmod(0o600)
    argv = [
        "pg_rewind",
        "-P",
        "--source-server",
        conninfo(settings.service, settings.pod),
        "--target-pgdata",
        str(settings.pgdata),
        "--restore-target-wal",
    ]
    try:
        for wait in (*(_PAUSES if retries else ()), None):
            if run(argv, "pg_rewind") == 0:
                return
            if control.stat().st_size == 0:
                shutil.copyfile(kept, control)
            if wait is not None:
                pause(wait)
    finally:
        kept.unlink(missing_ok=True)
    logs.emit("pg_rewind", "Failed to execute pg_rewind", "error")
    raise RewindError("pg_rewind failed")
