"""The environment a restic is started with."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hasteward.domain.errors import DependencyError

#: passwords travel by descriptor; a second repository or our own settings are nothing restic should see
_NOT_FOR_RESTIC = ("RESTIC_PASSWORD", "RESTIC_FROM_", "RESTIC_REPOSITORY", "HASTEWARD_")
_SECRET_NAME = re.compile(r"SECRET|PASSWORD|TOKEN|ACCOUNT_KEY|_KEY$|_PASS$|_PASSCODE$|_SAS$")
#: a backend's own credential stays even if somebody chose it equal to the repository password
_BACKENDS = ("RESTIC_", "AWS_", "B2_", "AZURE_", "GOOGLE_", "OS_", "ST_", "RCLONE_")
#: shorter values would turn ordinary words of a message into stars
SHORTEST_SECRET = 4


def child_environment(given: Mapping[str, str], location: str, password: str) -> dict[str, str]:
    """What restic may know: its backends' settings, never the password under any name."""
    environment = {
        name: value
        for name, value in given.items()
        if not name.startswith(_NOT_FOR_RESTIC) and (value != password or name.startswith(_BACKENDS))
    }
    environment["RESTIC_REPOSITORY"] = location
    environment["RESTIC_PROGRESS_FPS"] = "0.1"
    # --time is read in restic's local zone; with its zone fixed, ours and daylight saving do not matter
    environment["TZ"] = "UTC"
    environment.setdefault("PATH", os.defpath)
    return environment


def secrets_in(environment: Mapping[str, str]) -> list[str]:
    """Values that no message may repeat, judged by the names of their variables."""
    return [
        value
        for name, value in environment.items()
        if _SECRET_NAME.search(name) and len(value) >= SHORTEST_SECRET
    ]


def cache_usable(environment: Mapping[str, str]) -> bool:
    """Whether restic can have its cache; without HOME (a scratch image) it would not even start."""
    if directory := environment.get("RESTIC_CACHE_DIR"):
        cache = Path(directory)
    elif directory := environment.get("XDG_CACHE_HOME"):
        cache = Path(directory) / "restic"
    elif directory := environment.get("HOME"):
        cache = Path(directory) / ".cache" / "restic"
    else:
        return False
    return _can_make(cache)


def _can_make(directory: Path) -> bool:
    for candidate in (directory, *directory.parents):
        if candidate.exists():
            return candidate.is_dir() and os.access(candidate, os.W_OK | os.X_OK)
    return False


def temporary_directory(environment: Mapping[str, str]) -> str:
    """Where restic may put the packs it is making; an image without /tmp still has a place for them."""
    candidates = [environment.get("TMPDIR", "/tmp"), "/tmp", "/var/tmp"]  # noqa: S108 (restic's own default)
    candidates += [
        environment[name] for name in ("RESTIC_CACHE_DIR", "XDG_CACHE_HOME") if name in environment
    ]
    candidates += ["/dev/shm"]  # noqa: S108 (the last resort: memory)
    for directory in candidates:
        try:
            with tempfile.TemporaryFile(dir=directory):
                return directory
        except OSError:
            continue
    raise DependencyError(
        "there is no directory for temporary files, which restic needs to save anything",
        hint="set TMPDIR to a directory that can be written",
        code="restic.no_temp",
    )
