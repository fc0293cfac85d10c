"""What is really on a member's volume, whatever its server, the operator or the API say about it.

Works on stopped, crashed, fenced and frozen members: the files are read from outside, and the data itself is
asked for in a copy that is recovered to the end of its WAL, so nothing of the member changes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hasteward_lab.programs import find

_CONTROL = "global/pg_control"
_SIGNALS = ("standby.signal", "recovery.signal", "backup_label")
_SEGMENT = re.compile(r"[0-9A-F]{24}")
_RESULT = re.compile(r'^\s*1: \w+ = "(.*)"\s+\(typeid', re.MULTILINE)
_ONLY_HERE = (
    "archive_mode=off",
    "ssl=off",
    "shared_buffers=16MB",
    "primary_conninfo=",
    "primary_slot_name=",
    "restore_command=false",
    "recovery_target_timeline=latest",
    "shared_preload_libraries=",
    "logging_collector=off",
    "log_min_messages=fatal",
)
_PATIENCE = 60


class UnreadableError(Exception):
    """The data directory does not give up its content; the message is what PostgreSQL said."""


@dataclass(frozen=True)
class Look:
    """Reads data directories with one PostgreSQL's programs."""

    programs: Path
    scratch: Path

    def files(self, pgdata: Path) -> dict[str, list[str] | bool]:
        """The files that tell a member's history."""
        wal = pgdata / "pg_wal"
        names = sorted(each.name for each in wal.iterdir()) if wal.is_dir() else []
        return {
            "there": (pgdata / _CONTROL).exists(),
            "signals": [name for name in _SIGNALS if (pgdata / name).exists()],
            "history": [name for name in names if name.endswith(".history")],
            "segments": [name for name in names if _SEGMENT.fullmatch(name)],
        }

    def control(self, pgdata: Path) -> dict[str, str]:
        """What pg_controldata says, by its labels."""
        done = self._run([str(self.programs / "pg_controldata"), "-D", str(pgdata)])
        if done.returncode or b"CRC checksum does not match" in done.stdout + done.stderr:
            said = (done.stderr or done.stdout).decode(errors="replace").strip()
            raise UnreadableError(said.splitlines()[0] if said else "pg_controldata failed")
        lines = done.stdout.decode(errors="replace").splitlines()
        pairs = (line.partition(":") for line in lines)
        return {label.strip(): value.strip() for label, _, value in pairs}

    def replay(self, pgdata: Path, database: str, query: str) -> list[str]:
        """The first column of a query's rows, as a copy of the directory answers it after full recovery."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=self.scratch))
        try:
            copy = folder / "pgdata"
            self._copy(pgdata, copy)
            return self._ask(copy, database, query)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _copy(self, pgdata: Path, copy: Path) -> None:
        if not (pgdata / _CONTROL).exists():
            raise UnreadableError("there is no data directory")
        shutil.copytree(pgdata, copy, symlinks=False, ignore=shutil.ignore_patterns("postmaster.*"))
        copy.chmod(0o700)
        if (copy / "standby.signal").exists():
            (copy / "standby.signal").rename(copy / "recovery.signal")

    def _ask(self, copy: Path, database: str, query: str) -> list[str]:
        # The server refuses root, and this process is root of its own little world.
        argv = [find("bwrap"), "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]
        passwd = copy.with_name("passwd")
        passwd.write_text("postgres:x:26:26::/:/bin/sh\n", encoding="ascii")
        argv += ["--ro-bind", str(passwd), "/etc/passwd"]
        argv += ["--bind", str(copy.parent), "/mnt", "--unshare-all", "--uid", "26", "--gid", "26"]
        argv += ["--die-with-parent", "--", str(self.programs / "postgres"), "--single", "-D", "/mnt/pgdata"]
        for setting in _ONLY_HERE:
            argv += ["-c", setting]
        done = self._run([*argv, database], query.replace("\n", " ").encode() + b"\n")
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            telling = [line for line in said if re.search(r"\b(PANIC|FATAL|ERROR):", line)]
            raise UnreadableError((telling or said or ["postgres failed"])[-1])
        return _RESULT.findall(done.stdout.decode(errors="replace"))

    @staticmethod
    def _run(argv: list[str], stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            check=False,
            timeout=_PATIENCE,
            env={**os.environ, "LC_ALL": "C"},
        )
