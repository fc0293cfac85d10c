"""Where a repository lies: local directory or URL, without its credentials, on a mounted volume or not."""

from __future__ import annotations

import os
import re
from pathlib import Path

from hasteward.domain.errors import Refused

_REMOTE = re.compile(r"(s3|sftp|rest|b2|azure|gs|swift|rclone):")
_USERINFO = re.compile(r"(://[^/@\s:]*):[^/@\s]*@")
_MOUNTS = Path("/proc/self/mountinfo")
_MOUNT_POINT_FIELD = 4


def redact_location(text: str) -> str:
    """The same text with every ``user:password@`` made harmless."""
    return _USERINFO.sub(r"\1:***@", text)


def local_path(location: str) -> Path | None:
    """The directory of a local repository, None for a remote one."""
    if location.startswith("local:"):
        return Path(location.removeprefix("local:"))
    return None if _REMOTE.match(location) else Path(location)


def require_mount(location: str) -> None:
    """Refuse a local repository that would lie on the root file system.

    In a Pod whose volume is missing, the path is an empty directory of the container, and a repository made
    there is gone with it.
    """
    path = local_path(location)
    if path is None:
        return
    real = path.resolve()
    if _mount_point_of(real) == Path("/"):
        raise Refused(
            f"{path} is not on a mounted volume: everything written there would go to the root file system",
            hint="mount the volume for the repository, or do without --require-mount",
            code="repository.not_mounted",
        )


def _mount_point_of(real: Path) -> Path:
    """The deepest mount point at or above `real`, which need not exist yet."""
    points = _mount_points()
    for candidate in (real, *real.parents):
        if candidate in points or (not points and os.path.ismount(candidate)):
            return candidate
    return Path("/")


def _mount_points() -> frozenset[Path]:
    """Every mount point; this sees bind mounts within one device, which comparing `st_dev` does not."""
    try:
        lines = _MOUNTS.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return frozenset()
    return frozenset(Path(_unescape(line.split()[_MOUNT_POINT_FIELD])) for line in lines)


def _unescape(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
