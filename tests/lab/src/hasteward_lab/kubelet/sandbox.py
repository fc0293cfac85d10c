"""One container as a bubblewrap command line: own root, own user, own network, real programs."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hasteward_lab.kubelet.network import Network
from hasteward_lab.programs import find

# What a container's /etc takes from the machine: nothing about its users, hosts or secrets.
_ETC = (
    "alternatives",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "ssl/certs",
    "nsswitch.conf",
)
_TOP = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


@dataclass(frozen=True)
class Image:
    """What an image brings: programs of this machine, a user, and files put into empty volumes."""

    name: str
    user: str
    uid: int
    path: tuple[str, ...]
    binds: tuple[str, ...] = ()
    prepare: Callable[[str, Path], None] = field(default=lambda _pod, _scratch: None)
    # A container of the operator has a read-only root; a client's usually may write to its own.
    writable: bool = False
    # Programs of this machine that are not in the image.
    hidden: tuple[str, ...] = ()
    # What runs when the pod names no command, with the pod's arguments behind it.
    entrypoint: tuple[str, ...] = ()
    # Folders it has beside the usual ones.
    folders: tuple[str, ...] = ()
    # Files of its own below /etc: name and content.
    etc: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Mount:
    """One volume of a container."""

    source: Path
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class Container:
    """All it takes to start one container."""

    pod: str
    image: Image
    argv: tuple[str, ...]
    env: dict[str, str]
    mounts: tuple[Mount, ...]
    etc: Path

    def environment(self) -> dict[str, str]:
        """The environment every process of the container begins with."""
        path = ":".join((*self.image.path, "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"))
        base = {"PATH": path, "HOSTNAME": self.pod, "HOME": "/var/lib/postgresql", "LANG": "C.UTF-8"}
        return {**base, **self.env}


def write_etc(folder: Path, image: Image, pod: str) -> None:
    """Write the files of /etc that are a container's own."""
    folder.mkdir(parents=True, exist_ok=True)
    user = f"{image.user}:x:{image.uid}:{image.uid}::/var/lib/postgresql:/bin/sh\n"
    (folder / "passwd").write_text(f"root:x:0:0:root:/root:/bin/sh\n{user}", encoding="ascii")
    (folder / "group").write_text(f"root:x:0:\n{image.user}:x:{image.uid}:\n", encoding="ascii")
    (folder / "hostname").write_text(f"{pod}\n", encoding="ascii")
    (folder / "resolv.conf").write_text("options timeout:1 attempts:1\n", encoding="ascii")
    (folder / "hosts").touch()
    for name, content in image.etc:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")


def _root(image: Image) -> list[str]:
    """A root of its own: the machine's programs read-only, nothing else of the machine."""
    argv = ["--ro-bind", "/usr", "/usr"]
    for name in _TOP:
        path = Path("/") / name
        if path.is_symlink():
            argv += ["--symlink", str(path.readlink()), str(path)]
        elif path.exists():
            argv += ["--ro-bind", str(path), str(path)]
    for name in _ETC:
        argv += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    for name in ("home", "root", "tmp", "opt", "srv", "var/tmp", "var/lib/postgresql", *image.folders):
        argv += ["--dir", f"/{name}"]
    for name in image.hidden:
        if Path("/usr/bin", name).exists():
            argv += ["--ro-bind", "/dev/null", f"/usr/bin/{name}"]
    for folder in image.binds:
        argv += ["--ro-bind", folder, folder]
    return argv


def command(container: Container, status_descriptor: int) -> list[str]:
    """The command line that runs a container; its first process is PID 1 of the pod."""
    image = container.image
    argv = [find("nsenter"), f"--net={Network.path(container.pod)}", "--", find("bwrap"), *_root(image)]
    own = [name for name, _ in image.etc]
    for name in ("passwd", "group", "hosts", "hostname", "resolv.conf", *own):
        argv += ["--ro-bind", str(container.etc / name), f"/etc/{name}"]
    # Nobody but root makes files in /dev, and a server tells by that where its log can go.
    argv += [
        "--dev",
        "/dev",
        "--tmpfs",
        "/dev/shm",
        "--remount-ro",
        "/dev",
        "--proc",
        "/proc",
        "--tmpfs",
        "/sys",
    ]
    for mount in container.mounts:
        argv += ["--ro-bind" if mount.read_only else "--bind", str(mount.source), mount.target]
    argv += ["--chdir", "/"] if image.writable else ["--remount-ro", "/", "--chdir", "/"]
    argv += ["--unshare-user", "--uid", str(image.uid), "--gid", str(image.uid)]
    argv += ["--unshare-pid", "--unshare-uts", "--unshare-ipc", "--hostname", container.pod]
    argv += ["--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL"]
    argv += ["--json-status-fd", str(status_descriptor), "--clearenv"]
    for name, value in container.environment().items():
        argv += ["--setenv", name, value]
    return [*argv, "--", *container.argv]


def entering(pid: int, argv: list[str]) -> list[str]:
    """The command line that runs a command in a container, in a session of its own."""
    return [
        find("nsenter"),
        *("-t", str(pid), "--user", "--mount", "--pid", "--uts", "--net", "--ipc"),
        *("--preserve-credentials", "--", "/usr/bin/setsid", "--", *argv),
    ]


def has_program(pid: int, program: str, path: str) -> bool:
    """Say whether a container has such a program, looking through its own root."""
    root = Path(f"/proc/{pid}/root")
    if "/" in program:
        return _is_there(root / program.lstrip("/"))
    return any(_is_there(root / folder.lstrip("/") / program) for folder in path.split(":"))


def _is_there(path: Path) -> bool:
    """Say whether there is a file, and not a hidden one; links would lead out of the container."""
    return os.path.lexists(path) and not stat.S_ISCHR(path.lstat().st_mode)
