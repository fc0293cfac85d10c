"""Volumes with an enforced size: each claim is a tmpfs in the supervisor's mount namespace."""

from __future__ import annotations

import os
import re
from pathlib import Path

from hasteward_lab.kubelet.network import run
from hasteward_lab.state import LabError

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
_BALLAST = ".lab-ballast"
_BLOCK = 1 << 20


def parse_size(text: str) -> int:
    """Bytes of a Kubernetes quantity."""
    found = re.fullmatch(r"(\d+)(Ki|Mi|Gi|k|M|G|)", text)
    if not found:
        raise LabError(f"{text!r} is no size: write 512Mi or 1Gi")
    return int(found[1]) * _UNITS[found[2]]


class Volumes:
    """The claims of one lab, by name."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, namespace: str, claim: str) -> Path:
        """Where a claim is mounted, there or not."""
        return self.root / f"{namespace}_{claim}"

    def provision(self, namespace: str, claim: str, size: str) -> Path:
        """Make a claim's volume."""
        path = self.path(namespace, claim)
        path.mkdir(parents=True)
        run("mount", "-t", "tmpfs", "-o", f"size={parse_size(size)},mode=0755", "tmpfs", str(path))
        return path

    def resize(self, namespace: str, claim: str, size: str) -> None:
        """Give a claim's volume another size, while it is in use."""
        path = self.path(namespace, claim)
        if path.exists():
            run("mount", "-o", f"remount,size={parse_size(size)}", str(path))

    def release(self, namespace: str, claim: str) -> None:
        """Delete a claim's volume and all that is on it."""
        path = self.path(namespace, claim)
        if path.exists():
            run("umount", "--lazy", str(path))
            path.rmdir()

    def fill(self, namespace: str, claim: str, leave: int) -> int:
        """Fill a volume up to `leave` bytes and return what is free; negative takes it away again."""
        path = self.path(namespace, claim)
        ballast = path / _BALLAST
        ballast.unlink(missing_ok=True)
        if leave >= 0:
            free = _free(path)
            descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                if free > leave:
                    os.posix_fallocate(descriptor, 0, free - leave)
            finally:
                os.close(descriptor)
        return _free(path)


def _free(path: Path) -> int:
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize
