"""What lies on a member's volumes, read from outside, in whatever state its pod is."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hasteward_lab.mariadb import files
from hasteward_lab.programs import find

Object = dict[str, Any]

_PATIENCE = 60.0
_SMALL = ("--innodb-buffer-pool-size=24M", "--innodb-log-file-size=8M", "--innodb-flush-log-at-trx-commit=0")
_GALERA = (
    "--wsrep-on=ON",
    "--wsrep-provider=/usr/lib/galera/libgalera_smm.so",
    "--wsrep-cluster-address=gcomm://127.0.0.1",
    "--binlog-format=ROW",
    "--default-storage-engine=InnoDB",
    "--innodb-autoinc-lock-mode=2",
)
_NO_DATABASE = "there is no database"


class UnreadableError(ValueError):
    """The data tells nothing; the message is the server's or ours."""


class Look:
    """Reads copies of data directories with this machine's server."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch

    def state(self, data: Path, config: Path) -> Object:
        """Galera's files: `grastate` (None, `corrupt` or fields), and whether `view` and `bootstrap` are."""
        try:
            state = files.read_state(data)
            told: Any = state.to_json() if state else None
        except files.CorruptError:
            told = "corrupt"
        return {
            "there": (data / "mysql").is_dir(),
            "grastate": told,
            "view": (data / files.VIEW).exists(),
            "bootstrap": (config / files.BOOTSTRAP_CNF).exists(),
        }

    def position(self, data: Path) -> Object:
        """UUID and seqno that `--wsrep-recover` finds in a copy."""
        with self._copy(data) as copy:
            said = self._run(copy, "--wsrep-recover", *_GALERA)
        found = files.recovered(said)
        if found is None:
            raise UnreadableError(_reason(said))
        return {"uuid": found[0], "seqno": found[1]}

    def rows(self, data: Path, schema: str, table: str, column: str) -> list[str]:
        """A column's different values, as a copy tells them after crash recovery; none without the table."""
        with self._copy(data) as copy:
            if not (copy / schema / f"{table}.ibd").exists():
                return []
            query = f"SELECT DISTINCT {column} INTO OUTFILE '/mnt/out' FROM {schema}.{table};\n"  # noqa: S608 - the lab's own words
            said = self._run(copy, "--bootstrap", "--wsrep-on=OFF", "--secure-file-priv=", stdin=query)
            out = copy.parent / "out"
            if not out.exists():
                raise UnreadableError(_reason(said))
            return sorted(out.read_text(encoding="utf-8").split())

    @contextmanager
    def _copy(self, data: Path) -> Iterator[Path]:
        if not (data / "mysql").is_dir():
            raise UnreadableError(_NO_DATABASE)
        self._scratch.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=self._scratch))
        try:
            shutil.copytree(data, folder / "data", ignore=shutil.ignore_patterns("galera.cache", ".lab-*"))
            yield folder / "data"
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @staticmethod
    def _run(copy: Path, *options: str, stdin: str = "") -> str:
        passwd = copy.with_name("passwd")
        passwd.write_text("mysql:x:999:999::/:/bin/sh\n", encoding="ascii")
        argv = [find("bwrap"), "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]
        argv += ["--ro-bind", str(passwd), "/etc/passwd", "--bind", str(copy.parent), "/mnt"]
        argv += ["--unshare-all", "--uid", "999", "--gid", "999", "--die-with-parent", "--"]
        argv += [
            find("mariadbd"),
            "--no-defaults",
            "--datadir=/mnt/data",
            "--socket=/tmp/s",
            "--skip-networking",
        ]
        argv += ["--pid-file=/tmp/p", "--lc-messages-dir=/usr/share/mysql", *_SMALL, *options]
        done = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_PATIENCE,
            env={**os.environ, "LC_ALL": "C"},
        )
        return done.stdout + done.stderr


def _reason(said: str) -> str:
    """The line of a server's log that tells best why it failed."""
    lines = [line for line in said.strip().splitlines() if line]
    telling = [line for line in lines if "[ERROR]" in line or "got signal" in line]
    return (telling or lines or ["it said nothing"])[0]
