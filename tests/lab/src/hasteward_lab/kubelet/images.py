"""Images for pods that clients make: this machine's programs under the names people know."""

from __future__ import annotations

import re
from typing import Any

from hasteward_lab.kubelet.sandbox import Image
from hasteward_lab.kubelet.servers import COMMANDS as SERVERS

Object = dict[str, Any]

# What runs when a pod of that image names no command.
_COMMANDS: dict[str, tuple[str, ...]] = {
    "busybox": ("sh",),
    "alpine": ("sh",),
    "debian": ("bash",),
    "ubuntu": ("bash",),
    "pause": ("sleep", "infinity"),
    "postgresql": ("sleep", "infinity"),
    "postgres": ("sleep", "infinity"),
    **SERVERS,
}
_NAME = re.compile(r"([^/:@]+)(:[^/:@]+)?(@sha256:[0-9a-f]+)?$")


def known(image: str) -> tuple[str, ...] | None:
    """The usual command of an image; None when no registry here has it."""
    found = _NAME.search(image)
    return _COMMANDS.get(found[1]) if found else None


def generic(pod: Object, path: tuple[str, ...]) -> Image | None:
    """The image of a pod's container, run as the user its security context names."""
    row = pod["spec"]["containers"][0]
    if known(row["image"]) is None:
        return None
    contexts = (row.get("securityContext") or {}, pod["spec"].get("securityContext") or {})
    uid = next((int(context["runAsUser"]) for context in contexts if "runAsUser" in context), 0)
    user = {0: "root", 26: "postgres", 999: "mysql"}.get(uid, "user")
    return Image(row["image"], user, uid, path, writable=not contexts[0].get("readOnlyRootFilesystem"))
