"""Finding restic, and refusing the versions that would lose data."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass

from hasteward.domain.errors import DependencyError

#: --stdin-from-command and the exit codes 10 to 12 are there from this version on
OLDEST = (0, 17, 0)
#: cannot save a stdin file below a directory, and all our paths are (restic issue 5324)
BROKEN = (0, 18, 0)
_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
_HINT = "install restic 0.17 or newer (not 0.18.0) and put it on PATH"
_ANSWER_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Program:
    """A restic that we can work with."""

    path: str
    version: str


def find_program(name: str = "restic") -> Program:
    """The restic of this name on PATH (or at this path), if its version is one that keeps our promises."""
    path = shutil.which(name)
    if path is None:
        raise DependencyError(f"the program {name!r} was not found", hint=_HINT, code="restic.missing")
    version = _ask(path)
    numbers = _VERSION.search(version)
    if numbers is None:
        raise DependencyError(f"{path} does not tell its version", hint=_HINT, code="restic.version")
    found = (int(numbers[1]), int(numbers[2]), int(numbers[3] or 0))
    if found < OLDEST:
        raise DependencyError(
            f"{path} is restic {numbers[0]}, which cannot hold back an unproven snapshot",
            hint=_HINT,
            code="restic.version",
        )
    if found == BROKEN:
        raise DependencyError(
            f"{path} is restic 0.18.0, which cannot save a stream below a directory (restic issue 5324)",
            hint=_HINT,
            code="restic.version",
        )
    return Program(path, numbers[0])


def _ask(path: str) -> str:
    """What restic says its version is; before 0.17 that is plain text, which is read just as well."""
    try:
        answer = subprocess.run(
            [path, "version", "--json"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            # its version is no secret's business: our environment may hold the password
            env={"PATH": os.environ.get("PATH", os.defpath)},
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DependencyError(
            f"{path} could not be started: {error}", hint=_HINT, code="restic.missing"
        ) from error
    text = answer.stdout.decode("utf-8", "replace")
    try:
        return str(json.loads(text)["version"])
    except (ValueError, TypeError, KeyError):
        return text[:200]
