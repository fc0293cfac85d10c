"""Packs the instance manager into one executable file, as the operator's image holds one binary."""

from __future__ import annotations

import io
import py_compile
import subprocess
import sys
import zipfile
from pathlib import Path

_MAIN = "import sys\nfrom instance.main import main\nsys.exit(main())\n"
# PostgreSQL asks for every segment it lacks, and there is no archive: that answer must not cost a Python.
# Isolated and without site: nothing of the machine's Python gets in, and it starts in half the time.
_STUB = """#!/bin/sh
[ "${{1:-}}" != wal-restore ] || exit 1
exec {python} -IS "$0" "$@"
"""
_DEBIAN = "/usr/bin/python3"


def interpreter() -> tuple[str, str | None]:
    """A Python that pods can run, and the folder they must see for it; the system's own needs none."""
    if Path(_DEBIAN).exists():
        ask = "import sys; print(*sys.version_info[:2])"
        done = subprocess.run([_DEBIAN, "-ISc", ask], capture_output=True, text=True, check=False)
        if done.returncode == 0 and tuple(map(int, done.stdout.split())) >= (3, 11):
            return _DEBIAN, None
    found = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    return str(found), None if found.is_relative_to("/usr") else sys.base_prefix


def build(scratch: Path, python: str) -> bytes:
    """The file: a line of shell that starts the interpreter, and a zip with what that runs."""
    packed = io.BytesIO()
    compiled = _same_version(python)
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("__main__.py", _MAIN)
        for path in sorted((Path(__file__).parent / "instance").glob("*.py")):
            archive.write(path, f"instance/{path.name}")
            if compiled:
                target = scratch / f"{path.stem}.pyc"
                mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
                py_compile.compile(
                    str(path), str(target), f"instance/{path.name}", doraise=True, invalidation_mode=mode
                )
                archive.write(target, f"instance/{path.stem}.pyc")
                target.unlink()
    return _STUB.format(python=python).encode() + packed.getvalue()


def _same_version(python: str) -> bool:
    ask = "import importlib.util as u; print(u.MAGIC_NUMBER.hex())"
    done = subprocess.run([python, "-ISc", ask], capture_output=True, text=True, check=False)
    import importlib.util

    return done.stdout.strip() == importlib.util.MAGIC_NUMBER.hex()
