"""Damage to the files of a pod's volumes, kept so that it can be undone; the pod need not run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hasteward_lab.kubelet.volumes import Volumes

Object = dict[str, Any]
_LINKS = 8


@dataclass(frozen=True)
class Kept:
    """One file or folder as it was before."""

    where: Path
    copy: Path


class Files:
    """The volumes of the lab's pods, seen from outside."""

    def __init__(self, volumes: Volumes, pod: Callable[[str, str], Object], keep: Path) -> None:
        self._volumes = volumes
        self._pod = pod
        self._keep = keep
        self._kept: dict[tuple[str, str], list[Kept]] = {}

    def resolve(self, namespace: str, pod: str, path: str) -> Path:
        """Where a path of a pod lies on this side, relative ones below PGDATA; ValueError if on no claim."""
        spec = self._pod(namespace, pod)["spec"]
        container = spec["containers"][0]
        env = {row["name"]: row.get("value", "") for row in container.get("env", [])}
        claims = {
            row["name"]: row["persistentVolumeClaim"]["claimName"]
            for row in spec.get("volumes", [])
            if "persistentVolumeClaim" in row
        }
        mounts = {
            PurePosixPath(row["mountPath"]): self._volumes.path(namespace, claims[row["name"]])
            / row.get("subPath", "")
            for row in container.get("volumeMounts", [])
            if row["name"] in claims
        }
        home = env.get("PGDATA", "/var/lib/mysql" if container["name"] == "mariadb" else "/")
        wanted = PurePosixPath(home) / path
        for _ in range(_LINKS):
            found = _through(mounts, wanted)
            if isinstance(found, Path):
                return found
            wanted = found
        raise ValueError(f"{path}: too many links")

    def corrupt(self, namespace: str, pod: str, path: str, *, offset: int, length: int, how: str) -> int:
        """Overwrite bytes of a file and return how many."""
        target = self.resolve(namespace, pod, path)
        if not target.is_file():
            raise ValueError(f"{path}: no such file")
        content = target.read_bytes()
        begin = offset if offset >= 0 else max(len(content) + offset, 0)
        old = content[begin : begin + length] if length else content[begin:]
        if not old:
            raise ValueError(f"{path}: has only {len(content)} bytes")
        self._save(namespace, pod, target)
        changes: dict[str, Callable[[bytes], bytes]] = {
            "zero": lambda data: bytes(len(data)),
            "ones": lambda data: b"\xff" * len(data),
            "flip": lambda data: bytes(byte ^ 0xFF for byte in data),
            "truncate": lambda _data: b"",
        }
        if how not in changes:
            raise ValueError(f"{how!r} is no way to damage a file: {', '.join(changes)}")
        rest = b"" if how == "truncate" else content[begin + len(old) :]
        # In place: a server that has the file open must see it too.
        with target.open("r+b") as stream:
            stream.seek(begin)
            stream.write(changes[how](old) + rest)
            stream.truncate()
        return len(old)

    def put(self, namespace: str, pod: str, path: str, text: str) -> int:
        """Write a file and return how many bytes it has."""
        target = self.resolve(namespace, pod, path)
        if target.is_file():
            self._save(namespace, pod, target)
        return target.write_text(text, encoding="utf-8")

    def edit(self, namespace: str, pod: str, path: str, old: str, new: str) -> int:
        """Replace a text in a file and return how many bytes it has; ValueError when it is not there."""
        target = self.resolve(namespace, pod, path)
        text = target.read_text(encoding="utf-8")
        if old not in text:
            raise ValueError(f"{path} does not say {old!r}")
        return self.put(namespace, pod, path, text.replace(old, new))

    def lose(self, namespace: str, pod: str, pattern: str) -> list[str]:
        """Delete what matches a pattern (of the last part of the path only); ValueError if nothing does."""
        head, _, tail = pattern.rpartition("/")
        folder = self.resolve(namespace, pod, head or ".")
        found = sorted(folder.glob(tail)) if tail else sorted(folder.iterdir())
        if not found:
            raise ValueError(f"{pattern}: no such file")
        for each in found:
            self._save(namespace, pod, each)
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            else:
                each.unlink()
        return [each.name for each in found]

    def mend(self, namespace: str, pod: str) -> int:
        """Put everything back as it was and return how many things that were."""
        kept = self._kept.pop((namespace, pod), [])
        for each in reversed(kept):
            if each.copy.is_dir():
                shutil.rmtree(each.where, ignore_errors=True)
                shutil.copytree(each.copy, each.where, symlinks=True)
                shutil.rmtree(each.copy)
            else:
                shutil.copy2(each.copy, each.where)
                each.copy.unlink()
        return len(kept)

    def _save(self, namespace: str, pod: str, path: Path) -> None:
        rows = self._kept.setdefault((namespace, pod), [])
        folder = self._keep / f"{namespace}_{pod}"
        folder.mkdir(parents=True, exist_ok=True)
        copy = folder / str(len(rows))
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, copy, symlinks=True)
        else:
            shutil.copy2(path, copy)
        rows.append(Kept(path, copy))


def _through(mounts: dict[PurePosixPath, Path], wanted: PurePosixPath) -> Path | PurePosixPath:
    """The path on this side, or the path in the pod that a link on the way leads to."""
    if ".." in wanted.parts:
        raise ValueError(f"{wanted}: `..` is not for here")
    under = [mount for mount in mounts if wanted.is_relative_to(mount)]
    if not under:
        raise ValueError(f"{wanted} is on no claim of the pod")
    mount = max(under, key=lambda each: len(each.parts))
    here, inside = mounts[mount], mount
    parts = wanted.relative_to(mount).parts
    for index, part in enumerate(parts):
        here, inside = here / part, inside / part
        if here.is_symlink():
            # A link means a place in the pod, not one of this machine.
            return inside.parent / PurePosixPath(here.readlink()) / PurePosixPath(*parts[index + 1 :])
    return here
