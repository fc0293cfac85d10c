"""Is there room for one more segment of write-ahead log? Found out by writing one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from . import conf, logs

EXIT_NO_SPACE = 4
_BLOCK = 1 << 20


def _segment_size(pgdata: Path) -> int:
    text = conf.control_data(pgdata).get("Bytes per WAL segment", "")
    return int(text) if text.isdigit() else 16 << 20


def has_room(pgdata: Path) -> bool:
    """Write a probe file of one segment next to the log, and take it away again."""
    path = pgdata / "pg_wal" / f"_cnpg_probe_{os.urandom(2).hex()}"
    try:
        with path.open("wb", buffering=0) as stream:
            for _ in range(max(_segment_size(pgdata) // _BLOCK, 1)):
                if stream.write(bytes(_BLOCK)) < _BLOCK:
                    raise OSError(errno.ENOSPC, "No space left on device")
    except OSError as error:
        if error.errno != errno.ENOSPC:
            logs.error("Error while checking the disk space", error=str(error))
        return error.errno != errno.ENOSPC
    finally:
        path.unlink(missing_ok=True)
    return True
